package engineio

import (
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/frame"
)

// queue is what waits for a connection over polling, in the order in which it is
// written. Its rules are those of package socket's: sizes are the frames' on
// WebSocket, so that what fits here fits there after an upgrade.
type queue struct {
	frames []*frame.Frame
	keys   map[string]int // where a keyed ephemeral frame is
	bytes  int            // of frames, and of those whose answer is under way
}

// verdict is what became of a frame.
type verdict uint8

const (
	queued verdict = iota
	merged
	shed
	refused  // the connection is closing
	overflow // it does not fit, and must be kept
)

// push is Push and PushAll over polling.
func (c *Conn) push(fs ...*frame.Frame) bool {
	c.mu.Lock()
	if ws := c.ws.Load(); ws != nil { // since a moment
		c.mu.Unlock()
		return ws.PushAll(fs)
	}
	v := queued
	for _, f := range fs {
		if v = c.queueLocked(f); v >= refused {
			break
		}
		switch v {
		case merged:
			c.srv.count.merged.Add(1)
		case shed:
			c.srv.count.shed.Add(1)
		}
	}
	if len(c.p.frames) > 0 {
		c.p.rouse()
	}
	c.mu.Unlock()
	if v == overflow {
		c.end(ending{kind: fault.SlowConsumer, now: true})
	}
	return v < refused
}

// queueLocked puts f where it belongs.
func (c *Conn) queueLocked(f *frame.Frame) verdict {
	if c.state != open {
		return refused
	}
	p, n, bound := c.p, f.Size(), int(c.srv.deps.Queue.Bytes)
	if f.Class() == frame.Ephemeral {
		if i, ok := p.keys[f.Key()]; ok {
			c.growLocked(n - p.frames[i].Size())
			p.frames[i] = f
			return merged
		}
		if p.bytes+n > bound/2 || c.srv.deps.Sockets.Shedding() {
			return shed
		}
		if f.Key() != "" {
			if p.keys == nil {
				p.keys = make(map[string]int)
			}
			p.keys[f.Key()] = len(p.frames)
		}
	} else if p.bytes+n > bound && p.bytes > 0 {
		return overflow
	}
	p.frames = append(p.frames, f)
	c.growLocked(n)
	return queued
}

func (c *Conn) growLocked(n int) {
	c.p.bytes += n
	c.srv.count.queued.Add(int64(n))
	c.srv.deps.Sockets.Hold(int64(n))
	if n < 0 {
		c.p.release(false)
	}
}

// dropFirst drops n frames, which an answer has.
func (q *queue) dropFirst(n int) {
	if n == len(q.frames) {
		q.frames, q.keys = nil, nil
		return
	}
	q.frames = q.frames[n:]
	for k, i := range q.keys {
		if i < n {
			delete(q.keys, k)
		} else {
			q.keys[k] = i - n
		}
	}
}

// answer is what a GET is told.
type answer struct {
	ping   bool
	frames []*frame.Frame
	bytes  int  // of frames, as the queue counts them
	size   int  // of the answer, at most
	noop   bool // there is nothing to say
	bye    byte // the packet that ends the connection, or 0

	farewell string // follows bye
}

func (a *answer) empty() bool { return !a.ping && len(a.frames) == 0 && !a.noop && a.bye == 0 }

// takeLocked takes out of the queue what an answer may hold.
func (c *Conn) takeLocked() (a answer) {
	p := c.p
	a.ping, p.ping = p.ping, false
	a.size = len("2\x1e\x1e1") + maxFarewell
	most, now := int(c.srv.cfg.MaxPayload), time.Now().UnixMilli()
	n := 0
	for _, f := range p.frames {
		g := f.At(now)
		size := encodedSize(g, c.at.Bare)
		if a.size+size > most && len(a.frames) > 0 {
			break
		}
		n++
		if g.Size() == 0 { // its time is over
			c.growLocked(-f.Size())
			continue
		}
		p.frames[len(a.frames)] = g
		a.frames = p.frames[:len(a.frames)+1]
		a.bytes += f.Size()
		a.size += size
	}
	p.dropFirst(n)
	if c.state == closing && len(p.frames) == 0 {
		a.bye, a.farewell = c.bye, c.farewellLocked()
	}
	a.noop = p.noop && a.empty()
	p.noop = false
	return a
}
