package load

import (
	"sync"

	"golang.org/x/sys/unix"
)

// Conn is one client connection.
type Conn struct {
	Room   string
	Number int            // counts the engine's connections from 0
	Step   int            // for the driver: how far the join has got
	Part   []byte         // for the driver: a protocol message cut off by a frame's end
	OnAck  func(at int64) // called in the loop for each acknowledged publish, with the time of its arrival

	Session  string // for the driver: what continues the connection's session
	OnJoined func() // called in the loop when the connection has become a member, or one again

	loop  *Loop
	fd    int
	state state
	began int64
	rest  []byte // an incomplete frame or handshake response

	mu  sync.Mutex // guards out, and writes to fd
	out []byte     // what the socket has not yet taken; bounded by what a scenario publishes
}

type state byte

const (
	dialing state = iota
	upgrading
	joining
	ready
	closed
)

// Loop is the loop that serves the connection.
func (c *Conn) Loop() *Loop { return c.loop }

// Send writes p, keeping what the socket does not take at once.
func (c *Conn) Send(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == closed {
		return
	}
	if len(c.out) == 0 {
		n, err := unix.Write(c.fd, p)
		if err != nil && err != unix.EAGAIN {
			return // the loop sees the error when it reads
		}
		if p = p[max(n, 0):]; len(p) == 0 {
			return
		}
		c.loop.watch(c.fd, unix.EPOLL_CTL_MOD, unix.EPOLLIN|unix.EPOLLOUT)
	}
	c.out = append(c.out, p...)
}

// flush sends more of what Send kept.
func (c *Conn) flush() {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, _ := unix.Write(c.fd, c.out) // the loop sees an error when it reads
	c.out = c.out[:copy(c.out, c.out[max(n, 0):])]
	if len(c.out) == 0 {
		c.out = nil
		c.loop.watch(c.fd, unix.EPOLL_CTL_MOD, unix.EPOLLIN)
	}
}

// Joined marks the connection as a member of its room.
func (c *Conn) Joined() {
	if c.state != joining {
		return
	}
	c.state = ready
	l := c.loop
	l.connects.Add(Now() - c.began)
	l.inflight--
	l.eng.lastJoin.Store(Now())
	l.eng.joined.Add(1)
	if c.OnJoined != nil {
		c.OnJoined()
	}
}

// Deliver counts one chat message, whose body is in msg as it was sent, and the
// time since its timestamp.
func (c *Conn) Deliver(msg []byte) { c.DeliverAfter(msg, StampKey) }

// DeliverAfter is Deliver for a body in another encoding: the digits of the
// timestamp follow the first key in msg.
func (c *Conn) DeliverAfter(msg []byte, key string) {
	l := c.loop
	ts, ok := timestamp(msg, key)
	if !ok {
		c.Fail("no timestamp in: " + string(msg[:min(len(msg), 200)]))
		return
	}
	l.delivered++
	if ts >= l.since && ts < l.until {
		l.latency.Add(l.now - ts)
	}
}

// Ack reports that one publish of this connection was accepted.
func (c *Conn) Ack() {
	if c.OnAck != nil {
		c.OnAck(c.loop.now)
	}
}

// Fail counts an unexpected reply; the first is kept for the report.
func (c *Conn) Fail(what string) { c.loop.eng.fail(what) }

// close ends the connection. The loop's lock is held.
func (c *Conn) close(why string) {
	if c.state == closed {
		return
	}
	c.release()
	c.loop.eng.closed.Add(1)
	c.Fail(why)
}

// release gives the socket back.
func (c *Conn) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != ready {
		c.loop.inflight--
	}
	c.state = closed
	if c.fd >= 0 {
		_ = unix.Close(c.fd) // the connection is reset: nothing is left to lose
	}
}
