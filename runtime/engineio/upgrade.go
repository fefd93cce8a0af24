package engineio

import (
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/socket"
)

// While an upgrade is under way, a poll is kept for no longer than this, because the
// client waits for its end.
const probeEvery = 100 * time.Millisecond

// upgrade is a WebSocket of a connection that polls, which is to take over. Its mu
// is the connection's.
type upgrade struct {
	c     *Conn
	ws    *socket.Conn
	over  chan struct{} // closed when it is given up
	timer *time.Timer
	by    time.Duration // when it is given up, on the server's clock
	done  bool          // it has taken over; of the reading goroutine
}

// join begins an upgrade. It is nil if there is one already, or was: the reference
// server accepts the WebSocket of such a client and closes it, and so do we.
func (c *Conn) join(ws *socket.Conn) *upgrade {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == over || c.up != nil || c.ws.Load() != nil {
		return nil
	}
	wait := c.srv.cfg.UpgradeTimeout
	u := &upgrade{c: c, ws: ws, over: make(chan struct{}), by: c.srv.clock() + wait}
	u.timer = time.AfterFunc(wait, u.tick)
	c.up = u
	return u
}

// tick ends an upgrade that takes too long, or lets go of a poll.
func (u *upgrade) tick() {
	c := u.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.up != u {
		return
	}
	left := u.by - c.srv.clock()
	if left <= 0 {
		c.abandonLocked(u)
		u.ws.CloseWith(fault.HandshakeTimeout, "the upgrade was not completed")
		return
	}
	c.p.noop = c.p.parked
	c.p.rouse()
	u.timer.Reset(min(left, probeEvery))
}

// abandonLocked ends an upgrade. The connection goes on to poll.
func (c *Conn) abandonLocked(u *upgrade) {
	if c.up != u {
		return
	}
	c.up = nil
	close(u.over)
	u.timer.Stop()
	c.srv.count.unfinished.Add(1)
}

// frame handles what comes over the WebSocket.
func (u *upgrade) frame(p []byte, binary bool) {
	switch {
	case u.done:
		u.c.socketFrame(p, binary)
	case !binary && string(p) == "2probe":
		u.probe()
	case !binary && len(p) > 0 && p[0] == '5':
		u.complete()
	default:
		u.fail()
	}
}

// probe answers the client, which then waits for the end of its polls.
func (u *upgrade) probe() {
	c := u.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.up != u {
		return
	}
	u.ws.Push(c.srv.probed)
	c.p.noop = c.p.parked
	c.p.rouse()
	u.timer.Reset(min(u.by-c.srv.clock(), probeEvery))
}

func (u *upgrade) fail() {
	c := u.c
	c.mu.Lock()
	c.abandonLocked(u)
	c.mu.Unlock()
	c.srv.blame(c)
	u.ws.CloseWith(fault.Malformed, "not a probe")
}

// complete moves the connection to the WebSocket. What the client has sent in a POST
// comes first, and so does what an answer to a poll holds: for both it waits, though
// a client that follows the protocol has nothing under way.
func (u *upgrade) complete() {
	c := u.c
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.up == u && (c.p.posting || c.p.writing) {
		if c.p.rested == nil {
			c.p.rested = make(chan struct{})
		}
		rested := c.p.rested
		c.mu.Unlock()
		select {
		case <-rested:
		case <-u.over:
		}
		c.mu.Lock()
	}
	if c.up != u {
		return
	}
	p := c.p
	c.up, c.p, u.done = nil, nil, true
	u.timer.Stop()
	if p.ping {
		u.ws.Push(c.srv.ping)
	}
	u.ws.PushAll(p.frames)
	c.srv.count.queued.Add(int64(-p.bytes))
	c.srv.deps.Sockets.Hold(int64(-p.bytes))
	c.ws.Store(u.ws)
	p.release(true)
	p.rouse()
	c.srv.exit(c.remote.Addr(), p.unopened)
	c.srv.count.sockets.Add(1)
	c.srv.count.upgraded.Add(1)
	c.srv.live.Done()
	if c.state == closing {
		c.timer.Stop()
		c.ending.close(u.ws)
	}
}
