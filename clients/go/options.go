package heddle

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"time"

	"github.com/heddle-rt/heddle/clients/go/wire"
)

// Dialect is the encoding of frames.
type Dialect = wire.Dialect

// The dialects. JSON is the default.
const (
	JSON        = wire.JSON
	MessagePack = wire.MessagePack
)

// Options say where and as whom a Client connects. URL and one of Token and
// TokenSource are required; the zero value of all others is a default.
type Options struct {
	// URL of the node, ws or wss, with its path: "wss://rt.example.com/v1/ws".
	URL string
	// Token is the JWT, the same for every connection.
	Token string
	// TokenSource is asked for a JWT before each connection, in place of Token. Its
	// error counts as a failed attempt.
	TokenSource func(ctx context.Context) (string, error)
	// Device names this client among the user's devices.
	Device string
	// Attributes of the session, free words for the server's plugins.
	Attributes map[string]string
	// Dialect of the frames.
	Dialect Dialect
	// Acks tells the server what was handled, once a second, so that it sends again
	// what gets lost on the way.
	Acks bool
	// Namespaces that the session takes part in; nil is "/" alone. With "/notification"
	// come notification:new events; without "/" the session joins no rooms.
	Namespaces []string
	// Rooms to join besides those that the user is a member of.
	Rooms []string

	// OnEvent is called with every event, one at a time, durable ones of a room in
	// order and once. The event counts as handled when it returns. It may send with
	// SendAsync; a Request in it waits for an answer that may stand behind events
	// that wait for OnEvent itself, so give it a deadline.
	OnEvent func(Event)
	// OnState is called after each change of state, with what ended the connection
	// if anything did. It must not block.
	OnState func(s State, why error)
	// OnSession is called when a session was opened or resumed, one at a time and in
	// order, on a goroutine of its own: requests in it are answered; give them a context
	// with a deadline. Events wait until it has returned, unless more than Queue would:
	// then they go on, so that its answers, which stand behind them, can be read. Of
	// sessions that follow while it is busy the newest is told, once: with Recovered only
	// if that holds for all of them, and with the Lost of each.
	OnSession func(Session)
	// OnGap is called when durable events could not be had any more. It must not
	// block.
	OnGap func(Gap)

	// Logger gets changes of state, at debug level, and what the server complains of.
	// Nil: silence.
	Logger *slog.Logger
	// TLS configures wss.
	TLS *tls.Config
	// Dial opens the connection; nil is a plain net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	BackoffMin   time.Duration // the first delay is between 0 and this; 500 ms
	BackoffMax   time.Duration // and no delay is longer; 10 s
	DialTimeout  time.Duration // until the WebSocket is open, and then until the session is; 10 s
	WriteTimeout time.Duration // of one frame; 10 s
	RetryAfter   time.Duration // without an answer, a request is sent again; 10 s
	GapAfter     time.Duration // a gap that is not filled makes the client resume; 5 s
	AckEvery     time.Duration // how often Acks are sent; 1 s

	MaxPending int // requests without an answer; 256
	MaxHeld    int // events of a room behind a gap; 1024
	Queue      int // events that wait for OnEvent; 1024
	MaxMessage int // bytes of an incoming frame; 16 MiB
}

func (o *Options) complete() error {
	u, err := url.Parse(o.URL)
	switch {
	case err != nil:
		return err
	case u.Scheme != "ws" && u.Scheme != "wss":
		return errors.New("heddle: the URL must begin with ws:// or wss://")
	case o.Token == "" && o.TokenSource == nil:
		return errors.New("heddle: a Token or TokenSource is needed")
	}
	if o.TokenSource != nil {
		o.Token = ""
	} else {
		token := o.Token
		o.TokenSource = func(context.Context) (string, error) { return token, nil }
	}
	if o.OnEvent == nil {
		o.OnEvent = func(Event) {}
	}
	if o.OnState == nil {
		o.OnState = func(State, error) {}
	}
	if o.OnSession == nil {
		o.OnSession = func(Session) {}
	}
	if o.OnGap == nil {
		o.OnGap = func(Gap) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	o.bounds()
	return nil
}

func (o *Options) bounds() {
	for _, d := range []struct {
		v    *time.Duration
		zero time.Duration
	}{
		{&o.BackoffMin, 500 * time.Millisecond}, {&o.BackoffMax, 10 * time.Second}, {&o.DialTimeout, 10 * time.Second},
		{&o.WriteTimeout, 10 * time.Second}, {&o.RetryAfter, 10 * time.Second}, {&o.GapAfter, 5 * time.Second},
		{&o.AckEvery, time.Second},
	} {
		if *d.v <= 0 {
			*d.v = d.zero
		}
	}
	for _, n := range []struct {
		v    *int
		zero int
	}{{&o.MaxPending, 256}, {&o.MaxHeld, 1024}, {&o.Queue, 1024}, {&o.MaxMessage, 16 << 20}} {
		if *n.v <= 0 {
			*n.v = n.zero
		}
	}
}
