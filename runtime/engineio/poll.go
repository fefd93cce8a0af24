package engineio

import (
	"context"
	"errors"
	"net/http"
	"os"
	"slices"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// open tells the handler of a connection over polling. If that refuses it, so does
// the handshake.
func (c *Conn) open() (refused *refusal) {
	defer c.yield()
	defer func() {
		if p := recover(); p != nil {
			c.srv.logPanic("open", p)
			c.end(ending{kind: fault.Internal, now: true})
			refused = failed.refusal()
		}
	}()
	if err := c.at.Handler.Open(c); err != nil {
		f := fault.Of(err)
		c.end(ending{kind: f.Kind, text: f.Msg, now: true})
		return notAdmitted(err)
	}
	c.begins()
	return nil
}

// poll answers a GET when there is something to say.
func (s *Server) poll(w http.ResponseWriter, r *http.Request, c *Conn) {
	a, f := c.await(r.Context())
	switch {
	case f != nil:
		s.refuse(w, c.at, f)
		return
	case a.empty():
		return // the client has gone away
	}
	buf := s.buffers.Get().(*[]byte)
	text := a.append(slices.Grow((*buf)[:0], a.size), c.at.Bare)
	s.count.polls.Add(1)
	s.count.bytesOut.Add(uint64(len(text)))
	c.leaving(w)
	err := s.write(w, text)
	s.putBuffer(buf, text)
	c.answered(&a, err)
}

// leaving has the client close the network connection behind an answer, if it is about to
// need no more of them: an idle one would keep its place for a minute.
func (c *Conn) leaving(w http.ResponseWriter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.up != nil || c.state != open || c.ws.Load() != nil {
		w.Header().Set("Connection", "close")
	}
}

func (s *Server) putBuffer(buf *[]byte, used []byte) {
	if cap(used) <= maxBuffer {
		*buf = used[:0]
	}
	s.buffers.Put(buf)
}

// await takes what a GET is to be told. It is empty if the client goes away
// meanwhile, which ends the connection: what was sent to it last may be lost.
func (c *Conn) await(ctx context.Context) (answer, *refusal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.requestLocked(); f != nil {
		return answer{}, f
	}
	p := c.p
	if p.gets > 1 || p.gets == 1 && !p.writing {
		c.endLocked(ending{kind: fault.Conflict, text: "two polls at once", now: true})
		return answer{}, overlap.refusal()
	}
	p.gets, p.polled = p.gets+1, true
	defer func() { p.parked = false }()
	for {
		switch {
		case c.ws.Load() != nil:
			p.gets--
			return answer{}, onWebSocket.refusal()
		case c.state == over && p.parked:
			p.writing = true
			return answer{bye: c.bye, farewell: c.farewellLocked()}, nil
		case c.state == over:
			p.gets--
			return answer{}, unknownSID.refusal()
		case !p.writing: // otherwise an answer is on its way, which must come first
			p.parked = true
			if a := c.takeLocked(); !a.empty() {
				p.writing = true
				return a, nil
			}
		}
		if !c.rousedLocked(ctx, p) && c.ws.Load() == nil {
			p.gets--
			c.endLocked(ending{cause: errGone, now: true})
			return answer{}, nil
		}
	}
}

// rousedLocked waits, without the lock, until a GET may have something to say. It is
// false if the client has gone away instead.
func (c *Conn) rousedLocked(ctx context.Context, p *polled) bool {
	c.mu.Unlock()
	defer c.mu.Lock()
	select {
	case <-p.wake:
		return true
	case <-ctx.Done():
		return false
	}
}

// requestLocked refuses a request on a connection that is over or on WebSocket.
func (c *Conn) requestLocked() *refusal {
	if c.ws.Load() != nil {
		return onWebSocket.refusal()
	}
	c.lateLocked()
	if c.state == over {
		return unknownSID.refusal()
	}
	return nil
}

// answered follows an answer, which the network took or, with err, may not have.
// Then the connection ends, since nobody knows what the client has got.
func (c *Conn) answered(a *answer, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.p
	p.gets--
	p.writing = false
	p.rest()
	p.rouse()
	if c.state == over {
		return
	}
	c.growLocked(-a.bytes)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.endLocked(ending{kind: fault.SlowConsumer, now: true})
	case err != nil:
		c.endLocked(ending{cause: errGone, now: true})
	case a.bye != 0:
		c.overLocked()
	}
}
