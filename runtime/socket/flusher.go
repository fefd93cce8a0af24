package socket

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
)

const (
	// What one system call writes at most, but for single larger frames.
	batchBytes = 64 << 10
	// After so many connections a flusher lets others run, readers above all.
	turn = 16
)

// errStalled is a write that took longer than it may.
var errStalled = errors.New("socket: the client takes nothing")

// flusher writes for its connections, one after the other. It never blocks: a
// socket that is full is left to a goroutine of its own (await), a connection
// that cannot be written without blocking, such as TLS, always is (writeOut).
//
// Its list is bounded by the number of its connections, each of which is in it
// at most once.
type flusher struct {
	mu   sync.Mutex
	list []*Conn
	wake chan struct{}

	queued atomic.Int64 // bytes that wait for its connections
	_      [48]byte     // the counters below are the flusher's alone, mostly

	frames, writes, bytes, blocked atomic.Uint64
	merged, shed, received         atomic.Uint64

	load  *load
	buf   []byte
	write func(fd uintptr) bool // f.writeNow, kept because RawConn would allocate it
	p     []byte                // what writeNow writes
	n     int                   // what it wrote
	err   error
}

func newFlusher(l *load) *flusher {
	f := &flusher{wake: make(chan struct{}, 1), load: l, buf: make([]byte, 0, batchBytes)}
	f.write = f.writeNow
	return f
}

func (f *flusher) count(v verdict) {
	switch v {
	case merged:
		f.merged.Add(1)
	case shed:
		f.shed.Add(1)
	}
}

// add puts c on the list; c.listed is set.
func (f *flusher) add(c *Conn) {
	f.mu.Lock()
	f.list = append(f.list, c)
	first := len(f.list) == 1
	f.mu.Unlock()
	if first {
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
}

// run flushes until ctx ends. What is still listed then belongs to connections
// that have been closed.
func (f *flusher) run(ctx context.Context) {
	var list []*Conn
	for {
		select {
		case <-f.wake:
		case <-ctx.Done():
			return
		}
		if d := f.load.wait(); d > 0 {
			time.Sleep(d)
		}
		f.mu.Lock()
		list, f.list = f.list, list[:0]
		f.mu.Unlock()
		for i, c := range list {
			f.flush(c)
			if i%turn == turn-1 {
				runtime.Gosched()
			}
		}
		clear(list)
	}
}

// flush writes what waits for c. Nobody else does meanwhile: c is listed.
func (f *flusher) flush(c *Conn) {
	b := c.take()
	if b == nil {
		return
	}
	if c.raw == nil {
		c.srv.group.Go(func() { c.writeOut(b) }) // ended by the write timeout
		return
	}
	n, err := f.send(c, b)
	switch c.settle(b, n, err) {
	case goOn:
		f.add(c)
	case block:
		f.blocked.Add(1)
		c.srv.group.Go(c.await) // ended by the write timeout
	}
}

// send writes b until all is written or the socket is full, and returns the
// number of bytes written.
func (f *flusher) send(c *Conn, b *backlog) (n int, err error) {
	for !b.done() {
		p, end := b.chunk(f.buf[:0], c)
		if len(p) == 0 {
			b.next, b.off = end, 0
			continue
		}
		w, err := f.try(c.raw, p)
		n += w
		f.writes.Add(1)
		if err != nil {
			return n, err
		}
		if w < len(p) {
			b.advance(w, c)
			break
		}
		b.next, b.off = end, 0
	}
	f.bytes.Add(uint64(n))
	return n, nil
}

// try writes what the socket takes at once.
func (f *flusher) try(raw syscall.RawConn, p []byte) (int, error) {
	f.p, f.n, f.err = p, 0, nil
	err := raw.Write(f.write)
	f.p = nil
	if err == nil {
		err = f.err
	}
	return f.n, err
}

func (f *flusher) writeNow(fd uintptr) bool {
	f.n, f.err = writeNow(fd, f.p)
	return true
}

// next is what follows a write.
type next uint8

const (
	rest  next = iota // nothing waits, or the connection is gone
	goOn              // more came meanwhile
	block             // the socket is full
)

// take starts a write: it returns what is half written, or what waits.
func (c *Conn) take() *backlog {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Load() == dead {
		c.busy = nil
		return nil
	}
	if c.busy == nil {
		c.busy, c.out = c.out, nil
	}
	switch {
	case c.busy == nil:
		c.listed = false
	case c.busy.dated:
		c.expireLocked(c.busy, time.Now().UnixMilli())
	}
	return c.busy
}

// settle ends a write of n bytes of b.
func (c *Conn) settle(b *backlog, n int, err error) next {
	c.mu.Lock()
	if c.state.Load() == dead {
		c.busy = nil // its bytes are accounted for
		c.mu.Unlock()
		return rest
	}
	c.growLocked(-n)
	c.wakeLocked()
	if c.mustCut {
		c.mustCut = false
		if !b.done() {
			b.cut()
		}
		c.recountLocked()
	}
	if err != nil {
		c.busy = nil
		c.mu.Unlock()
		c.shut(err)
		return rest
	}
	if !b.done() {
		c.waiting = true
		c.mu.Unlock()
		return block
	}
	c.busy = nil
	last := b.last != nil
	more := c.out != nil
	c.listed = more
	if last {
		c.state.Store(flushed)
	}
	c.mu.Unlock()
	c.flusher.frames.Add(uint64(len(b.frames)))
	b.reset()
	c.srv.backlogs.Put(b)
	if last {
		c.flushedLast()
		return rest
	}
	if more {
		return goOn
	}
	return rest
}

// await waits until the socket has room, then gives c back to its flusher. It
// holds no buffer, so that ten thousand slow clients cost ten thousand small
// stacks and their queues.
func (c *Conn) await() {
	c.mu.Lock()
	_ = c.net.SetWriteDeadline(c.writeBy())
	c.mu.Unlock()
	looked := false
	err := c.raw.Write(func(fd uintptr) bool {
		if looked {
			return true // the poller says so
		}
		looked = true
		return writable(fd) // it may have got room before the poller was asked
	})
	c.mu.Lock()
	c.waiting = false
	_ = c.net.SetWriteDeadline(time.Time{})
	c.mu.Unlock()
	if err != nil {
		c.shut(c.stalled(err))
		return
	}
	c.flusher.add(c)
}

// writeOut writes all that waits for a connection which cannot be written
// without blocking.
func (c *Conn) writeOut(b *backlog) {
	f, buf := c.flusher, c.srv.buffers.Get().(*[]byte)
	defer c.srv.buffers.Put(buf)
	for b != nil {
		n, err := 0, error(nil)
		for !b.done() && err == nil {
			c.mu.Lock()
			if b.dated {
				c.expireLocked(b, time.Now().UnixMilli())
			}
			_ = c.net.SetWriteDeadline(c.writeBy())
			c.mu.Unlock()
			p, end := b.chunk((*buf)[:0], c)
			var w int
			if len(p) > 0 {
				w, err = c.net.Write(p)
				f.writes.Add(1)
			}
			n += w
			b.next, b.off = end, 0
		}
		f.bytes.Add(uint64(n))
		if err != nil {
			err = c.stalled(err)
		}
		if c.settle(b, n, err) != goOn {
			return
		}
		b = c.take()
	}
}

// writeBy is the deadline of a write that starts now. The caller holds c.mu.
func (c *Conn) writeBy() time.Time {
	by := c.srv.clock() + c.srv.cfg.Queue.WriteTimeout
	if c.closeBy != 0 {
		by = min(by, c.closeBy)
	}
	return c.srv.start.Add(by)
}

func (c *Conn) stalled(err error) error {
	if isTimeout(err) {
		return &fault.Error{Op: "socket.write", Kind: fault.SlowConsumer, Err: errStalled}
	}
	return err
}
