package engineio

import (
	"context"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/frame"
)

func TestDurableFramesThatDoNotFit(t *testing.T) {
	a := newApp()
	n := serve(t, a, func(s *settings) { s.socket.Queue.Bytes = 10000 })
	p := n.dial("/engine.io/")
	c := receive(t, "open", a.opened)
	if !c.Push(message(strings.Repeat("x", 20000), frame.Durable, "")) {
		t.Fatal("a large frame alone does not fit")
	}
	if c.Queued() != 20005 || n.Stats().QueuedBytes != 20005 || n.sockets.Stats().QueuedBytes != 20005 {
		t.Errorf("%d bytes wait", c.Queued())
	}
	if c.PushAll([]*frame.Frame{message("y", frame.Durable, ""), message("z", frame.Durable, "")}) {
		t.Error("more fits")
	}
	if cause := receive(t, "closed", a.closed); !fault.Is(cause, fault.SlowConsumer) {
		t.Errorf("%v", cause)
	}
	p.unknown()
	if s := n.Stats(); s.Closed[fault.SlowConsumer] != 1 || s.QueuedBytes != 0 {
		t.Errorf("%+v", s)
	}
}

func TestEphemeralFrames(t *testing.T) {
	a := newApp()
	n := serve(t, a, func(s *settings) { s.socket.Queue.Bytes = 10000 })
	p := n.dial("/engine.io/")
	c := receive(t, "open", a.opened)
	for _, f := range []*frame.Frame{
		message("a1", frame.Ephemeral, "a"), message("d", frame.Durable, ""), message("b1", frame.Ephemeral, "b"),
		message("a2", frame.Ephemeral, "a"), message("n1", frame.Ephemeral, ""), message("n2", frame.Ephemeral, ""),
		message(strings.Repeat("x", 6000), frame.Ephemeral, "x"), // more than half of the bound
		message("b22", frame.Ephemeral, "b"),
	} {
		if !c.Push(f) {
			t.Fatal("closed")
		}
	}
	if s := n.Stats(); s.Merged != 2 || s.Shed != 1 || s.QueuedBytes != int64(c.Queued()) || c.Queued() != 25 {
		t.Errorf("%+v, %d", s, c.Queued())
	}
	p.expect(200, "4a2\x1e4d\x1e4b22\x1e4n1\x1e4n2")
	c.Push(message("a3", frame.Ephemeral, "a")) // the others are gone
	p.expect(200, "4a3")
}

// TestMergingGoesOn: what an answer leaves behind is merged with what comes later.
func TestMergingGoesOn(t *testing.T) {
	a := newApp()
	n := serve(t, a, func(s *settings) { s.MaxPayload = 1024 })
	p := n.dial("/engine.io/")
	c := receive(t, "open", a.opened)
	large := strings.Repeat("x", 800)
	for _, f := range []*frame.Frame{
		message("a1", frame.Ephemeral, "a"), message(large, frame.Durable, ""),
		message("b1"+large, frame.Ephemeral, "b"), message("c1", frame.Ephemeral, "c"), message("d", frame.Durable, ""),
	} {
		c.Push(f)
	}
	p.expect(200, "4a1\x1e4"+large)
	c.Push(message("c2", frame.Ephemeral, "c"))
	c.Push(message("a2", frame.Ephemeral, "a")) // the first one is gone
	c.Push(message("b2"+large, frame.Ephemeral, "b"))
	c.Push(message("a3", frame.Ephemeral, "a"))
	if got := n.Stats().Merged; got != 3 {
		t.Errorf("%d were merged", got)
	}
	p.expect(200, "4b2"+large+"\x1e4c2\x1e4d\x1e4a3")
	n.eventually("nothing waits and nothing merges", func() bool { // who polls may have it before it is counted as gone
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.p.bytes == 0 && len(c.p.keys) == 0
	})
}

// TestBudgetOfTheNode: what waits for polls counts, and is given up with the rest.
func TestBudgetOfTheNode(t *testing.T) {
	a := newApp()
	n := serve(t, a, func(s *settings) { s.socket.Queue.NodeBytes = 1 << 20 })
	n.dial("/engine.io/")
	small := receive(t, "open", a.opened)
	small.Push(message("small", frame.Durable, ""))
	n.dial("/engine.io/")
	large := receive(t, "open", a.opened)
	large.Push(message(strings.Repeat("x", 800<<10), frame.Durable, ""))
	n.eventually("pressure", n.sockets.Shedding)
	small.Push(message("e", frame.Ephemeral, ""))
	if s := n.Stats(); s.Shed != 1 {
		t.Errorf("%+v", s)
	}
	n.dial("/engine.io/")
	larger := receive(t, "open", a.opened)
	larger.Push(message(strings.Repeat("x", 900<<10), frame.Durable, ""))
	if cause := receive(t, "closed", a.closed); !fault.Is(cause, fault.SlowConsumer) {
		t.Errorf("%v", cause)
	}
	n.eventually("the end of pressure", func() bool { return !n.sockets.Shedding() })
	if !small.Push(message("more", frame.Durable, "")) || larger.Push(message("more", frame.Durable, "")) {
		t.Error("the wrong one was closed")
	}
}

func TestDrained(t *testing.T) {
	a := newApp()
	n := serve(t, a, nil)
	p := n.dial("/engine.io/")
	c := receive(t, "open", a.opened)
	if err := c.Drained(context.Background(), 1); err != nil {
		t.Error(err)
	}
	c.Push(message("one", frame.Durable, ""))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := c.Drained(ctx, 1); err != context.Canceled {
		t.Error(err)
	}
	done := make(chan error, 2)
	wait := func() {
		go func() { done <- c.Drained(context.Background(), 1) }() // ends with the connection
		n.eventually("somebody who waits", func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.p.drains != nil
		})
	}
	wait()
	p.expect(200, "4one")
	if err := receive(t, "drained", done); err != nil {
		t.Error(err)
	}
	c.Push(message("two", frame.Durable, ""))
	wait()
	c.CloseWith(fault.Draining, "")
	if err := receive(t, "closed", done); err == nil {
		t.Error("the connection is closing")
	}
	p.expect(200, "4two\x1e1")
}
