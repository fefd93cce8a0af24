package engineio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/socket"
)

func chunk(s string) io.Reader     { return strings.NewReader(s) }
func contains(s, part string) bool { return strings.Contains(s, part) }
func (w *wire) probe()             { w.t.Helper(); w.send("2probe"); w.expect("3probe") }
func (n *node) upgraded(c *Conn) func() bool {
	return func() bool { return c.Transport() == websocket }
}

func TestUpgrade(t *testing.T) {
	a := newApp()
	n := serve(t, a, nil)
	p := n.dial("/engine.io/")
	c := receive(t, "open", a.opened)
	polling := p.later(context.Background(), c)
	w := p.join()
	w.probe()
	if r := receive(t, "answer", polling); r.body != "6" {
		t.Errorf("%+v", r)
	}
	for range 3 {
		p.expect(200, "6") // the client did not know yet
	}
	c.PushAll([]*frame.Frame{message("while", frame.Durable, ""), message("nobody polls", frame.Durable, "")})
	drained := make(chan error, 1)
	go func() { drained <- c.Drained(context.Background(), 1) }() // ends when the queue is sent
	n.eventually("somebody who waits", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.p.drains != nil })
	w.send("5")
	w.expect("4while")
	w.expect("4nobody polls")
	if err := receive(t, "drained", drained); err != nil {
		t.Error(err)
	}
	w.send("4hello")
	w.expect("4hello")
	if s := n.Stats(); s.Polling != 0 || s.WebSocket != 1 || s.Upgraded != 1 || s.UpgradeFailed != 0 || s.QueuedBytes != 0 || c.Transport() != websocket || Of(socketOf(c)) != c {
		t.Errorf("%+v", s)
	}
	p.expect(400, `{"code":3,"message":"Bad request"}`+"\n")
	if status, _ := n.do("POST", p.path, "4a"); status != 400 {
		t.Errorf("a POST after the upgrade: %d", status)
	}
	second := p.join()
	second.expectClose(fault.Conflict.Close())
	w.send("4still here")
	w.expect("4still here")
	select {
	case err := <-a.closed:
		t.Errorf("closed: %v", err)
	default:
	}
	c.CloseWith(fault.Draining, "")
	w.expectClose(fault.Draining.Close())
	_ = w.Close()
	if cause := receive(t, "closed", a.closed); !fault.Is(cause, fault.Draining) {
		t.Errorf("%v", cause)
	}
	p.unknown()
}

func TestPollThatWaitsAtTheSwitch(t *testing.T) {
	a := newApp()
	n := serve(t, a, nil)
	p := n.dial("/engine.io/")
	c := receive(t, "open", a.opened)
	w := p.join()
	polling := p.later(context.Background(), c)
	w.send("5") // without a probe; nobody forbids it
	if r := receive(t, "answer", polling); r.status != 400 {
		t.Errorf("%+v", r)
	}
	w.send("4a")
	w.expect("4a")
}

func TestUpgradeThatFails(t *testing.T) {
	for _, tt := range []struct {
		name string
		fail func(*peer, *wire)
	}{
		{"the WebSocket is cut", func(_ *peer, w *wire) { _ = w.Close() }},
		{"after the probe", func(_ *peer, w *wire) { w.probe(); _ = w.Close() }},
		{"closed by the client", func(_ *peer, w *wire) { w.probe(); _ = w.write(0x88, "\x03\xe8"); w.expectClose(1000) }},
		{"another packet", func(_ *peer, w *wire) { w.send("4hello"); w.expectClose(fault.Malformed.Close()) }},
		{"binary", func(_ *peer, w *wire) { w.probe(); _ = w.write(0x82, "5"); w.expectClose(fault.Malformed.Close()) }},
		{"nothing", func(_ *peer, w *wire) { w.expectClose(fault.HandshakeTimeout.Close()) }},
		{"nothing after the probe", func(_ *peer, w *wire) { w.probe(); w.expectClose(fault.HandshakeTimeout.Close()) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newApp()
			n := serve(t, a, func(s *settings) {
				if strings.HasPrefix(tt.name, "nothing") {
					s.UpgradeTimeout = 150 * time.Millisecond
				}
			})
			p := n.dial("/engine.io/")
			c := receive(t, "open", a.opened)
			w := p.join()
			tt.fail(p, w)
			_ = w.Close()
			n.eventually("the end of the upgrade", func() bool { return n.Stats().UpgradeFailed == 1 })
			p.send("4over polling")
			p.expect(200, "4over polling")
			w = p.join()
			w.probe()
			w.send("5")
			n.eventually("an upgrade", n.upgraded(c))
			w.send("4over WebSocket")
			w.expect("4over WebSocket")
			if s := n.Stats(); s.Upgraded != 1 || len(a.closed) != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestSecondWebSocketInMidUpgrade(t *testing.T) {
	a := newApp()
	n := serve(t, a, nil)
	p := n.dial("/engine.io/")
	receive(t, "open", a.opened)
	w := p.join()
	w.probe()
	second := p.join()
	second.expectClose(fault.Conflict.Close())
	w.send("5")
	w.send("4the first goes on")
	w.expect("4the first goes on")
	if s := n.Stats(); s.Refused["on_websocket"] != 1 {
		t.Errorf("%+v", s)
	}
}

func TestConnectionThatEndsInMidUpgrade(t *testing.T) {
	t.Run("at once", func(t *testing.T) {
		a := newApp()
		p := serve(t, a, nil).dial("/engine.io/")
		w := p.join()
		w.probe()
		if status, _ := p.do("POST", p.path, "bad"); status != 400 {
			t.Errorf("%d", status)
		}
		w.expectClose(1000)
		receive(t, "closed", a.closed)
		p.unknown()
	})
	t.Run("closing, and then on WebSocket", func(t *testing.T) {
		a := newApp()
		p := serve(t, a, nil).dial("/engine.io/")
		c := receive(t, "open", a.opened)
		w := p.join()
		w.probe()
		c.Push(message("last", frame.Durable, ""))
		c.CloseWith(fault.SessionReplaced, "")
		w.send("5")
		w.expect("4last")
		w.expectClose(fault.SessionReplaced.Close())
		_ = w.Close()
		if cause := receive(t, "closed", a.closed); !fault.Is(cause, fault.SessionReplaced) {
			t.Errorf("%v", cause)
		}
	})
}

// TestPostComesFirst: what was sent before the upgrade is handled before what comes
// after, even of a client that does not wait for its POST.
func TestPostComesFirst(t *testing.T) {
	a := newApp()
	free := make(chan bool)
	got := make(chan string, 10)
	a.frame = func(_ *Conn, p []byte, _ bool) {
		if string(p) == "slow" {
			<-free
		}
		got <- string(p)
	}
	n := serve(t, a, nil)
	p := n.dial("/engine.io/")
	c := receive(t, "open", a.opened)
	w := p.join()
	w.probe()
	sent := make(chan result, 1)
	go func() { // ends with the request
		s, b, err := n.try(context.Background(), "POST", p.path, chunk("4slow\x1e4second"))
		sent <- result{s, b, err}
	}()
	n.eventually("a frame", func() bool { return c.work.Load() != idle })
	w.send("5")
	w.send("4third")
	n.eventually("an upgrade that waits", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.p.rested != nil })
	close(free)
	for _, want := range []string{"slow", "second", "third"} {
		if s := receive(t, "frame", got); s != want {
			t.Errorf("got %q, want %q", s, want)
		}
	}
	if r := receive(t, "answer", sent); r.body != "ok" {
		t.Errorf("%+v", r)
	}
}

// TestUpgradeDoesNotWaitForEver: a POST that does not end keeps the connection on
// polling.
func TestUpgradeDoesNotWaitForEver(t *testing.T) {
	a := newApp()
	free := make(chan bool)
	a.frame = func(*Conn, []byte, bool) { <-free }
	n := serve(t, a, func(s *settings) { s.UpgradeTimeout = 100 * time.Millisecond })
	p := n.dial("/engine.io/")
	c := receive(t, "open", a.opened)
	sent := make(chan result, 1)
	go func() { // ends with the request
		s, b, err := n.try(context.Background(), "POST", p.path, chunk("4a"))
		sent <- result{s, b, err}
	}()
	n.eventually("a frame", func() bool { return c.work.Load() != idle })
	w := p.join()
	w.send("5")
	w.expectClose(fault.HandshakeTimeout.Close())
	close(free)
	receive(t, "answer", sent)
	if c.Transport() != polling {
		t.Error(c.Transport())
	}
}

// TestPingAtTheSwitch: one that no poll has taken goes over the WebSocket.
func TestPingAtTheSwitch(t *testing.T) {
	a := newApp()
	n := serve(t, a, beating(20*time.Millisecond, patience))
	p := n.dial("/engine.io/")
	c := receive(t, "open", a.opened)
	w := p.join()
	n.eventually("a ping", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.p.ping })
	w.send("5")
	for range 3 {
		w.expect("2")
		w.send("3")
	}
}

// TestUpgradesUnderLoad: numbered messages both ways, while the client upgrades as
// clients do.
func TestUpgradesUnderLoad(t *testing.T) {
	const clients, messages = 8, 3000
	a := newApp()
	type state struct {
		sync.Mutex
		next int
		bad  string
	}
	a.admit = func(*socket.Handshake) (any, error) { return &state{}, nil }
	a.frame = func(c *Conn, p []byte, _ bool) {
		s := c.Value().(*state)
		s.Lock()
		defer s.Unlock()
		if want := fmt.Sprint(s.next); s.bad == "" && string(p) != want {
			s.bad = fmt.Sprintf("got %s, want %s", p, want)
		}
		s.next++
	}
	n := serve(t, a, func(s *settings) {
		s.socket.Queue.Bytes = 4 << 20
		s.MaxPayload = 10000
		s.PingInterval, s.PingTimeout = 20*time.Millisecond, patience
	})
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			p := n.dial("/engine.io/")
			c := n.conn(p.id)
			var pushing sync.WaitGroup
			defer pushing.Wait()
			pushing.Go(func() {
				for k := range messages {
					if !c.Push(message(fmt.Sprint(k), frame.Durable, "")) {
						t.Errorf("client %d: closed at %d", i, k)
						return
					}
					_ = c.Drained(context.Background(), 500) // so that it goes on for as long as the client reads
				}
			})
			if err := client(p, messages, i*messages/clients); err != nil {
				t.Errorf("client %d: %v", i, err)
				c.CloseWith(fault.Internal, "")
				return
			}
			s := c.Value().(*state)
			n.eventually("all messages", func() bool { s.Lock(); defer s.Unlock(); return s.next >= messages })
			s.Lock()
			defer s.Unlock()
			if s.bad != "" || s.next != messages {
				t.Errorf("client %d: server %s, %d in all", i, s.bad, s.next)
			}
		})
	}
	wg.Wait()
	if s := n.Stats(); s.Upgraded != clients {
		t.Errorf("%+v", s)
	}
}

// client sends numbered messages and expects as many, the first some of them over
// polling.
func client(p *peer, messages, some int) error {
	next, sent := 0, 0
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	take := func(packet string) error {
		switch {
		case packet == "6" || packet == "2":
			return nil
		case packet != fmt.Sprint("4", next):
			return fmt.Errorf("got %q, want %d", packet, next)
		}
		next++
		return nil
	}
	send := func(k int) (payload string) {
		for ; k > 0 && sent < messages; k, sent = k-1, sent+1 {
			payload += fmt.Sprint("4", sent, "\x1e")
		}
		return payload + "3"
	}
	poll := func() error {
		status, body, err := p.try(ctx, "GET", p.path, nil)
		if err != nil || status != 200 {
			return fmt.Errorf("%d %s %w", status, body, err)
		}
		for _, packet := range packetsOf(body) {
			err = errors.Join(err, take(packet))
		}
		return err
	}
	post := func() error {
		status, body, err := p.try(ctx, "POST", p.path, strings.NewReader(send(17)))
		if err != nil || status != 200 {
			return fmt.Errorf("%d %s %w", status, body, err)
		}
		return nil
	}
	var posting sync.WaitGroup
	var postErr error
	posting.Go(func() {
		for sent < some && postErr == nil {
			postErr = post()
		}
	})
	for next < some {
		if err := poll(); err != nil {
			posting.Wait()
			return err
		}
	}
	w := p.join()
	w.send("2probe")
	probed := make(chan error, 1)
	go func() { // ends with the next frame
		_, text, err := w.next()
		if string(text) != "3probe" {
			err = fmt.Errorf("probed: %q %w", text, err)
		}
		probed <- err
	}()
	for waiting := true; waiting; { // there is a poll until the probe is answered
		if err := poll(); err != nil {
			return err
		}
		select {
		case err := <-probed:
			if waiting = false; err != nil {
				return err
			}
		default:
		}
	}
	posting.Wait()
	if postErr != nil {
		return postErr
	}
	if err := w.write(0x81, "5"); err != nil {
		return err
	}
	for next < messages || sent < messages {
		if sent < messages {
			if err := w.write(0x81, fmt.Sprint("4", sent)); err != nil {
				return err
			}
			sent++
			if sent < messages && sent%2 == 0 {
				continue
			}
		}
		if next < messages {
			_, packet, err := w.next()
			if err != nil {
				return err
			}
			if err := take(string(packet)); err != nil {
				return err
			}
			if string(packet) == "2" {
				if err := w.write(0x81, "3"); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// TestUpgradeWhileClosing: an upgrade that completes when the handler has closed the
// connection ends with the WebSocket, and not with the timer of a poll that was to come.
func TestUpgradeWhileClosing(t *testing.T) {
	a := newApp()
	a.frame = func(c *Conn, _ []byte, _ bool) { c.CloseWith(fault.Malformed, "") }
	n := serve(t, a, func(s *settings) { s.socket.CloseTimeout = 100 * time.Millisecond })
	p := n.dial("/engine.io/")
	c := receive(t, "open", a.opened)
	w := p.join()
	w.probe()
	p.send("4garbage")
	c.mu.Lock()
	due := c.due
	c.mu.Unlock()
	w.send("5")
	n.eventually("it is on WebSocket", func() bool { return c.ws.Load() != nil })
	n.eventually("its end on polling would be due", func() bool { return n.Server.clock() > due })
	c.strike() // as a timer does that was about to when it was stopped
	if cause := receive(t, "closed", a.closed); !fault.Is(cause, fault.Malformed) {
		t.Error(cause)
	}
}

// TestPostThatIsHeldBack: a handler waits for a client that takes nothing. The client is
// gone, and so is the connection, at last; one that polls is not.
func TestPostThatIsHeldBack(t *testing.T) {
	for _, polls := range []bool{false, true} {
		a := newApp()
		held, done := make(chan struct{}), make(chan struct{})
		a.frame = func(c *Conn, _ []byte, _ bool) {
			close(held)
			if polls {
				<-done
				return
			}
			c.Push(message("answer", frame.Control, ""))
			_ = c.Drained(context.Background(), 1)
		}
		n := serve(t, a, beating(50*time.Millisecond, 50*time.Millisecond))
		p := n.dial("/engine.io/")
		c := receive(t, "open", a.opened)
		var posts sync.WaitGroup
		posts.Go(func() { _, _, _ = p.try(t.Context(), "POST", p.path, chunk("4ask")) })
		<-held
		if !polls {
			if cause := receive(t, "closed", a.closed); !fault.Is(cause, fault.HeartbeatTimeout) {
				t.Error(cause)
			}
			posts.Wait()
			continue
		}
		for end := n.Server.clock() + 500*time.Millisecond; n.Server.clock() < end; {
			_, _, _ = p.try(t.Context(), "GET", p.path, nil)
		}
		c.mu.Lock()
		if c.state != open {
			t.Errorf("a client that polls is ended: %v", c.cause)
		}
		c.mu.Unlock()
		close(done)
		posts.Wait()
	}
}
