package engineio

import (
	"context"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/socket"
)

// beating sets the heartbeat. That of the WebSockets would strike in between.
func beating(interval, timeout time.Duration) func(*settings) {
	return func(s *settings) {
		s.PingInterval, s.PingTimeout = interval, timeout
		s.socket.Heartbeat.Interval = 10 * time.Millisecond
	}
}

func TestPingsOverPolling(t *testing.T) {
	n := serve(t, newApp(), beating(20*time.Millisecond, patience))
	p := n.dial("/engine.io/")
	for range 5 {
		p.expect(200, "2")
		p.send("3")
	}
	p.send("3\x1e3") // nobody has asked
	p.expect(200, "2")
}

func TestPingsOverWebSocket(t *testing.T) {
	a := newApp()
	n := serve(t, a, beating(50*time.Millisecond, patience))
	w := n.socket("/engine.io/?EIO=4&transport=websocket")
	_, _, _ = w.next()
	c := receive(t, "open", a.opened)
	for range 5 {
		w.expect("2") // and no ping of WebSocket's own
		w.send("3")
	}
	n.eventually("a measured round trip", func() bool {
		q := socketOf(c).Quality()
		return q.RTT > 0 && q.Missed == 0 && q.Grade == socket.Good && n.sockets.Stats().RTT.Count == 5
	})
}

func TestClientThatDoesNotAnswerPings(t *testing.T) {
	t.Run("polling", func(t *testing.T) {
		a := newApp()
		n := serve(t, a, beating(20*time.Millisecond, 30*time.Millisecond))
		p := n.dial("/engine.io/")
		p.expect(200, "2")
		if _, body := n.do("GET", p.path, ""); body != "1" && !contains(body, "unknown") {
			t.Errorf("%q", body)
		}
		if cause := receive(t, "closed", a.closed); !fault.Is(cause, fault.HeartbeatTimeout) {
			t.Errorf("%v", cause)
		}
		p.unknown()
	})
	t.Run("busy meanwhile", func(t *testing.T) {
		a := newApp()
		free := make(chan bool)
		a.frame = func(*Conn, []byte, bool) { <-free }
		n := serve(t, a, beating(10*time.Millisecond, 20*time.Millisecond))
		w := n.socket("/engine.io/?EIO=4&transport=websocket")
		w.send("4a")
		c := receive(t, "open", a.opened)
		n.eventually("a ping that is excused", func() bool { return c.work.Load() == excused })
		close(free)
		w.expectClose(fault.HeartbeatTimeout.Close())
	})
	t.Run("polling, not polled", func(t *testing.T) {
		a := newApp()
		n := serve(t, a, beating(20*time.Millisecond, 30*time.Millisecond))
		n.dial("/engine.io/")
		receive(t, "open", a.opened).Push(message("lost", frame.Durable, ""))
		receive(t, "closed", a.closed)
	})
	t.Run("WebSocket", func(t *testing.T) {
		a := newApp()
		n := serve(t, a, beating(20*time.Millisecond, 30*time.Millisecond))
		w := n.socket("/engine.io/?EIO=4&transport=websocket")
		w.expectClose(fault.HeartbeatTimeout.Close())
		_ = w.Close()
		if cause := receive(t, "closed", a.closed); !fault.Is(cause, fault.HeartbeatTimeout) {
			t.Errorf("%v", cause)
		}
	})
}

// TestBusyHandlerIsNoSilence: who can not be heard need not answer.
func TestBusyHandlerIsNoSilence(t *testing.T) {
	for _, transport := range []string{polling, websocket} {
		t.Run(transport, func(t *testing.T) {
			a := newApp()
			busy, free := make(chan bool), make(chan bool)
			a.frame = func(*Conn, []byte, bool) { close(busy); <-free }
			n := serve(t, a, beating(10*time.Millisecond, 300*time.Millisecond))
			var p *peer
			var w *wire
			sent := make(chan result, 1)
			if transport == websocket {
				w = n.socket("/engine.io/?EIO=4&transport=websocket")
				w.send("4a")
			} else {
				p = n.dial("/engine.io/")
				go func() { // ends with the request
					s, b, err := n.try(context.Background(), "POST", p.path, chunk("4a"))
					sent <- result{s, b, err}
				}()
			}
			c := receive(t, "open", a.opened)
			receive(t, "frame", busy)
			n.eventually("a ping that is not answered, and excused", func() bool { return c.work.Load() == excused })
			close(free)
			defer func() { // it may be excused once more
				if cause := receive(t, "closed", a.closed); !fault.Is(cause, fault.HeartbeatTimeout) {
					t.Errorf("who does not answer is closed: %v", cause)
				}
			}()
			if transport == websocket {
				w.send("3")
			} else {
				receive(t, "answer", sent)
				p.send("3")
			}
			n.eventually("the answer", func() bool {
				c.mu.Lock()
				defer c.mu.Unlock()
				return c.state == open && (c.pinged == 0 || c.due > c.srv.clock()+c.srv.cfg.PingTimeout/2)
			})
			if transport == websocket { // it reads what ends it
				w.expectClose(fault.HeartbeatTimeout.Close())
				_ = w.Close()
			}
		})
	}
}

// TestPollDoesNotWaitForEver: one that hears nothing because the ping has been
// delivered, and can not be answered, ends.
func TestPollDoesNotWaitForEver(t *testing.T) {
	a := newApp()
	free := make(chan bool)
	a.frame = func(*Conn, []byte, bool) { <-free }
	n := serve(t, a, beating(10*time.Millisecond, 50*time.Millisecond))
	p := n.dial("/engine.io/")
	sent := make(chan result, 1)
	go func() { // ends with the request
		s, b, err := n.try(context.Background(), "POST", p.path, chunk("4a"))
		sent <- result{s, b, err}
	}()
	c := receive(t, "open", a.opened)
	n.eventually("a frame", func() bool { return c.work.Load() != idle })
	for body := ""; body != "6"; {
		if _, body = n.do("GET", p.path, ""); body != "2" && body != "6" {
			t.Fatalf("%q", body)
		}
	}
	close(free)
	receive(t, "answer", sent)
}
