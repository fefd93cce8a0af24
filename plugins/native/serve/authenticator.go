package serve

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/heddle-rt/heddle/plugins/native/wire"
)

// Credentials are what a client brings with its handshake.
type Credentials struct {
	Tenant    string // empty: the identity has to name it
	Token     string
	Remote    string // address and port of the client, as far as they are known
	Transport string // "websocket"
}

// Identity is who a token speaks for.
type Identity struct {
	Tenant    string // may be empty if the credentials name it
	User      string
	Device    string    // empty: the client names one
	Subject   string    // empty: the user
	TokenID   string    // by which the token can be revoked
	Issued    time.Time // zero: not known
	Expires   time.Time // zero: never
	EveryRoom bool      // no restriction; otherwise Rooms and Limited alone are granted
	Rooms     []string  // patterns
	Limited   []Grant
	Metadata  []byte // a JSON object, or nil
}

// Grant is some actions in the rooms of a pattern.
type Grant struct {
	Room    string
	Actions []string
}

// Refusal is an error that the client gets to see.
type Refusal struct {
	Code    string // one of the constants
	Message string // one sentence without a full stop
	After   time.Duration
}

// Codes of refusals; the last two mean that the client may try again.
const (
	Unauthenticated = "unauthenticated"
	TokenExpired    = "token_expired"
	Forbidden       = "forbidden"
	RateLimited     = "rate_limited"
	Unavailable     = "unavailable"
)

func (r *Refusal) Error() string { return r.Code + ": " + r.Message }

// Refuse makes a Refusal.
func Refuse(code, message string) error { return &Refusal{Code: code, Message: message} }

// atOnce bounds the tokens that are looked at at the same time.
const atOnce = 256

// Authenticator serves decide until the node stops. An error that is not a Refusal is
// written to the log, and refuses the client as unavailable.
func Authenticator(decide func(context.Context, Credentials) (*Identity, error)) {
	a := &authenticator{decide: decide, log: Log()}
	a.register = func(s *grpc.Server) { wire.RegisterAuthenticatorServer(s, a) }
	a.run(wire.KindAuthenticator)
}

type authenticator struct {
	service
	wire.UnimplementedAuthenticatorServer
	decide func(context.Context, Credentials) (*Identity, error)
	log    *slog.Logger
}

// Authenticate is the stream. Its goroutines end with it.
func (a *authenticator) Authenticate(stream grpc.BidiStreamingServer[wire.Tokens, wire.Decisions]) error {
	a.calls.Add(1)
	defer a.calls.Done()
	if err := stream.SendHeader(nil); err != nil {
		return err
	}
	decided := make(chan *wire.Decision, atOnce)
	sent := make(chan struct{})
	go func() { defer close(sent); answer(stream, decided) }()
	slots := make(chan struct{}, atOnce)
	var calls sync.WaitGroup
	defer func() { calls.Wait(); close(decided); <-sent }()
	for {
		in, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		for _, t := range in.Tokens {
			slots <- struct{}{}
			calls.Go(func() { decided <- a.one(stream.Context(), t, in.TimeoutMs); <-slots })
		}
	}
}

// answer sends decisions, as many as there are at once. After an error they are nobody's.
func answer(stream grpc.BidiStreamingServer[wire.Tokens, wire.Decisions], decided <-chan *wire.Decision) {
	var err error
	for d := range decided {
		out := &wire.Decisions{Decisions: []*wire.Decision{d}}
		for n := len(decided); n > 0; n-- {
			out.Decisions = append(out.Decisions, <-decided)
		}
		if err == nil {
			err = stream.Send(out)
		}
	}
}

func (a *authenticator) one(ctx context.Context, t *wire.Token, ms uint32) *wire.Decision {
	ctx, cancel := within(ctx, ms)
	defer cancel()
	id, err := a.decide(ctx, Credentials{Tenant: t.Tenant, Token: t.Token, Remote: t.Remote, Transport: t.Transport})
	if err == nil && id == nil {
		err = errors.New("neither an identity nor an error")
	}
	if err == nil {
		return &wire.Decision{Number: t.Number, Decision: &wire.Decision_Identity{Identity: id.wire()}}
	}
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		a.log.Error("a token could not be checked", "error", err)
		refusal = &Refusal{Code: Unavailable, Message: "the token cannot be checked now"}
	}
	return &wire.Decision{Number: t.Number, Decision: &wire.Decision_Refusal{Refusal: &wire.Refusal{
		Code: refusal.Code, Message: refusal.Message, AfterMs: milliseconds(refusal.After),
	}}}
}

func (id *Identity) wire() *wire.Identity {
	out := &wire.Identity{
		Tenant: id.Tenant, User: id.User, Device: id.Device, Subject: id.Subject, TokenId: id.TokenID,
		Issued: millis(id.Issued), Expires: millis(id.Expires), EveryRoom: id.EveryRoom, Rooms: id.Rooms, Metadata: id.Metadata,
	}
	for _, g := range id.Limited {
		out.Limited = append(out.Limited, &wire.Grant{Room: g.Room, Actions: g.Actions})
	}
	return out
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
