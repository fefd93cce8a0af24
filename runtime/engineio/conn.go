package engineio

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
	"unique"

	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/socket"
)

// The states of a connection over polling, in their order. One on WebSocket has
// those of its socket.Conn, and is over when that is closed.
const (
	open    uint8 = iota
	closing       // what waits is given to the next poll, with a close packet
	over          // its id is unknown
)

// What the handler does with a frame, for the heartbeat.
const (
	idle     uint32 = iota
	handling        // silence is the server's own
	excused         // the client had to answer a ping meanwhile
)

// errGone ends a connection whose client has gone away in the middle of a request.
var errGone = errors.New("engineio: the client has gone away")

// Conn is one connection. Its methods may be called by any goroutine and never
// block, but for Drained.
type Conn struct {
	ws   atomic.Pointer[socket.Conn] // once on WebSocket; set under mu
	work atomic.Uint32               // idle, handling or excused

	srv    *Server
	at     *point
	id     string
	value  any
	remote netip.AddrPort
	agent  unique.Handle[string]
	opened int64 // Unix nanoseconds

	mu     sync.Mutex
	state  uint8
	bye    byte // what tells a waiting poll that the connection is over
	using  bool // a handler has it, over polling: Closed comes later
	ending ending
	p      *polled  // nil on WebSocket
	up     *upgrade // to WebSocket, under way
	timer  *time.Timer
	due    time.Duration // when the timer is to strike, on the server's clock
	pinged time.Duration // when the ping that is not answered left, or 0
	cause  error
}

// polled is what a connection has while it is over polling. The fields are guarded
// by the connection's mu.
type polled struct {
	queue
	wake    chan struct{} // has one place: what a GET waits for may have come
	gets    int           // under way; a second one may wait while the first is written
	polled  bool          // a GET came since a ping was excused last
	parked  bool          // a GET waits for something to say
	writing bool          // a GET's answer is under way
	posting bool
	ping    bool          // due
	noop    bool          // due, if nothing else is
	rested  chan struct{} // closed when neither writing nor posting; nil if nobody waits for that
	drains  *drain

	unopened bool // counts against its address
}

func (s *Server) newConn(p *point, h *socket.Handshake, value any) *Conn {
	return &Conn{
		srv: s, at: p, id: s.newID(), value: value, remote: h.Remote,
		agent: h.Agent(), opened: time.Now().UnixNano(), bye: '1',
	}
}

// Of is the connection that c carries, nil if there is none.
func Of(c *socket.Conn) *Conn {
	switch v := c.Value().(type) {
	case *Conn:
		return v
	case *upgrade:
		return v.c
	}
	return nil
}

// ID is what Engine.IO calls sid. Who knows it can take over a connection that
// polls.
func (c *Conn) ID() string { return c.id }

// Remote is the client's address at the handshake, as far as trusted proxies tell.
func (c *Conn) Remote() netip.AddrPort { return c.remote }

// UserAgent is the handshake's header, cut at 256 bytes.
func (c *Conn) UserAgent() string { return c.agent.Value() }

// Opened is when the handshake was admitted.
func (c *Conn) Opened() time.Time { return time.Unix(0, c.opened) }

// Value is what Admit returned, or what SetValue put in its place.
func (c *Conn) Value() any { return c.value }

// SetValue may be called in Open only: later, Value is read without a lock.
func (c *Conn) SetValue(v any) { c.value = v }

// Endpoint is the path of the connection's endpoint.
func (c *Conn) Endpoint() string { return c.at.Path }

// Transport is "polling" or, from the handshake or the upgrade on, "websocket".
func (c *Conn) Transport() string {
	if c.ws.Load() != nil {
		return websocket
	}
	return polling
}

// Queued is the number of bytes that wait to be written.
func (c *Conn) Queued() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ws := c.ws.Load(); ws != nil {
		return ws.Queued()
	}
	return c.p.bytes
}

// Push queues f and never blocks, as that of socket.Conn does, which it is on
// WebSocket. Over polling the same bounds hold.
func (c *Conn) Push(f *frame.Frame) bool {
	if ws := c.ws.Load(); ws != nil {
		return ws.Push(f)
	}
	return c.push(f)
}

// PushAll is Push for several frames under one lock. It stops at the first one that
// closes the connection.
func (c *Conn) PushAll(fs []*frame.Frame) bool {
	if ws := c.ws.Load(); ws != nil {
		return ws.PushAll(fs)
	}
	return c.push(fs...)
}

// drain is somebody who waits for a shorter queue.
type drain struct {
	below int
	done  chan struct{}
	next  *drain
}

// Drained blocks until fewer than below bytes wait. It fails with ctx, or with
// net.ErrClosed when the connection is closed or closing.
func (c *Conn) Drained(ctx context.Context, below int) error {
	for {
		c.mu.Lock()
		if ws := c.ws.Load(); ws != nil {
			c.mu.Unlock()
			return ws.Drained(ctx, below)
		}
		if c.state != open {
			c.mu.Unlock()
			return net.ErrClosed
		}
		if c.p.bytes < below {
			c.mu.Unlock()
			return nil
		}
		d := &drain{below: below, done: make(chan struct{}), next: c.p.drains}
		c.p.drains = d
		p := c.p
		c.mu.Unlock()
		select {
		case <-d.done: // or the connection is upgraded, or it ends
		case <-ctx.Done():
			c.mu.Lock()
			p.leave(d)
			c.mu.Unlock()
			return ctx.Err()
		}
	}
}

// leave takes back what Drained has put in the list.
func (p *polled) leave(d *drain) {
	for at := &p.drains; *at != nil; at = &(*at).next {
		if *at == d {
			*at = d.next
			return
		}
	}
}

// release ends every Drained that has what it waits for, or all of them.
func (p *polled) release(all bool) {
	for at := &p.drains; *at != nil; {
		if d := *at; all || p.bytes < d.below {
			close(d.done)
			*at = d.next
			continue
		}
		at = &(*at).next
	}
}

// rouse has the GET that waits look again.
func (p *polled) rouse() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// rest tells an upgrade that no request is under way any more.
func (p *polled) rest() {
	if p.rested != nil && !p.writing && !p.posting {
		close(p.rested)
		p.rested = nil
	}
}

// CloseWith ends the connection for a reason of one kind. Over WebSocket it is
// socket.Conn.CloseWith. Over polling, what waits is given to the next poll, or more
// of them, with a close packet; all of it within the close timeout. Only the first
// call counts.
func (c *Conn) CloseWith(kind fault.Kind, text string) {
	c.end(ending{kind: kind, text: text})
}

// Close is CloseWith for a code that is no fault's, such as 1000.
func (c *Conn) Close(code uint16, reason string) {
	c.end(ending{code: code, text: reason})
}
