package socket

import (
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/frame"
)

const (
	// Pings and pongs that may wait; older ones give way, as RFC 6455 section
	// 5.5.3 permits.
	maxControl = 512
	// A backlog whose list has grown beyond this is not kept in the pool.
	maxPooled = 64
)

// backlog is what waits for one connection, in the order in which it is
// written: control frames, messages, the close frame. These are its parts,
// numbered from 0. A connection with nothing to write has none.
type backlog struct {
	control []byte
	frames  []*frame.Frame
	last    []byte         // the close frame
	keys    map[string]int // where a keyed ephemeral frame is; only of a connection that is behind
	dated   bool           // some frames have an end of their time
	next    int            // the first part that is not written whole
	off     int            // how much of it is written
	few     [4]*frame.Frame
}

func newBacklog() any {
	b := new(backlog)
	b.frames = b.few[:0]
	return b
}

// reset makes b fit for the pool.
func (b *backlog) reset() {
	clear(b.frames)
	if cap(b.frames) > maxPooled {
		b.frames = b.few[:]
		clear(b.frames)
	}
	b.frames = b.frames[:0]
	b.control, b.last, b.keys = b.control[:0], nil, nil
	b.next, b.off, b.dated = 0, 0, false
}

func (b *backlog) parts() int { return len(b.frames) + 2 }

func (b *backlog) part(i int, c *Conn) []byte {
	switch {
	case i == 0:
		return b.control
	case i <= len(b.frames):
		return c.wire(b.frames[i-1])
	default:
		return b.last
	}
}

func (b *backlog) done() bool { return b.next >= b.parts() }

// chunk returns what to write next, at most cap(buf) bytes, and the number of
// the part behind it. A large part is returned as it is; others are copied into
// buf, since one system call costs more than copying what it writes.
func (b *backlog) chunk(buf []byte, c *Conn) (p []byte, end int) {
	parts, off := b.parts(), b.off
	for i := b.next; i < parts; i++ {
		w := b.part(i, c)[off:]
		switch {
		case len(buf) > 0 || len(w) == 0:
		case i == parts-2 && len(b.last) == 0:
			return w, parts // all there is
		case len(w) > cap(buf)/2:
			return w, i + 1
		}
		if len(buf)+len(w) > cap(buf) {
			return buf, i
		}
		buf, off = append(buf, w...), 0
	}
	return buf, parts
}

// advance notes that n bytes more are written.
func (b *backlog) advance(n int, c *Conn) {
	for !b.done() {
		w := len(b.part(b.next, c)) - b.off
		if n < w {
			b.off += n
			return
		}
		n -= w
		b.next, b.off = b.next+1, 0
	}
}

// cut drops all but the part that is half written.
func (b *backlog) cut() {
	b.last, b.keys = nil, nil
	keep := 0 // how many messages
	if b.off > 0 {
		keep = min(b.next, len(b.frames))
	} else {
		b.next = 0
	}
	if b.next > 0 || b.off == 0 {
		b.control = b.control[:0]
	}
	clear(b.frames[keep:])
	b.frames = b.frames[:keep]
}

// size is the number of bytes that are left to write.
func (b *backlog) size(c *Conn) int {
	n := -b.off
	for i := b.next; i < b.parts(); i++ {
		n += len(b.part(i, c))
	}
	return n
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

// Push queues f and never blocks. It reports whether the connection is open; an
// ephemeral frame may be merged or shed nevertheless. A frame of another class
// that does not fit closes the connection with SlowConsumer. A frame larger than
// the whole bound fits if nothing else waits.
func (c *Conn) Push(f *frame.Frame) bool {
	n := len(c.wire(f)) // compresses, if need be, outside the lock
	c.mu.Lock()
	v := c.queueLocked(f, n)
	first := v == queued && c.scheduleLocked()
	c.mu.Unlock()
	if first {
		c.flusher.add(c)
	}
	return c.settleVerdict(v)
}

// PushAll is Push for several frames under one lock. It stops at the first one
// that closes the connection.
func (c *Conn) PushAll(fs []*frame.Frame) bool {
	for _, f := range fs {
		c.wire(f)
	}
	v, first := queued, false
	c.mu.Lock()
	for _, f := range fs {
		v = c.queueLocked(f, len(c.wire(f)))
		if v >= refused {
			break
		}
		if v != queued {
			c.flusher.count(v)
			continue
		}
		first = c.scheduleLocked() || first
	}
	c.mu.Unlock()
	if first {
		c.flusher.add(c)
	}
	if v < refused {
		return true
	}
	return c.settleVerdict(v)
}

func (c *Conn) settleVerdict(v verdict) bool {
	switch v {
	case queued:
		return true
	case overflow:
		c.end(ending{kind: fault.SlowConsumer, cut: true})
		return false
	case refused:
		return false
	default:
		c.flusher.count(v)
		return true
	}
}

// queueLocked puts f, of n bytes on the wire, where it belongs.
func (c *Conn) queueLocked(f *frame.Frame, n int) verdict {
	if c.state.Load() != open {
		return refused
	}
	bound := int(c.srv.cfg.Queue.Bytes)
	if f.Class() == frame.Ephemeral {
		if c.mergeLocked(f, n) {
			return merged
		}
		if c.bytes+n > bound/2 || c.srv.load.pressure.Load() >= pressureShed {
			return shed
		}
	} else if c.bytes+n > bound && c.bytes > 0 {
		return overflow
	}
	b := c.outLocked()
	if (c.behindLocked() || b.keys != nil) && f.Class() == frame.Ephemeral && f.Key() != "" {
		if b.keys == nil {
			b.keys = make(map[string]int)
		}
		b.keys[f.Key()] = len(b.frames)
	}
	b.frames = append(b.frames, f)
	b.dated = b.dated || f.Dated()
	c.growLocked(n)
	return queued
}

// behindLocked tells whether the client takes less than it is sent. One that is
// written to by a goroutine of its own is, while that has something in hand.
func (c *Conn) behindLocked() bool { return c.waiting || c.raw == nil && c.busy != nil }

// mergeLocked puts f in the place of the frame with its key that waits already.
// Only a connection that is behind has an index of keys, which is kept until its
// backlog is taken: a newer frame must not end up before an older one.
func (c *Conn) mergeLocked(f *frame.Frame, n int) bool {
	if c.out == nil || f.Key() == "" {
		return false
	}
	i, ok := c.out.keys[f.Key()]
	if !ok {
		return false
	}
	c.growLocked(n - len(c.wire(c.out.frames[i])))
	c.out.frames[i] = f
	c.out.dated = c.out.dated || f.Dated()
	return true
}

// expireLocked puts what is to be sent instead in the place of frames whose time
// is over, but for one that is half written.
func (c *Conn) expireLocked(b *backlog, now int64) {
	first := b.next // as a part, it is the frame after the one of that number
	if first > 0 && b.off == 0 {
		first--
	}
	for i := first; i < len(b.frames); i++ {
		f := b.frames[i]
		if g := f.At(now); g != f {
			c.growLocked(len(c.wire(g)) - len(c.wire(f)))
			b.frames[i] = g
		}
	}
}

// outLocked is the backlog that may still be changed.
func (c *Conn) outLocked() *backlog {
	if c.out == nil {
		c.out = c.srv.backlogs.Get().(*backlog)
	}
	return c.out
}

func (c *Conn) growLocked(n int) {
	c.bytes += n
	c.flusher.queued.Add(int64(n))
}

// scheduleLocked reports whether the caller must add c to its flusher's list.
func (c *Conn) scheduleLocked() bool {
	first := !c.listed
	c.listed = true
	return first
}

// control queues a ping or pong ahead of the messages that wait.
func (c *Conn) control(p []byte) {
	c.mu.Lock()
	if c.state.Load() != open {
		c.mu.Unlock()
		return
	}
	b := c.outLocked()
	if old := len(b.control); old+len(p) > maxControl {
		b.control = b.control[:0]
		c.growLocked(-old)
	}
	b.control = append(b.control, p...)
	c.growLocked(len(p))
	first := c.scheduleLocked()
	c.mu.Unlock()
	if first {
		c.flusher.add(c)
	}
}
