package engineio

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/runtime/frame"
)

// BenchmarkPush compares pushes to one WebSocket: as a connection of Engine.IO, and
// as package socket's. The difference is what Engine.IO costs.
func BenchmarkPush(b *testing.B) {
	f := message(strings.Repeat("x", 200), frame.Durable, "")
	for _, bm := range []struct {
		name string
		push func(*Conn) func(*frame.Frame) bool
	}{
		{"engineio", func(c *Conn) func(*frame.Frame) bool { return c.Push }},
		{"socket", func(c *Conn) func(*frame.Frame) bool { return c.ws.Load().Push }},
	} {
		b.Run(bm.name, func(b *testing.B) {
			a := newApp()
			n := serve(b, a, nil)
			w := n.socket("/engine.io/?EIO=4&transport=websocket")
			go func() { _, _ = io.Copy(io.Discard, w.br) }() // ends with the connection
			c := receive(b, "open", a.opened)
			push := bm.push(c)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if !push(f) {
					b.Fatal("closed")
				}
				if i%64 == 63 {
					if err := c.Drained(context.Background(), 64<<10); err != nil {
						b.Fatal(err)
					}
				}
			}
			_ = w.Close()
		})
	}
}

// BenchmarkPoll is a message and the poll that takes it.
func BenchmarkPoll(b *testing.B) {
	a := newApp()
	n := serve(b, a, nil)
	p := n.dial("/engine.io/")
	c := receive(b, "open", a.opened)
	f := message(strings.Repeat("x", 200), frame.Durable, "")
	b.ReportAllocs()
	for b.Loop() {
		c.Push(f)
		p.expect(200, string(f.Payload()))
	}
}
