package engineio

import (
	"encoding/base64"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/socket"
)

// post takes in a POST.
func (s *Server) post(w http.ResponseWriter, r *http.Request, c *Conn) {
	if f := c.beginPost(); f != nil {
		s.refuse(w, c.at, f)
		return
	}
	buf := s.buffers.Get().(*[]byte)
	body, f := s.body(w, r, (*buf)[:0])
	if f == nil {
		f = c.take(body)
	}
	switch {
	case f == nil:
		s.count.posts.Add(1)
		s.count.bytesIn.Add(uint64(len(body)))
	case f.reason == badRequest || f.reason == overloaded: // the client does not know what was taken in
		c.end(ending{cause: errGone, now: true})
	case f.reason == tooLarge || f.reason == malformed:
		c.end(ending{kind: f.fault.Kind, now: true})
	}
	s.putBuffer(buf, body)
	c.endPost()
	if f != nil {
		s.refuse(w, c.at, f)
		return
	}
	c.leaving(w)
	_ = s.write(w, []byte("ok")) // the heartbeat finds out whether the client is there
}

func (c *Conn) beginPost() *refusal {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.requestLocked(); f != nil {
		return f
	}
	if c.p.posting {
		c.endLocked(ending{kind: fault.Conflict, text: "two POSTs at once", now: true})
		return overlap.refusal()
	}
	c.p.posting = true
	return nil
}

func (c *Conn) endPost() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.p.posting = false
	c.p.rest()
}

// take handles a payload.
func (c *Conn) take(payload []byte) (f *refusal) {
	if !c.use() {
		return unknownSID.refusal()
	}
	defer c.yield()
	defer func() {
		if p := recover(); p != nil {
			c.srv.logPanic("frame", p)
			c.CloseWith(fault.Internal, "")
			f = failed.refusal()
		}
	}()
	if !packets(payload, c.polledPacket) {
		c.srv.blame(c)
		return malformed.refusal()
	}
	return nil
}

// polledPacket handles one packet of a payload. What follows one that ends the
// connection, or comes when it is closing, is seen by nobody.
func (c *Conn) polledPacket(p []byte) bool {
	c.mu.Lock()
	listening := c.state == open
	c.mu.Unlock()
	if !listening {
		return true
	}
	if len(p) == 0 || p[0] != 'b' {
		return c.packet(p)
	}
	raw, err := base64.StdEncoding.AppendDecode(nil, p[1:])
	if err != nil {
		return false
	}
	c.frame(raw, true)
	return true
}

// packet handles a packet of text. It is false if there is no such packet.
func (c *Conn) packet(p []byte) bool {
	if len(p) == 0 {
		return false
	}
	switch p[0] {
	case '4':
		c.frame(p[1:], false)
	case '3':
		c.pong()
	case '1':
		c.end(ending{cause: &socket.CloseError{Code: normal, Remote: true}, code: normal, bye: true})
	case '6':
	default:
		return false
	}
	return true
}

// body reads a POST. A client has as long for it as it may be silent.
func (s *Server) body(w http.ResponseWriter, r *http.Request, buf []byte) ([]byte, *refusal) {
	most := int(s.cfg.MaxPayload)
	if r.ContentLength > int64(most) {
		return buf, tooLarge.refusal()
	}
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(s.cfg.PingInterval + s.cfg.PingTimeout))
	defer func() { _ = rc.SetReadDeadline(time.Time{}) }()
	held := int64(0) // of the node's budget: who sends slowly takes memory
	defer func() { s.deps.Sockets.Hold(-held) }()
	for {
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, 1)
		}
		n, err := r.Body.Read(buf[len(buf):min(cap(buf), most+1)])
		buf = buf[:len(buf)+n]
		s.deps.Sockets.Hold(int64(n))
		held += int64(n)
		switch {
		case len(buf) > bufferSize && s.deps.Sockets.Shedding():
			return buf, overloaded.refusal()
		case len(buf) > most:
			return buf, tooLarge.refusal()
		case err == io.EOF:
			return buf, nil
		case err != nil:
			return buf, badRequest.refusal()
		}
	}
}
