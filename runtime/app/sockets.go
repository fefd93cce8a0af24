package app

import (
	"context"
	"time"

	"github.com/heddle-rt/heddle/runtime/authenticate"
	"github.com/heddle-rt/heddle/runtime/dialect/native"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/session"
	"github.com/heddle-rt/heddle/runtime/socket"
)

// sockets brings connections to sessions.
type sockets struct{ a *App }

var _ authenticate.Subject = (*session.Session)(nil)

// Admit checks the handshake's token, if there is one.
func (s sockets) Admit(ctx context.Context, h *socket.Handshake) (any, error) {
	if h.Token == "" {
		return (*event.Identity)(nil), nil // the first message brings it
	}
	id, err := s.a.verifier.Verify(ctx, h.Token)
	return id, err
}

// Open makes the connection's session.
func (s sockets) Open(c *socket.Conn) error {
	var d session.Dialect = native.JSON{}
	if c.Subprotocol() == (native.MessagePack{}).Name() {
		d = native.MessagePack{}
	}
	id := c.Value().(*event.Identity)
	c.SetValue(s.a.sessions.New(c, d, id, session.Info{
		Remote: c.Remote(), Agent: c.UserAgent(), Transport: "websocket", Opened: time.Now(),
	}))
	return nil
}

// Frame hands a message to the session.
func (s sockets) Frame(c *socket.Conn, payload []byte, binary bool) {
	c.Value().(*session.Session).Frame(context.Background(), payload, binary)
}

// Closed ends the session's connection.
func (s sockets) Closed(c *socket.Conn, _ error) {
	if sess, ok := c.Value().(*session.Session); ok {
		sess.Closed()
	}
}

func (s sockets) quality(c *socket.Conn, q socket.Quality) {
	if sess, ok := c.Value().(*session.Session); ok {
		sess.Quality(q.Grade.String(), q.RTT, q.Jitter, q.Missed)
	}
}
