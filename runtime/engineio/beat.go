package engineio

import (
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// armLocked sets the connection's timer.
func (c *Conn) armLocked(d time.Duration) {
	c.due = c.srv.clock() + d
	if c.timer == nil {
		c.timer = time.AfterFunc(d, c.strike)
		return
	}
	c.timer.Reset(d)
}

// begins starts the heartbeat after the handler's Open.
func (c *Conn) begins() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == open {
		c.armLocked(c.srv.cfg.PingInterval)
	}
}

// strike is what the timer does: it sends a ping, ends a connection whose ping is
// not answered, or one that has been closing for too long. A client can not answer
// while its last message has the handler busy: it gets its time after that.
func (c *Conn) strike() {
	w := c.at.witness
	if w != nil {
		w.Pinging(c)
	}
	if c.beat() && w != nil {
		w.Pinged(c)
	}
}

// beat is strike; it reports whether a ping has left behind all that was pushed before.
func (c *Conn) beat() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.srv.clock()
	switch {
	case c.state == over || now < c.due: // it was set again while it struck
	case c.state == closing && c.ws.Load() != nil: // it was upgraded meanwhile, and package socket ends it
	case c.state == closing:
		c.overLocked()
	case c.pinged == 0:
		c.pinged = now
		c.armLocked(max(c.due-now, -c.srv.cfg.PingTimeout/2) + c.srv.cfg.PingTimeout) // less what the timer was late
		if ws := c.ws.Load(); ws != nil {
			return ws.Push(c.srv.ping)
		}
		c.p.ping = true
		c.p.rouse()
	case c.ws.Load() == nil && c.excuseLocked():
		c.p.noop = c.p.parked // a poll has waited for long enough
		c.p.rouse()
		c.armLocked(c.srv.cfg.PingTimeout)
	case c.ws.Load() != nil && c.work.CompareAndSwap(handling, excused):
	default:
		c.endLocked(ending{kind: fault.HeartbeatTimeout, now: true})
	}
	return false
}

// excuseLocked tells whether a client over polling is excused that has not answered its
// ping: its last message has the handler busy, for the first time or while it polls. The
// handler may wait for just that.
func (c *Conn) excuseLocked() bool {
	first := c.work.CompareAndSwap(handling, excused)
	polls := c.p.polled || c.p.gets > 0
	c.p.polled = false
	return first || polls && c.work.Load() == excused
}

// lateLocked does what the timer is about to do: a request does not come in time
// because that is late.
func (c *Conn) lateLocked() {
	if c.state == open && c.pinged != 0 && c.srv.clock() >= c.due && c.work.Load() == idle {
		c.endLocked(ending{kind: fault.HeartbeatTimeout, now: true})
	}
}

// pong takes in the client's answer to a ping.
func (c *Conn) pong() {
	c.mu.Lock()
	sent := c.pinged
	c.pinged = 0
	if sent != 0 && c.state == open {
		c.armLocked(c.srv.cfg.PingInterval)
	}
	c.mu.Unlock()
	if ws := c.ws.Load(); ws != nil && sent != 0 {
		ws.Measured(c.srv.clock() - sent)
		if c.at.witness != nil {
			c.at.witness.Ponged(c)
		}
	}
}

// frame gives the handler a message.
func (c *Conn) frame(payload []byte, binary bool) {
	c.work.Store(handling)
	defer c.handled()
	c.at.Handler.Frame(c, payload, binary)
}

// handled gives a client its time that could not answer while the handler was busy.
func (c *Conn) handled() {
	if c.work.Swap(idle) != excused {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == open && c.pinged != 0 {
		c.armLocked(c.srv.cfg.PingTimeout)
	}
}
