package socket

import (
	"net"
	"time"

	"github.com/lxzan/gws"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// Until its close frame is answered, a client may send this much more that
// nobody reads.
const lingerBytes = 1 << 20

// gws reads through a bufio.Reader. The smallest one there is does, because
// stream has buffers of its own.
const smallestBufio = 16

// reading is what the reading goroutine alone uses.
type reading struct {
	buf      *[]byte // from the pool, while there are bytes in it
	at, till int     // of the bytes in buf that are not read yet
	readNow  func(fd uintptr) bool
	readErr  error // what ended the reading
	said     bool  // the client has sent a close frame
}

// stream is a Conn as gws sees it: a net.Conn whose reads need no buffer while
// nothing comes, and whose writes go through the outbound queue.
type stream Conn

// Read gives gws what the client sent. RawConn.Read calls readNow (raw_unix.go)
// whenever the socket may have input, so that a buffer is taken only then.
func (s *stream) Read(p []byte) (int, error) {
	c := (*Conn)(s)
	if c.at == c.till {
		if c.raw == nil {
			c.dropBuffer()
			n, err := c.net.Read(p)
			c.heard(n, err)
			return n, err
		}
		err := c.raw.Read(c.readNow)
		if err == nil {
			err = c.readErr
		}
		c.heard(c.till-c.at, err)
		if err != nil {
			return 0, err
		}
	}
	n := copy(p, (*c.buf)[c.at:c.till])
	c.at += n
	return n, nil
}

func (c *Conn) dropBuffer() {
	if c.buf == nil {
		return
	}
	if len(*c.buf) == int(c.srv.cfg.ReadBuffer) {
		c.srv.buffers.Put(c.buf)
	}
	c.buf, c.at, c.till = nil, 0, 0
}

// heard notes a sign of life, or the end.
func (c *Conn) heard(n int, err error) {
	if err != nil {
		c.readErr = err
	}
	if n > 0 && c.life.Load() != alive {
		c.life.Store(alive)
	}
}

// Write gets the answer to the handshake, which goes out at once under the
// handshake's deadline, and then close frames alone: all else is queued by us.
func (s *stream) Write(p []byte) (int, error) {
	c := (*Conn)(s)
	if c.opened == 0 {
		return c.net.Write(p)
	}
	if c.readErr == nil && len(p) >= 2 && p[0] == 0x88 {
		c.end(answer(p[2:]))
	}
	return len(p), nil
}

// answer is gws's close frame in our words. The reason of one that echoes the
// client's is empty.
func answer(body []byte) ending {
	if len(body) < 2 {
		return ending{bare: true, remote: true}
	}
	code, text := uint16(body[0])<<8|uint16(body[1]), string(body[2:])
	switch {
	case text == "" && code != 1002 && code != 1007:
		return ending{code: code, remote: true}
	case code == 1002:
		return ending{code: code, text: fault.Malformed.Code() + ": not RFC 6455"}
	case code == 1007:
		return ending{code: code, text: fault.Malformed.Code() + ": not UTF-8"}
	case code == 1009:
		return ending{code: code, text: fault.TooLarge.Code()}
	case code != 1011:
		return ending{code: code, text: text}
	}
	// gws knows no other internal error than a message that cannot be inflated.
	if text == gwsTooLarge {
		return ending{code: 1009, text: fault.TooLarge.Code() + ": inflated"}
	}
	return ending{code: 1007, text: fault.Malformed.Code() + ": not deflated data"}
}

// gwsTooLarge is what gws says of a message that grew too large in inflating,
// under the code of an internal error.
const gwsTooLarge = "gws: message too large"

// Close does nothing: gws calls it before its ReadLoop returns, and run ends the
// connection after that.
func (s *stream) Close() error { return nil }

func (s *stream) LocalAddr() net.Addr  { return s.net.LocalAddr() }
func (s *stream) RemoteAddr() net.Addr { return s.net.RemoteAddr() }

// Deadlines are ours: gws would set them for its handshake, which has one.
func (s *stream) SetDeadline(time.Time) error      { return nil }
func (s *stream) SetReadDeadline(time.Time) error  { return nil }
func (s *stream) SetWriteDeadline(time.Time) error { return nil }

// run is the connection's goroutine. It ends with the network connection, which
// closing bounds in time.
func (c *Conn) run(g *gws.Conn) {
	defer c.ended()
	g.ReadLoop()
}

// ended follows the last frame.
func (c *Conn) ended() {
	if p := recover(); p != nil { // of gws: the handler's panics end in events
		c.srv.logPanic("reading", p)
		c.end(ending{code: 1002, text: fault.Malformed.Code() + ": not RFC 6455"})
	}
	c.srv.wheel.remove(c)
	c.mu.Lock()
	if c.cause == nil {
		c.cause = c.readErr
	}
	cause := c.cause
	c.mu.Unlock()
	c.srv.closed(c, cause)

	c.linger()
	c.dropBuffer()
	c.mu.Lock()
	c.readDone = true
	over := c.state.Load() != closing || c.readErr != nil
	c.mu.Unlock()
	if over {
		c.shut(nil)
	}
	c.letGo()
}

// linger reads away what a client sends that does not know yet that its
// connection is closed for a fault. It ends with the client's answer or the
// close timeout.
func (c *Conn) linger() {
	if c.readErr != nil || c.said {
		return
	}
	buf := c.srv.buffers.Get().(*[]byte)
	defer c.srv.buffers.Put(buf)
	for total := 0; total < lingerBytes && c.readErr == nil; {
		var n int
		n, c.readErr = c.net.Read(*buf)
		total += n
	}
}
