package main

import (
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	batch    = 64 << 10 // bytes of one write
	maxQueue = 8 << 10  // frames a connection may queue before it is dropped
)

// outbox is a connection whose writes are queued.
type outbox struct {
	net.Conn
	f     *flusher
	raw   syscall.RawConn
	write func(fd uintptr) bool // o.writeNow
	p     []byte                // what writeNow writes
	n     int                   // what it wrote

	mu      sync.Mutex
	queue   [][]byte
	spare   [][]byte
	waiting bool // a flusher knows of the queue
}

func newOutbox(c net.Conn, p pool) *outbox {
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		panic(err) // c is no socket
	}
	o := &outbox{Conn: c, f: p.next(), raw: raw}
	o.write = o.writeNow
	return o
}

// Write is for gws, which writes handshakes and control frames.
func (o *outbox) Write(p []byte) (int, error) {
	o.push(append([]byte(nil), p...))
	return len(p), nil
}

// push queues one frame, which nobody may change any more.
func (o *outbox) push(frame []byte) {
	o.mu.Lock()
	o.queue = append(o.queue, frame)
	n, first := len(o.queue), !o.waiting
	o.waiting = true
	o.mu.Unlock()
	if first {
		o.f.add(o)
	}
	if n > maxQueue {
		_ = o.Conn.Close() // the reader sees it
	}
}

// flush writes all that is queued, using buf. Only the connection's flusher
// calls it, and not again while a goroutine waits for a full socket.
func (o *outbox) flush(buf []byte) {
	o.mu.Lock()
	frames := o.queue
	o.queue, o.spare = o.spare[:0], nil
	o.mu.Unlock()
	buf = buf[:0]
	for i, f := range frames {
		buf = append(buf, f...)
		if len(buf) < batch && i < len(frames)-1 {
			continue
		}
		if n := o.try(buf); n < len(buf) {
			for _, f := range frames[i+1:] {
				buf = append(buf, f...)
			}
			go o.wait(append([]byte(nil), buf[n:]...)) // ends when the socket takes it, or is closed
			return
		}
		buf = buf[:0]
	}
	clear(frames)
	o.mu.Lock()
	if cap(frames) <= 64 {
		o.spare = frames
	}
	o.waiting = len(o.queue) > 0
	again := o.waiting
	o.mu.Unlock()
	if again {
		o.f.add(o)
	}
}

// wait writes p when the socket has room, then gives the connection back.
func (o *outbox) wait(p []byte) {
	if _, err := o.Conn.Write(p); err != nil {
		_ = o.Conn.Close()
		return
	}
	o.f.add(o)
}

// try writes what the socket takes at once.
func (o *outbox) try(p []byte) int {
	o.p, o.n = p, 0
	_ = o.raw.Write(o.write)
	o.p = nil
	return max(o.n, 0)
}

func (o *outbox) writeNow(fd uintptr) bool {
	o.n, _ = unix.Write(int(fd), o.p)
	return true
}
