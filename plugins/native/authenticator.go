package native

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc"

	"github.com/heddle-rt/heddle/plugins/native/wire"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// Credentials are what a client brings with its handshake.
type Credentials struct {
	Tenant    string // empty: the plugin's only one, or the one that its answer names
	Token     string
	Remote    string // the client's address; empty if it is not known
	Transport string // "websocket"
}

// Authenticator asks a plugin who tokens speak for.
type Authenticator struct {
	supervisor
	line *exchange[Credentials, *wire.Decision]
	deps Deps
}

func newAuthenticator(cfg Config, deps Deps) *Authenticator {
	a := &Authenticator{deps: deps}
	// A directory that is slow is not a program that hangs.
	a.line = newExchange[Credentials, *wire.Decision](&a.supervisor, 3*cfg.Timeout, a.connect)
	a.init(cfg, deps, a.line)
	return a
}

const opAuthenticate = "native.Authenticate"

// maxToken bounds a token in bytes.
const maxToken = 8 << 10

// Authenticate says who a token speaks for, at most Config.Timeout later. Errors are
// *fault.Error: what the plugin refuses in its own words, a kind of the protocol
// (Unauthenticated, TokenExpired, Forbidden, RateLimited, Unavailable); Unavailable when
// the plugin does not answer, or when too many wait; Unauthenticated when its answer is
// of a tenant that it is not for; Internal when it is no identity of the tenant.
func (a *Authenticator) Authenticate(ctx context.Context, c Credentials) (*event.Identity, error) {
	if len(c.Token) > maxToken {
		return nil, &fault.Error{Op: opAuthenticate, Kind: fault.Unauthenticated, Msg: fmt.Sprintf("the token has %d bytes: it may have %d", len(c.Token), maxToken)}
	}
	if !utf8.ValidString(c.Token) { // no string of the protocol
		return nil, &fault.Error{Op: opAuthenticate, Kind: fault.Unauthenticated, Msg: "the token is not UTF-8"}
	}
	if c.Tenant == "" && len(a.cfg.Tenants) == 1 {
		c.Tenant = a.cfg.Tenants[0]
	}
	if c.Tenant != "" && !a.Serves(c.Tenant) {
		return nil, &fault.Error{Op: opAuthenticate, Kind: fault.Unauthenticated, Msg: "the token is not one of this tenant"}
	}
	ctx, cancel := context.WithTimeout(ctx, a.cfg.Timeout)
	defer cancel()
	type outcome struct {
		decision *wire.Decision
		err      error
	}
	answered := make(chan outcome, 1)
	asked := &call[Credentials, *wire.Decision]{
		item: c, size: len(c.Tenant) + len(c.Token) + len(c.Remote) + len(c.Transport),
		done: func(d *wire.Decision, err error) { answered <- outcome{d, err} },
	}
	if err := a.line.put(asked); err != nil {
		return nil, unavailable(err)
	}
	select {
	case o := <-answered:
		if o.err != nil {
			return nil, unavailable(o.err)
		}
		return a.decide(&c, o.decision)
	case <-ctx.Done():
		a.line.forget(asked)
		if errors.Is(ctx.Err(), context.DeadlineExceeded) { // otherwise nobody wants to know any more
			a.stats.failed.Add(1)
		}
		return nil, unavailable(ctx.Err())
	}
}

// retryAfter is how long a client should wait whose token was not looked at.
const retryAfter = time.Second

func unavailable(cause error) error {
	msg := "the service that checks tokens does not answer now"
	if errors.Is(cause, errFull) {
		msg = "too many tokens wait to be checked"
	}
	return &fault.Error{Op: opAuthenticate, Kind: fault.Unavailable, Msg: msg, After: retryAfter, Err: cause}
}

// Stats reads the counters.
func (a *Authenticator) Stats() Stats { return a.read(a.line.depth) }

func (a *Authenticator) connect(ctx context.Context, conn grpc.ClientConnInterface) (flow[Credentials, *wire.Decision], error) {
	stream, err := wire.NewAuthenticatorClient(conn).Authenticate(ctx)
	if err != nil {
		return nil, err
	}
	if err := opened(stream); err != nil {
		return nil, err
	}
	return tokens{stream, uint32(a.cfg.Timeout.Milliseconds())}, nil
}

// opened waits for the headers that a program sends when it is ready. A stream that was
// refused has none, and says why only when it is read.
func opened[Q, A any](stream grpc.BidiStreamingClient[Q, A]) error {
	header, err := stream.Header()
	if err == nil && header == nil {
		_, err = stream.Recv()
	}
	return err
}

// tokens is the stream of an authenticator.
type tokens struct {
	stream    grpc.BidiStreamingClient[wire.Tokens, wire.Decisions]
	timeoutMS uint32
}

func (t tokens) send(batch []*call[Credentials, *wire.Decision]) error {
	out := &wire.Tokens{Tokens: make([]*wire.Token, len(batch)), TimeoutMs: t.timeoutMS}
	for i, c := range batch {
		out.Tokens[i] = &wire.Token{Number: c.number, Tenant: c.item.Tenant, Token: c.item.Token, Remote: c.item.Remote, Transport: c.item.Transport}
	}
	return t.stream.Send(out)
}

func (t tokens) recv() ([]answer[*wire.Decision], error) {
	in, err := t.stream.Recv()
	if err != nil {
		return nil, err
	}
	out := make([]answer[*wire.Decision], len(in.Decisions))
	for i, d := range in.Decisions {
		out[i] = answer[*wire.Decision]{d.Number, d}
	}
	return out, nil
}

func (t tokens) finish() error { return t.stream.CloseSend() }
