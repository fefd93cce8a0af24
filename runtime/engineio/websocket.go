package engineio

import (
	"context"
	"net/url"

	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/socket"
)

// Upgrade serves the WebSockets at the paths of the endpoints.
func (s *Server) Upgrade() socket.Handler { return sockets{s} }

type sockets struct{ s *Server }

type (
	// arriving is a WebSocket that begins a connection.
	arriving struct{ c *Conn }
	// joining is a WebSocket that wants to take over a connection.
	joining struct{ c *Conn }
)

// Admit judges a handshake.
func (h sockets) Admit(ctx context.Context, hs *socket.Handshake) (any, error) {
	value, f := h.admit(ctx, hs)
	if f != nil {
		h.s.count.refused[f.reason].Add(1)
		return nil, f.upgrade()
	}
	hs.Quiet = true // the heartbeat is Engine.IO's
	return value, nil
}

func (h sockets) admit(ctx context.Context, hs *socket.Handshake) (any, *refusal) {
	p := h.s.points[hs.Path]
	if p == nil {
		return nil, unknownTransport.refusal()
	}
	q, err := url.ParseQuery(hs.Query)
	if err != nil {
		return nil, badRequest.refusal()
	}
	if p.Bare || q.Get("transport") != websocket {
		return nil, unknownTransport.refusal()
	}
	if id := q.Get("sid"); id != "" {
		c, f := h.s.find(p, id)
		return joining{c}, f
	}
	switch {
	case q.Get("EIO") != revision:
		return nil, badVersion.refusal()
	case h.s.stopping():
		return nil, draining.refusal()
	}
	value, err := h.s.admit(ctx, p, hs)
	if err != nil {
		return nil, notAdmitted(err)
	}
	return arriving{h.s.newConn(p, hs, value)}, nil
}

// Open makes the connection, or begins an upgrade of the one there is.
func (h sockets) Open(ws *socket.Conn) error {
	switch v := ws.Value().(type) {
	case joining:
		u := v.c.join(ws)
		if u == nil {
			h.s.count.refused[onWebSocket].Add(1)
			return &fault.Error{Kind: fault.Conflict, Msg: "the connection has a WebSocket"}
		}
		ws.SetValue(u)
	case arriving:
		c := v.c
		c.ws.Store(ws)
		ws.SetValue(c)
		ws.Push(packet(h.s.greeting(c, []string{})))
		h.s.count.openedSockets.Add(1)
		h.s.count.sockets.Add(1)
		if err := c.at.Handler.Open(c); err != nil {
			return err
		}
		c.begins()
	}
	return nil
}

// Frame handles a message.
func (h sockets) Frame(ws *socket.Conn, payload []byte, binary bool) {
	switch v := ws.Value().(type) {
	case *Conn:
		v.socketFrame(payload, binary)
	case *upgrade:
		v.frame(payload, binary)
	}
}

// socketFrame handles a message of a connection that is on WebSocket.
func (c *Conn) socketFrame(payload []byte, binary bool) {
	if binary {
		c.frame(payload, true)
		return
	}
	if !c.packet(payload) {
		c.srv.blame(c)
		c.end(ending{kind: fault.Malformed, text: "not a packet of Engine.IO"})
	}
}

// Closed ends the connection of a WebSocket, or the upgrade.
func (h sockets) Closed(ws *socket.Conn, cause error) {
	switch v := ws.Value().(type) {
	case *Conn:
		v.closed(cause)
	case *upgrade:
		if v.done {
			v.c.closed(cause)
			return
		}
		v.c.mu.Lock()
		v.c.abandonLocked(v)
		v.c.mu.Unlock()
	}
}

// closed ends a connection on WebSocket.
func (c *Conn) closed(cause error) {
	c.mu.Lock()
	c.state = over
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.cause != nil {
		cause = c.cause
	}
	c.mu.Unlock()
	c.srv.forget(c)
	c.srv.count.sockets.Add(-1)
	c.at.Handler.Closed(c, cause)
}
