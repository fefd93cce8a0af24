package engineio

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/socket"
)

func TestMessages(t *testing.T) {
	for _, endpoint := range []string{"/engine.io/", "/bare/"} {
		t.Run(endpoint, func(t *testing.T) {
			n := serve(t, newApp(), nil)
			p := n.dial(endpoint)
			for _, payload := range []string{
				"4hello", "4", "4one\x1e4two\x1e4three", "4hello\x1ebAQIDBA==", "b", "4gr\u00fc\u00dfe \u20ac",
				"b" + base64.StdEncoding.EncodeToString(make([]byte, 300000)),
				strings.Repeat("4x\x1e", 4095) + "4x",
			} {
				p.send(payload)
				p.expect(200, payload)
			}
			p.send("6\x1e4a\x1e3\x1e4b") // noop and pong are for nobody
			p.expect(200, "4a\x1e4b")
			if s := n.Stats(); s.Posts != 9 || s.Polls != 9 || s.BytesIn < 400000 || s.BytesOut < 400000 || s.Polling != 1 || s.OpenedPolling != 1 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestMessagesOverWebSocket(t *testing.T) {
	a := newApp()
	n := serve(t, a, nil)
	w := n.socket("/engine.io?EIO=4&transport=websocket")
	_, greeting, _ := w.next()
	greeted(t, string(greeting))
	w.send("4hello")
	w.expect("4hello")
	if err := w.write(0x82, "\x01\x02\x03\x04"); err != nil {
		t.Fatal(err)
	}
	if first, p, err := w.next(); first != 0x82 || string(p) != "\x01\x02\x03\x04" || err != nil {
		t.Errorf("%#x %q %v", first, p, err)
	}
	c := receive(t, "open", a.opened)
	if s := n.Stats(); s.WebSocket != 1 || s.OpenedWebSocket != 1 || Of(socketOf(c)) != c {
		t.Errorf("%+v", s)
	}
	if !c.PushAll([]*frame.Frame{message("a", frame.Control, ""), message("b", frame.Control, "")}) {
		t.Error("not queued")
	}
	w.expect("4a")
	w.expect("4b")
	if err := c.Drained(context.Background(), 1); err != nil {
		t.Error(err)
	}
	c.Close(1000, "bye")
	w.expectClose(1000)
	_ = w.Close()
	if cause := receive(t, "closed", a.closed); closeCode(cause) != 1000 {
		t.Errorf("%v", cause)
	}
	if c.Push(message("late", frame.Control, "")) {
		t.Error("a closed connection takes frames")
	}
}

func socketOf(c *Conn) *socket.Conn { return c.ws.Load() }

func TestJoinedFramesFollowEachOther(t *testing.T) {
	a := newApp()
	n := serve(t, a, nil)
	p := n.dial("/engine.io/")
	c := receive(t, "open", a.opened)
	bin := func(s string) *frame.Frame {
		return frame.Finish(append(frame.Begin(len(s)), s...), true, frame.Durable, "")
	}
	c.Push(frame.Join(message("51-", frame.Durable, ""), bin("\x01"), bin("\x02\x03")))
	c.Push(message("2", frame.Durable, ""))
	p.expect(200, "451-\x1ebAQ==\x1ebAgM=\x1e42")
}

func TestFramesWhoseTimeIsOver(t *testing.T) {
	a := newApp()
	n := serve(t, a, nil)
	p := n.dial("/engine.io/")
	c := receive(t, "open", a.opened)
	past := time.Now().Add(-time.Second).UnixMilli()
	polling := p.later(context.Background(), c)
	c.Push(message("gone", frame.Durable, "").Until(past, nil)) // alone, it is no answer
	c.Push(message("old", frame.Durable, "").Until(past, message("new", frame.Durable, "")))
	if r := receive(t, "answer", polling); r.body != "4new" {
		t.Errorf("%+v", r)
	}
	n.eventually("an empty queue", func() bool { return c.Queued() == 0 })
}

func TestBadPayloads(t *testing.T) {
	chunked := func(s string) io.Reader { return struct{ io.Reader }{strings.NewReader(s)} }
	for _, tt := range []struct {
		name   string
		body   io.Reader
		status int
		kind   fault.Kind
	}{
		{"no packet", strings.NewReader("abc"), 400, fault.Malformed},
		{"nothing", strings.NewReader(""), 400, fault.Malformed},
		{"an empty packet", strings.NewReader("4a\x1e"), 400, fault.Malformed},
		{"a handshake", strings.NewReader("0{}"), 400, fault.Malformed},
		{"a ping", strings.NewReader("2"), 400, fault.Malformed},
		{"an upgrade", strings.NewReader("5"), 400, fault.Malformed},
		{"base64", strings.NewReader("b@@@@"), 400, fault.Malformed},
		{"base64 cut off", strings.NewReader("bAQI"), 400, fault.Malformed},
		{"UTF-8", strings.NewReader("4\xff"), 400, fault.Malformed},
		{"too many packets", strings.NewReader(strings.Repeat("4\x1e", 4096) + "4"), 400, fault.Malformed},
		{"too large", strings.NewReader("4" + strings.Repeat("x", 5000)), 413, fault.TooLarge},
		{"too large, in chunks", chunked("4" + strings.Repeat("x", 5000)), 413, fault.TooLarge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newApp()
			n := serve(t, a, func(s *settings) {
				if tt.kind == fault.TooLarge {
					s.MaxPayload = 5000
				}
			})
			p := n.dial("/engine.io/")
			polling := p.later(context.Background(), receive(t, "open", a.opened))
			status, _, err := n.try(context.Background(), "POST", p.path, tt.body)
			if err != nil || status != tt.status {
				t.Errorf("%d %v", status, err)
			}
			receive(t, "answer", polling)
			p.unknown()
			if cause := receive(t, "closed", a.closed); !fault.Is(cause, tt.kind) {
				t.Errorf("%v", cause)
			}
			if s := n.Stats(); s.Closed[tt.kind] != 1 {
				t.Errorf("%+v", s)
			}
		})
	}
	t.Run("just not too large", func(t *testing.T) {
		n := serve(t, newApp(), func(s *settings) { s.MaxPayload = 5000 })
		p := n.dial("/engine.io/")
		p.send("4" + strings.Repeat("x", 4999))
	})
	t.Run("over WebSocket", func(t *testing.T) {
		for _, bad := range []string{"", "abc", "0", "2", "2probe", "5"} {
			a := newApp()
			n := serve(t, a, nil)
			w := n.socket("/engine.io/?EIO=4&transport=websocket")
			w.send(bad)
			w.expectClose(fault.Malformed.Close())
			_ = w.Close()
			if cause := receive(t, "closed", a.closed); !fault.Is(cause, fault.Malformed) {
				t.Errorf("%q: %v", bad, cause)
			}
		}
	})
}

func TestWhatStandsBeforeABadPacketIsHandled(t *testing.T) {
	a := newApp()
	got := make(chan string, 10)
	a.frame = func(_ *Conn, p []byte, _ bool) { got <- string(p) }
	n := serve(t, a, nil)
	p := n.dial("/engine.io/")
	if status, _ := n.do("POST", p.path, "4a\x1e4b\x1ex\x1e4c"); status != 400 {
		t.Errorf("%d", status)
	}
	receive(t, "closed", a.closed)
	if a, b := receive(t, "frame", got), receive(t, "frame", got); a != "a" || b != "b" || len(got) != 0 {
		t.Errorf("%q %q and %d more", a, b, len(got))
	}
}

func TestTwoPollsAtOnce(t *testing.T) {
	a := newApp()
	n := serve(t, a, nil)
	p := n.dial("/engine.io/")
	first := p.later(context.Background(), receive(t, "open", a.opened))
	p.expect(400, `{"code":3,"message":"Bad request"}`+"\n")
	if r := receive(t, "answer", first); r.status != 200 || r.body != "1" {
		t.Errorf("%+v", r)
	}
	p.unknown()
	receive(t, "closed", a.closed)
	if s := n.Stats(); s.Refused["overlap"] != 1 {
		t.Errorf("%+v", s)
	}
}

func TestTwoPostsAtOnce(t *testing.T) {
	a := newApp()
	busy, free := make(chan bool), make(chan bool)
	a.frame = func(*Conn, []byte, bool) { close(busy); <-free }
	n := serve(t, a, nil)
	p := n.dial("/engine.io/")
	first := make(chan result, 1)
	go func() { // ends with the request
		s, b, err := n.try(context.Background(), "POST", p.path, strings.NewReader("4a"))
		first <- result{s, b, err}
	}()
	receive(t, "frame", busy)
	if status, body := n.do("POST", p.path, "4b"); status != 400 || body != `{"code":3,"message":"Bad request"}`+"\n" {
		t.Errorf("%d %s", status, body)
	}
	p.unknown()
	select {
	case <-a.closed:
		t.Error("closed while the handler has a frame")
	default:
	}
	close(free)
	receive(t, "answer", first)
	receive(t, "closed", a.closed)
}

func TestClientThatGoesAwayInMidPoll(t *testing.T) {
	a := newApp()
	n := serve(t, a, nil)
	p := n.dial("/engine.io/")
	ctx, cancel := context.WithCancel(context.Background())
	polling := p.later(ctx, receive(t, "open", a.opened))
	cancel()
	if r := receive(t, "answer", polling); r.err == nil {
		t.Errorf("%+v", r)
	}
	if cause := receive(t, "closed", a.closed); !errors.Is(cause, errGone) {
		t.Errorf("%v", cause)
	}
	p.unknown()
}

func TestClientThatGoesAwayInMidPost(t *testing.T) {
	a := newApp()
	n := serve(t, a, nil)
	p := n.dial("/engine.io/")
	c, err := net.Dial("tcp", n.sockets.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n4abc", p.path)
	_ = c.Close()
	if cause := receive(t, "closed", a.closed); !errors.Is(cause, errGone) {
		t.Errorf("%v", cause)
	}
}

// TestAnswerThatIsNotTaken: nobody knows what the client has got of it.
func TestAnswerThatIsNotTaken(t *testing.T) {
	a := newApp()
	n := serve(t, a, func(s *settings) {
		s.MaxPayload, s.socket.Queue.Bytes = 32<<20, 64<<20
		s.socket.Queue.WriteTimeout = 50 * time.Millisecond
	})
	p := n.dial("/engine.io/")
	c := receive(t, "open", a.opened)
	for range 31 {
		c.Push(message(strings.Repeat("x", 1<<20), frame.Durable, ""))
	}
	conn, err := net.Dial("tcp", n.sockets.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", p.path)
	if cause := receive(t, "closed", a.closed); !fault.Is(cause, fault.SlowConsumer) {
		t.Errorf("%v", cause)
	}
	if c.Push(message("more", frame.Durable, "")) || c.Queued() != 0 {
		t.Error("open still")
	}
}

func TestAnswersAreBounded(t *testing.T) {
	for _, endpoint := range []string{"/engine.io/", "/bare/"} {
		a := newApp()
		n := serve(t, a, func(s *settings) { s.MaxPayload = 2000; s.socket.Queue.Bytes = 1 << 20 })
		p := n.dial(endpoint)
		c := receive(t, "open", a.opened)
		var want []string
		for i := range 200 {
			s := fmt.Sprintf("%d:%s", i, strings.Repeat("x", i%150))
			want = append(want, "4"+s)
			if endpoint == "/bare/" {
				c.Push(text(s, frame.Durable, ""))
			} else {
				c.Push(message(s, frame.Durable, ""))
			}
		}
		c.Push(frame.Finish(append(frame.Begin(3000), make([]byte, 3000)...), true, frame.Durable, "")) // larger than an answer
		want = append(want, "b"+base64.StdEncoding.EncodeToString(make([]byte, 3000)))
		var got []string
		for len(got) < len(want) {
			_, body := n.do("GET", p.path, "")
			all := packetsOf(body)
			if got = append(got, all...); len(body) > 2000 && len(all) > 1 {
				t.Errorf("%d bytes", len(body))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %.300q", endpoint, got)
		}
		if s := n.Stats(); s.Polls > 16 {
			t.Errorf("%d answers for 20 KB", s.Polls)
		}
	}
}

func TestGoodbye(t *testing.T) {
	t.Run("a poll waits", func(t *testing.T) {
		a := newApp()
		n := serve(t, a, nil)
		p := n.dial("/engine.io/")
		polling := p.later(context.Background(), receive(t, "open", a.opened))
		p.send("1\x1e4lost")
		if r := receive(t, "answer", polling); r.status != 200 || r.body != "6" {
			t.Errorf("%+v", r)
		}
		p.unknown()
		if cause := receive(t, "closed", a.closed); closeCode(cause) != 1000 || !remote(cause) {
			t.Errorf("%v", cause)
		}
	})
	t.Run("the poll comes later", func(t *testing.T) {
		a := newApp()
		n := serve(t, a, nil)
		p := n.dial("/engine.io/")
		receive(t, "open", a.opened).Push(message("lost", frame.Durable, ""))
		p.send("1")
		p.expect(200, "6")
		p.unknown()
		receive(t, "closed", a.closed)
	})
	t.Run("no poll", func(t *testing.T) {
		a := newApp()
		n := serve(t, a, func(s *settings) { s.socket.CloseTimeout = 100 * time.Millisecond })
		n.dial("/engine.io/").send("1")
		receive(t, "closed", a.closed)
	})
	t.Run("WebSocket", func(t *testing.T) {
		a := newApp()
		w := serve(t, a, nil).socket("/engine.io/?EIO=4&transport=websocket")
		w.send("1")
		w.expectClose(1000)
		_ = w.Close()
		if cause := receive(t, "closed", a.closed); closeCode(cause) != 1000 || !remote(cause) {
			t.Errorf("%v", cause)
		}
	})
}

func remote(err error) bool {
	e, ok := errors.AsType[*socket.CloseError](err)
	return ok && e.Remote
}

func TestClosing(t *testing.T) {
	for _, tt := range []struct {
		name, endpoint string
		close          func(*Conn)
		last           string
		is             func(error) bool
	}{
		{"fault", "/engine.io/", func(c *Conn) { c.CloseWith(fault.TokenExpired, "x") }, "1",
			func(err error) bool { return fault.Is(err, fault.TokenExpired) }},
		{"code", "/engine.io/", func(c *Conn) { c.Close(1000, "bye") }, "1", func(err error) bool { return closeCode(err) == 1000 && !remote(err) }},
		{"fault, bare", "/bare/", func(c *Conn) { c.CloseWith(fault.TokenExpired, "x") }, "14402 token_expired: x",
			func(err error) bool { return fault.Is(err, fault.TokenExpired) }},
		{"fault without text, bare", "/bare/", func(c *Conn) { c.CloseWith(fault.Draining, "") }, "14000 draining",
			func(err error) bool { return fault.Is(err, fault.Draining) }},
		{"code, bare", "/bare/", func(c *Conn) { c.Close(1000, "bye") }, "11000 bye", func(err error) bool { return closeCode(err) == 1000 }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newApp()
			n := serve(t, a, func(s *settings) { s.MaxPayload = 1000 })
			p := n.dial(tt.endpoint)
			c := receive(t, "open", a.opened)
			polling := p.later(context.Background(), c)
			tt.close(c) // a poll is there
			if r := receive(t, "answer", polling); r.body != tt.last {
				t.Errorf("%+v", r)
			}
			if cause := receive(t, "closed", a.closed); !tt.is(cause) {
				t.Errorf("%v", cause)
			}
			p.unknown()

			p = n.dial(tt.endpoint)
			c = receive(t, "open", a.opened)
			head := strings.TrimPrefix("4", map[bool]string{true: "4"}[tt.endpoint == "/bare/"])
			for range 2 {
				c.Push(text(head+strings.Repeat("x", 600), frame.Durable, ""))
			}
			tt.close(c) // no poll is there, and two are needed
			if c.Push(text(head, frame.Durable, "")) || c.PushAll([]*frame.Frame{text(head, frame.Durable, "")}) {
				t.Error("takes frames")
			}
			if err := c.Drained(context.Background(), 1); !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
			c.CloseWith(fault.Internal, "the second call does not count")
			p.send("4not seen any more")
			p.expect(200, "4"+strings.Repeat("x", 600))
			p.expect(200, "4"+strings.Repeat("x", 600)+"\x1e"+tt.last)
			if cause := receive(t, "closed", a.closed); !tt.is(cause) {
				t.Errorf("%v", cause)
			}
			p.unknown()
		})
	}
	t.Run("nobody polls", func(t *testing.T) {
		a := newApp()
		n := serve(t, a, func(s *settings) { s.socket.CloseTimeout = 50 * time.Millisecond })
		p := n.dial("/engine.io/")
		c := receive(t, "open", a.opened)
		c.Push(message("lost", frame.Durable, ""))
		n.eventually("an end, of the first call's time", func() bool {
			c.CloseWith(fault.Draining, "")
			return len(a.closed) > 0
		})
		p.unknown()
	})
	t.Run("within the handler", func(t *testing.T) {
		a := newApp()
		a.open = func(c *Conn) error { c.CloseWith(fault.Forbidden, ""); return nil }
		a.frame = func(*Conn, []byte, bool) { panic("seen") }
		p := serve(t, a, nil).dial("/bare/")
		p.send("4not seen")
		p.expect(200, "14403 forbidden")
		receive(t, "closed", a.closed)
	})
}

func TestPanicsAreContained(t *testing.T) {
	a := newApp()
	a.frame = func(*Conn, []byte, bool) { panic("frame") }
	n := serve(t, a, nil)
	p := n.dial("/bare/")
	if status, _ := n.do("POST", p.path, "4a\x1e4b"); status != 500 {
		t.Errorf("%d", status)
	}
	p.expect(200, "14005 internal")
	if cause := receive(t, "closed", a.closed); !fault.Is(cause, fault.Internal) {
		t.Errorf("%v", cause)
	}
	w := n.socket("/engine.io/?EIO=4&transport=websocket")
	w.send("4a")
	w.expectClose(fault.Internal.Close())
	if s := n.Stats(); s.Panics != 1 || n.sockets.Stats().Panics != 1 {
		t.Errorf("%+v", s)
	}
}

func TestClosedMayPanic(t *testing.T) {
	n := serve(t, newApp(), nil)
	p := n.dial("/engine.io/")
	n.conn(p.id).at = &point{Endpoint: Endpoint{Path: "/engine.io/", Handler: bomb{newApp()}}}
	n.conn(p.id).end(ending{kind: fault.Internal, now: true})
	n.eventually("an end", func() bool { return n.Stats().Polling == 0 && n.Stats().Panics == 1 })
}

type bomb struct{ *app }

func (bomb) Closed(*Conn, error) { panic("closed") }

// TestNextPollMayOvertake: a client that has read its answer polls again before we
// know that it has.
func TestNextPollMayOvertake(t *testing.T) {
	a := newApp()
	n := serve(t, a, nil)
	p := n.dial("/engine.io/")
	c := receive(t, "open", a.opened)
	c.mu.Lock()
	c.p.writing, c.p.gets = true, 1 // an answer is under way
	c.mu.Unlock()
	c.Push(message("next", frame.Durable, ""))
	next := make(chan result, 1)
	go func() { // ends with the request
		s, b, err := n.try(context.Background(), "GET", p.path, nil)
		next <- result{s, b, err}
	}()
	n.eventually("two polls", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.p.gets == 2
	})
	p.expect(400, `{"code":3,"message":"Bad request"}`+"\n") // a third is too many
	if r := receive(t, "answer", next); r.status != 400 {
		t.Errorf("%+v", r)
	}

	p = n.dial("/engine.io/")
	c = receive(t, "open", a.opened)
	c.mu.Lock()
	c.p.writing, c.p.gets = true, 1
	c.mu.Unlock()
	c.Push(message("next", frame.Durable, ""))
	go func() { // ends with the request
		s, b, err := n.try(context.Background(), "GET", p.path, nil)
		next <- result{s, b, err}
	}()
	n.eventually("two polls", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.p.gets == 2
	})
	c.answered(&answer{}, nil)
	if r := receive(t, "answer", next); r.body != "4next" {
		t.Errorf("%+v", r)
	}
}

func TestAnswersHeaders(t *testing.T) {
	n := serve(t, newApp(), nil)
	p := n.dial("/engine.io/")
	for _, body := range []string{"4a", ""} {
		method := map[bool]string{true: "POST", false: "GET"}[body != ""]
		r, _ := http.NewRequest(method, n.url(p.path), strings.NewReader(body))
		res, err := n.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if h := res.Header; h.Get("Content-Type") != "text/plain; charset=UTF-8" || h.Get("Cache-Control") != "no-store" || res.ContentLength != 2 {
			t.Errorf("%s: %v", method, h)
		}
	}
}
