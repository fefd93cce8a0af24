package socket

import (
	"crypto/tls"
	"errors"
	"os"
	"time"
	"unicode/utf8"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// ending says how a connection is to end: for a fault, or with a code.
type ending struct {
	kind   fault.Kind
	code   uint16 // if not 0, instead of kind
	text   string
	remote bool // answers the client's close frame
	bare   bool // with a close frame that has no code
	cut    bool // without what waits
	abrupt bool // without waiting for the client
}

func (e ending) frame() []byte {
	switch {
	case e.bare:
		return closeFrame(0, "")
	case e.code != 0:
		return closeFrame(e.code, e.text)
	case e.text == "":
		return closeFrame(e.kind.Close(), e.kind.Code())
	default:
		return closeFrame(e.kind.Close(), e.kind.Code()+": "+e.text)
	}
}

func (e ending) cause() error {
	if e.code != 0 || e.bare {
		return &CloseError{Code: e.code, Reason: e.text, Remote: e.remote}
	}
	return &fault.Error{Op: "socket.close", Kind: e.kind, Msg: e.text}
}

// end queues the close frame. From then on the flusher, or whoever waits for
// the socket, leads the connection to its death within the close timeout.
func (c *Conn) end(e ending) {
	p := e.frame()
	c.mu.Lock()
	if c.state.Load() != open {
		c.mu.Unlock()
		return
	}
	c.state.Store(closing)
	c.cause, c.abrupt = e.cause(), e.abrupt
	c.closeBy = c.srv.clock() + c.srv.cfg.CloseTimeout
	if e.cut {
		c.cutLocked()
	}
	b := c.outLocked()
	b.last = p
	c.growLocked(len(p))
	c.wakeLocked()
	if c.waiting || c.raw == nil {
		_ = c.net.SetWriteDeadline(c.writeBy())
	}
	stuck := e.abrupt && c.waiting
	first := c.scheduleLocked()
	c.srv.count.ending(e) // before anybody can see that it ends
	c.mu.Unlock()
	switch {
	case stuck:
		c.shut(nil)
	case first:
		c.flusher.add(c)
	}
}

// cutLocked drops what waits. What a flusher has in hand is left to settle.
func (c *Conn) cutLocked() {
	if c.out != nil {
		c.out.cut()
	}
	if c.busy != nil && !c.waiting {
		c.mustCut = true
		return
	}
	if c.busy != nil {
		c.busy.cut()
	}
	c.recountLocked()
}

// recountLocked counts what waits anew, after a cut.
func (c *Conn) recountLocked() {
	n := 0
	for _, b := range [...]*backlog{c.busy, c.out} {
		if b != nil {
			n += b.size(c)
		}
	}
	c.growLocked(n - c.bytes)
}

// flushedLast goes on when the close frame is written: the client gets the
// close timeout to answer it. Only the direction of writing is shut, because
// closing a socket with unread input would reset it and may take the close frame
// away from the client.
func (c *Conn) flushedLast() {
	c.mu.Lock()
	over := c.readDone || c.abrupt
	c.mu.Unlock()
	if over {
		c.shut(nil)
		return
	}
	_ = c.net.SetReadDeadline(time.Now().Add(c.srv.cfg.CloseTimeout))
	if half, ok := c.net.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// shut closes the network connection and drops what waits. It may be called
// more than once.
func (c *Conn) shut(cause error) {
	c.mu.Lock()
	if c.state.Load() == dead {
		c.mu.Unlock()
		return
	}
	c.state.Store(dead)
	if c.cause == nil {
		c.cause = cause
		c.srv.count.cut(cause)
	}
	if c.waiting {
		c.busy = nil // otherwise its writer lets go of it
	}
	c.out = nil
	c.growLocked(-c.bytes)
	c.wakeLocked()
	c.mu.Unlock()
	nc := c.net
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn() // TLS would say goodbye first, and may block
	}
	_ = nc.Close()
	c.letGo()
}

// letGo gives up the connection's place in the server when both its reader and
// its network connection have ended.
func (c *Conn) letGo() {
	c.mu.Lock()
	c.holders--
	over := c.holders == 0
	c.mu.Unlock()
	if over {
		c.srv.leave()
	}
}

// isTimeout tells a deadline from other failures.
func isTimeout(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded)
}

// Cut is s cut to at most n bytes, not within a rune.
func Cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
