package socket

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/heddle-rt/heddle/runtime/frame"
)

// BenchmarkPush is one frame for 1000 connections, without writing it.
func BenchmarkPush(b *testing.B) {
	s, err := New(defaults(b), Deps{Handler: newApp()})
	if err != nil {
		b.Fatal(err)
	}
	conns := make([]*Conn, 1000)
	for i := range conns {
		conns[i] = s.newConn(nil, new(Handshake), nil)
	}
	f := message(strings.Repeat("x", 128), frame.Durable, "")
	b.ReportAllocs()
	for b.Loop() {
		for _, c := range conns {
			c.Push(f)
		}
		for _, fl := range s.flushers { // what a flusher does, but for the system call
			for _, c := range fl.list {
				w := c.take()
				_, end := w.chunk(fl.buf[:0], c)
				w.next, w.off = end, 0
				c.settle(w, c.bytes, nil)
			}
			fl.list = fl.list[:0]
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/delivery")
}

// BenchmarkFlush writes one frame after the other to one socket.
func BenchmarkFlush(b *testing.B) {
	a := newApp()
	s := serve(b, a, nil)
	c := upgrade(b, s)
	conn := <-a.opened
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = io.Copy(io.Discard, c) }) // ends with the connection
	defer wg.Wait()
	defer func() { _ = c.Conn.(*net.TCPConn).Close() }()
	f := message(strings.Repeat("x", 128), frame.Durable, "")
	b.ReportAllocs()
	for b.Loop() {
		if conn.Queued() > 256<<10 {
			if err := conn.Drained(context.Background(), 64<<10); err != nil {
				b.Fatal(err)
			}
		}
		if !conn.Push(f) {
			b.Fatal("closed")
		}
	}
	st := s.Stats()
	b.ReportMetric(float64(st.FramesOut)/float64(max(st.Writes, 1)), "frames/write")
}
