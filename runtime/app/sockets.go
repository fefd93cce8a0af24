package app

import (
	"context"

	"github.com/heddle-rt/heddle/runtime/authenticate"
	"github.com/heddle-rt/heddle/runtime/dialect/native"
	"github.com/heddle-rt/heddle/runtime/engineio"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/session"
	"github.com/heddle-rt/heddle/runtime/socket"
)

// sockets brings connections to sessions: those of the native protocol by itself, others
// by way of the engine.
type sockets struct{ a *App }

var _ authenticate.Subject = (*session.Session)(nil)

// admitted is what Admit has found out about a connection.
type admitted struct {
	id  *event.Identity // nil: the first message has to bring the token
	err error           // of the token, to be told by a close code
}

// Admit checks the handshake's token, if there is one. Browsers do not show a
// page the status of a refused handshake: a token from the subprotocol list is
// refused by a close code.
func (s sockets) Admit(ctx context.Context, h *socket.Handshake) (any, error) {
	if s.a.engine.paths[h.Path] {
		return s.a.engine.upgrades.Admit(ctx, h)
	}
	return s.admit(ctx, h)
}

func (s sockets) admit(ctx context.Context, h *socket.Handshake) (any, error) {
	ip := h.Remote.Addr()
	if err := s.a.suspects.Admit(nil, ip); err != nil {
		return nil, err
	}
	if h.Token == "" {
		return admitted{}, nil
	}
	id, err := s.a.verifier.handshake(ctx, h.Token, h.Remote)
	if err == nil {
		if err = s.a.suspects.Admit(id, ip); err == nil {
			err = s.a.quotas.Full(id.Tenant)
		}
	}
	s.a.suspects.Token(ip, err)
	if err != nil {
		s.a.log.Debug("a token was refused", "remote", h.Remote, "error", err)
		if !h.TokenOffered {
			return nil, err
		}
	}
	return admitted{id, err}, nil
}

// Open makes the connection's session.
func (s sockets) Open(c *socket.Conn) error {
	var d session.Dialect = native.JSON{}
	if c.Subprotocol() == (native.MessagePack{}).Name() {
		d = native.MessagePack{}
	}
	from, ok := c.Value().(admitted)
	switch {
	case !ok:
		return s.a.engine.upgrades.Open(c)
	case from.err != nil:
		return from.err
	}
	c.SetValue(s.a.sessions.New(c, d, from.id, "websocket"))
	return nil
}

// Frame hands a message to the session.
func (s sockets) Frame(c *socket.Conn, payload []byte, binary bool) {
	if sess, ok := c.Value().(*session.Session); ok {
		sess.Frame(payload, binary)
		return
	}
	s.a.engine.upgrades.Frame(c, payload, binary)
}

// Closed ends the session's connection.
func (s sockets) Closed(c *socket.Conn, cause error) {
	switch v := c.Value().(type) {
	case *session.Session:
		s.a.leave(v)
	case admitted: // it was not opened
	default:
		s.a.engine.upgrades.Closed(c, cause)
	}
}

func (s sockets) quality(c *socket.Conn, q socket.Quality) {
	if sess, ok := c.Value().(*session.Session); ok {
		sess.Quality(q.Grade.String(), q.RTT, q.Jitter, q.Missed)
	} else if x := engineio.Of(c); x != nil && s.a.engine.socketio != nil {
		s.a.engine.socketio.Quality(x, q.Grade.String(), q.RTT, q.Jitter, q.Missed)
	}
}
