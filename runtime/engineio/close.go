package engineio

import (
	"strconv"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/socket"
)

const (
	normal = 1000 // the close code of RFC 6455 section 7.4.1
	// What follows the close packet at a bare endpoint is no longer than this.
	maxFarewell = 128
	// The POST of a client that says goodbye may overtake its last poll, for which
	// there is still an answer so long.
	lastPoll = time.Second
)

// ending says how a connection is to end: for a fault, or with a code, or because
// of something that happened.
type ending struct {
	kind  fault.Kind
	code  uint16 // if not 0, instead of kind
	text  string
	cause error // if not nil, instead of both
	now   bool  // without what waits
	bye   bool  // the client said so
}

func (e ending) err() error {
	switch {
	case e.cause != nil:
		return e.cause
	case e.code != 0:
		return &socket.CloseError{Code: e.code, Reason: e.text}
	default:
		return &fault.Error{Op: "engineio.close", Kind: e.kind, Msg: e.text}
	}
}

// farewellLocked tells a client at a bare endpoint, behind the close packet, what
// the close frame of a WebSocket would: its code, a space, its reason.
func (c *Conn) farewellLocked() string {
	e := c.ending
	if !c.at.Bare || c.bye != '1' || e.cause != nil {
		return ""
	}
	code, reason := e.code, e.text
	if code == 0 {
		code, reason = e.kind.Close(), e.kind.Code()
		if e.text != "" {
			reason += ": " + e.text
		}
	}
	return socket.Cut(strconv.Itoa(int(code))+" "+reason, maxFarewell)
}

// blame tells of a client that does not keep to the protocol.
func (s *Server) blame(c *Conn) {
	if s.deps.Malformed != nil {
		s.deps.Malformed(c.remote.Addr())
	}
}

// end ends c as e says, whichever transport it is on.
func (c *Conn) end(e ending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLocked(e)
}

func (c *Conn) endLocked(e ending) {
	if ws := c.ws.Load(); ws != nil {
		if e.cause != nil && c.cause == nil {
			c.cause = e.cause
		}
		e.close(ws)
		return
	}
	if c.state == over || c.state == closing && !e.now {
		return
	}
	if c.state == open {
		c.ending, c.cause = e, e.err()
		if e.code == 0 && e.cause == nil {
			c.srv.count.closed[e.kind].Add(1)
		}
	}
	if e.now {
		c.overLocked()
		return
	}
	c.state = closing
	wait := c.srv.deps.CloseTimeout
	if e.bye {
		c.bye, wait = '6', min(wait, lastPoll)
		c.dropLocked()
	}
	c.armLocked(wait)
	c.p.release(true)
	c.p.rouse()
}

// dropLocked drops what waits, but for what is being written.
func (c *Conn) dropLocked() {
	p := c.p
	n := 0
	for _, f := range p.frames {
		n += f.Size()
	}
	p.frames, p.keys, p.ping = nil, nil, false
	c.growLocked(-n)
}

// close ends a WebSocket as e says.
func (e ending) close(ws *socket.Conn) {
	if e.code != 0 {
		ws.Close(e.code, e.text)
		return
	}
	ws.CloseWith(e.kind, e.text)
}

// overLocked ends a connection over polling. Requests under way find out.
func (c *Conn) overLocked() {
	if c.state == over {
		return
	}
	c.state = over
	if c.timer != nil {
		c.timer.Stop()
	}
	if u := c.up; u != nil {
		c.abandonLocked(u)
		u.ws.Close(normal, "")
	}
	p := c.p
	p.frames, p.keys = nil, nil
	c.growLocked(-p.bytes)
	p.release(true)
	p.rouse()
	if !c.using {
		c.buryLocked()
	}
}

// use keeps Closed from being called until yield is. It is false if the connection
// is over.
func (c *Conn) use() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.using = c.state != over
	return c.using
}

func (c *Conn) yield() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.using = false
	if c.state == over && c.ws.Load() == nil {
		c.buryLocked()
	}
}

// buryLocked tells the handler that a connection over polling has ended. It is
// called once.
func (c *Conn) buryLocked() {
	cause, ip, unopened := c.cause, c.remote.Addr(), c.p.unopened
	go func() { // ends with the handler's Closed, which Server.Run waits for
		defer c.srv.live.Done()
		defer c.srv.exit(ip, unopened)
		c.srv.forget(c)
		defer func() {
			if p := recover(); p != nil {
				c.srv.logPanic("closed", p)
			}
		}()
		c.at.Handler.Closed(c, cause)
	}()
}
