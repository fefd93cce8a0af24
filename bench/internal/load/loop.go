package load

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// Loop serves its connections from one thread.
type Loop struct {
	eng *Engine
	ep  int
	buf []byte

	mu       sync.Mutex // guards everything below; held while the loop works
	conns    []*Conn    // by file descriptor
	pending  []*Conn    // still to dial; bounded by the scenario's connections
	inflight int        // handshakes and joins under way
	now      int64      // time of the last read

	since, until int64 // timestamps that count for latency
	latency      Hist
	connects     Hist
	delivered    int64
}

// Do runs f while the loop is between two batches of events.
func (l *Loop) Do(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

// pollMs is how long a loop may sleep before it looks at its context and at what
// is pending.
const pollMs = 5

func (l *Loop) run(ctx context.Context) error {
	runtime.LockOSThread()
	defer l.end()
	events := make([]unix.EpollEvent, 512)
	for ctx.Err() == nil {
		n, err := unix.EpollWait(l.ep, events, pollMs)
		if err != nil && err != unix.EINTR {
			err = fmt.Errorf("load: epoll_wait: %w", err)
			l.eng.fail(err.Error()) // so that whoever waits for connections gives up
			return err
		}
		l.Do(func() { l.turn(events[:max(n, 0)]) })
	}
	return nil
}

// turn handles one batch of events, and dials.
func (l *Loop) turn(events []unix.EpollEvent) {
	for i := range events {
		l.handle(l.conns[events[i].Fd], events[i].Events)
	}
	for l.inflight < l.eng.cfg.Dialing && len(l.pending) > 0 {
		c := l.pending[0]
		l.pending = l.pending[1:]
		l.dial(c)
	}
}

// end resets what is still open.
func (l *Loop) end() {
	l.Do(func() {
		for _, c := range l.conns {
			if c != nil && c.state != closed {
				c.release()
			}
		}
		_ = unix.Close(l.ep)
	})
}

func (l *Loop) watch(fd, op int, events uint32) {
	ev := unix.EpollEvent{Events: events, Fd: int32(fd)}
	if err := unix.EpollCtl(l.ep, op, fd, &ev); err != nil {
		l.eng.fail("epoll_ctl: " + err.Error())
	}
}

func (l *Loop) handle(c *Conn, events uint32) {
	switch {
	case c.state == closed:
		return
	case c.state == dialing:
		if e, _ := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR); e != 0 {
			c.close("connect: " + unix.Errno(e).Error())
			return
		}
		c.state = upgrading
		l.watch(c.fd, unix.EPOLL_CTL_MOD, unix.EPOLLIN)
		c.Send(c.request())
		return
	case events&unix.EPOLLOUT != 0:
		c.flush()
	}
	if events&^unix.EPOLLOUT != 0 {
		l.read(c)
	}
}

func (l *Loop) read(c *Conn) {
	have := copy(l.buf, c.rest)
	if have == len(l.buf) {
		c.close("a frame larger than the read buffer")
		return
	}
	n, err := unix.Read(c.fd, l.buf[have:])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
	case err != nil:
		c.close("read: " + err.Error())
	case n == 0:
		c.close("connection ended by server")
	default:
		l.now = Now()
		c.input(l.buf[:have+n])
	}
}
