package socket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/frame"
)

// clog pushes to a client that does not read until its socket is full.
func clog(t *testing.T, c *Conn) {
	t.Helper()
	f := message(strings.Repeat("d", 32<<10), frame.Durable, "")
	eventually(t, "socket full", func() bool {
		c.mu.Lock()
		behind := c.waiting
		c.mu.Unlock()
		if !behind && c.Queued() < 128<<10 && !c.Push(f) {
			t.Fatal("closed while the socket was filled")
		}
		return behind
	})
}

func TestSlowReaderIsClosedAndItsQueueFreed(t *testing.T) {
	a := newApp()
	s := serve(t, a, func(c *Config, _ *Deps) { c.CloseTimeout = patience })
	c := upgrade(t, s)
	conn := receive(t, "open", a.opened)
	clog(t, conn)
	f := message(strings.Repeat("e", 100<<10), frame.Durable, "")
	n := 0
	for conn.Push(f) {
		n++
	}
	if n < 8 || n > 11 {
		t.Errorf("%d frames of 100 KiB fitted into 1 MiB", n)
	}
	if got := s.Stats().QueuedBytes; got > 64<<10 {
		t.Errorf("%d bytes are kept for a connection that is being closed", got)
	}
	c.expectClose(4001, "slow_consumer") // it may still read, and learns why
	_ = c.Close()
	if cause := receive(t, "closed", a.closed); !fault.Is(cause, fault.SlowConsumer) {
		t.Errorf("cause %v", cause)
	}
	eventually(t, "budget free", func() bool { return s.Stats().QueuedBytes == 0 })
}

func TestClientThatTakesNothingIsCut(t *testing.T) {
	a := newApp()
	s := serve(t, a, func(c *Config, _ *Deps) { c.Queue.WriteTimeout = 50 * time.Millisecond })
	upgrade(t, s)
	clog(t, receive(t, "open", a.opened))
	if cause := receive(t, "closed", a.closed); !fault.Is(cause, fault.SlowConsumer) {
		t.Errorf("cause %v", cause)
	}
	if n := s.Stats().Closed[fault.SlowConsumer]; n != 1 {
		t.Errorf("%d are counted", n)
	}
}

func TestEphemeralFramesAreMergedThenShed(t *testing.T) {
	a := newApp()
	s := serve(t, a, nil)
	c := upgrade(t, s)
	conn := receive(t, "open", a.opened)
	clog(t, conn)
	before := conn.Queued()
	conn.Push(message("typing 0", frame.Ephemeral, "typing:ann"))
	conn.Push(message("first", frame.Durable, ""))
	conn.Push(message("no key", frame.Ephemeral, ""))
	conn.Push(message("no key", frame.Ephemeral, ""))
	for i := range 1000 {
		conn.Push(message(fmt.Sprint("typing ", i), frame.Ephemeral, "typing:ann"))
		conn.Push(message(fmt.Sprint("typing ", i), frame.Ephemeral, "typing:bob"))
	}
	conn.Push(message("second", frame.Durable, ""))
	if grown := conn.Queued() - before; grown > 100 {
		t.Errorf("%d bytes for a few frames", grown)
	}
	for conn.Queued() < 600<<10 {
		conn.Push(message(strings.Repeat("d", 32<<10), frame.Durable, ""))
	}
	if !conn.Push(message("late", frame.Ephemeral, "")) {
		t.Error("shedding is no reason to close")
	}
	conn.Push(message("typing last", frame.Ephemeral, "typing:ann"))
	conn.Push(message("end", frame.Durable, ""))
	var got []string
	for {
		p := c.message()
		if p[0] != 'd' {
			got = append(got, p)
		}
		if p == "end" {
			break
		}
	}
	want := "typing last|first|no key|no key|typing 999|second|end"
	if g := strings.Join(got, "|"); g != want {
		t.Errorf("got %s, want %s", g, want)
	}
	if st := s.Stats(); st.Merged != 2000 || st.Shed != 1 || st.Blocked == 0 {
		t.Errorf("merged %d, shed %d, blocked %d", st.Merged, st.Shed, st.Blocked)
	}
}

func TestOrderIsKeptThroughFullSockets(t *testing.T) {
	a := newApp()
	s := serve(t, a, nil)
	c := upgrade(t, s)
	conn := receive(t, "open", a.opened)
	const frames = 20000
	failed := make(chan error, 1)
	go func() { // ends with the pushing
		ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
		defer cancel()
		for i := range frames {
			if err := conn.Drained(ctx, 512<<10); err != nil {
				failed <- err
				return
			}
			conn.Push(message(fmt.Sprint(i, " ", strings.Repeat("x", i*37%3000)), frame.Durable, ""))
		}
		failed <- nil
	}()
	for i := range frames {
		p := c.message()
		if want := fmt.Sprint(i, " ", strings.Repeat("x", i*37%3000)); p != want {
			t.Fatalf("frame %d is %.20q", i, p)
		}
	}
	if err := receive(t, "end of pushing", failed); err != nil {
		t.Error(err)
	}
}

func TestDrained(t *testing.T) {
	a := newApp()
	s := serve(t, a, nil)
	c := upgrade(t, s)
	conn := receive(t, "open", a.opened)
	if err := conn.Drained(context.Background(), 1); err != nil {
		t.Errorf("nothing waits: %v", err)
	}
	clog(t, conn)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- conn.Drained(ctx, 1) }() // ended by cancel
	cancel()
	if err := receive(t, "cancelled", done); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	go func() { done <- conn.Drained(context.Background(), 1) }() // ended by the client's closing
	_ = c.Close()
	if err := receive(t, "closed", done); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

func TestNodeBudgetClosesTheFurthestBehind(t *testing.T) {
	a := newApp()
	s := serve(t, a, func(c *Config, _ *Deps) { c.Queue.NodeBytes, c.CloseTimeout = 1<<20, time.Second })
	var conns [3]*Conn
	for i := range conns {
		upgrade(t, s)
		conns[i] = receive(t, "open", a.opened)
		clog(t, conns[i])
	}
	f := message(strings.Repeat("d", 10<<10), frame.Durable, "")
	for _, i := range []int{0, 1, 1, 1, 2} {
		for range 25 {
			conns[i].Push(f)
		}
	}
	if cause := receive(t, "closed", a.closed); !fault.Is(cause, fault.SlowConsumer) {
		t.Errorf("cause %v", cause)
	}
	if conns[1].state.Load() == open || conns[0].state.Load() != open {
		t.Error("not the furthest behind was closed")
	}
}

func TestNextPressure(t *testing.T) {
	for _, tc := range []struct{ queued, want int64 }{{0, 0}, {75, 0}, {76, 1}, {100, 1}, {101, 2}} {
		if got := nextPressure(tc.queued, 100); int64(got) != tc.want {
			t.Errorf("%d of 100: %d", tc.queued, got)
		}
	}
}

func TestBacklogCutKeepsThePartialFrame(t *testing.T) {
	c := new(Conn)
	one, two := message("one", frame.Durable, ""), message("two", frame.Durable, "")
	for n, want := range map[int]string{0: "", 1: "\x01p", 2: "p", 3: "", 4: "\x03one", 8: "", 9: "\x03two", 12: "o"} {
		b := newBacklog().(*backlog)
		b.control = []byte{0x89, 1, 'p'}
		b.frames = append(b.frames, one, two)
		b.last = closeFrame(1000, "")
		b.advance(n, c)
		b.cut()
		p, _ := b.chunk(make([]byte, 0, 100), c)
		if string(p) != want || b.size(c) != len(want) {
			t.Errorf("after %d bytes: %q is left, %d bytes; want %q", n, p, b.size(c), want)
		}
	}
}

func TestMergingKeepsTheNewestLast(t *testing.T) {
	s, err := New(defaults(t), Deps{Handler: newApp()})
	if err != nil {
		t.Fatal(err)
	}
	c := s.newConn(nil, new(Handshake), nil)
	push := func(text string) { c.Push(message(text, frame.Ephemeral, "k")) }
	c.waiting = true
	push("1")
	c.waiting = false // the socket had room for a moment
	push("2")
	c.waiting = true
	push("3")
	if n := len(c.out.frames); n != 1 || string(c.out.frames[0].Payload()) != "3" {
		t.Errorf("%d frames, the first is %q", n, c.out.frames[0].Payload())
	}
}

func TestFramesThatExpireInTheQueueAreReplaced(t *testing.T) {
	a := newApp()
	s := serve(t, a, nil)
	c := upgrade(t, s)
	conn := receive(t, "open", a.opened)
	clog(t, conn)
	soon, late := time.Now().Add(20*time.Millisecond).UnixMilli(), time.Now().Add(time.Hour).UnixMilli()
	conn.Push(message("secret", frame.Durable, "").Until(soon, message("gone", frame.Durable, "")))
	conn.Push(message("typing", frame.Ephemeral, "").Until(soon, nil))
	conn.Push(message("kept", frame.Durable, "").Until(late, message("gone too early", frame.Durable, "")))
	conn.Push(message("end", frame.Durable, ""))
	eventually(t, "the end of their time", func() bool { return time.Now().UnixMilli() > soon })
	var got []string
	for len(got) == 0 || got[len(got)-1] != "end" {
		if p := c.message(); p[0] != 'd' {
			got = append(got, p)
		}
	}
	if g := strings.Join(got, "|"); g != "gone|kept|end" {
		t.Errorf("got %s", g)
	}
	eventually(t, "budget free", func() bool { return s.Stats().QueuedBytes == 0 })
}

func TestExpiryKeepsTheHalfWrittenFrame(t *testing.T) {
	f := func() *frame.Frame {
		return message("old", frame.Durable, "").Until(1, message("n", frame.Durable, ""))
	}
	for _, tc := range []struct{ next, off, replaced int }{{0, 0, 3}, {0, 1, 3}, {1, 0, 3}, {1, 2, 2}, {2, 0, 2}, {2, 1, 1}, {3, 1, 0}} {
		c := &Conn{flusher: newFlusher(newLoad()), bytes: 100}
		b := &backlog{frames: []*frame.Frame{f(), f(), f()}, next: tc.next, off: tc.off}
		c.expireLocked(b, 2)
		n := 0
		for _, f := range b.frames {
			if !f.Dated() {
				n++
			}
		}
		if n != tc.replaced || c.bytes != 100-2*n {
			t.Errorf("part %d, byte %d: %d replaced, %d bytes left", tc.next, tc.off, n, c.bytes)
		}
	}
}
