package socket

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/frame"
)

func TestEcho(t *testing.T) {
	a := newApp()
	a.admit = func(h *Handshake) (any, error) { return "v-" + h.Token, nil }
	s := serve(t, a, nil)
	c := upgrade(t, s, "User-Agent: loom", "Authorization: Bearer secret")
	conn := receive(t, "open", a.opened)
	if conn.Value() != "v-secret" || conn.UserAgent() != "loom" || conn.Remote().String() != c.LocalAddr().String() {
		t.Errorf("%v %q %v", conn.Value(), conn.UserAgent(), conn.Remote())
	}
	for _, text := range []string{"", "hello", strings.Repeat("x", 200), strings.Repeat("y", 60000)} {
		c.send(0x81, text)
		c.expect(0x81, text)
	}
	c.send(0x89, "are you there")
	c.expect(0x8a, "are you there")
	c.send(0x88, "\x03\xe8bye")
	c.expectClose(1000, "")
	cause := receive(t, "closed", a.closed)
	if e, ok := errors.AsType[*CloseError](cause); !ok || !e.Remote || e.Code != 1000 || e.Reason != "bye" {
		t.Errorf("cause %v", cause)
	}
}

func TestFramesBehindTheHandshakeAreRead(t *testing.T) {
	a := newApp()
	s := serve(t, a, nil)
	c := connect(t, s)
	both := request("/v1/ws") + string(masked(0x81, []byte("one"))) + string(masked(0x81, []byte(strings.Repeat("2", 3000))))
	c.ask(both)
	c.expect(0x81, "one")
	c.expect(0x81, strings.Repeat("2", 3000))
}

func TestClosings(t *testing.T) {
	huge := binary.BigEndian.AppendUint64([]byte{0x82, 0xff}, 1<<63|5)
	cases := []struct {
		name   string
		send   []byte
		frame  func(*Conn, []byte, bool)
		code   uint16
		reason string
	}{
		{"giant frame", masked(0x82, make([]byte, 70000)), nil, 1009, "too_large"},
		{"giant frame in pieces", append(masked(0x02, make([]byte, 40000)), masked(0x80, make([]byte, 40000))...), nil, 1009, "too_large"},
		{"bad UTF-8", masked(0x81, []byte{0xff, 0xfe}), nil, 1007, "malformed: not UTF-8"},
		{"unmasked", []byte{0x81, 1, 'x'}, nil, 1002, "malformed: not RFC 6455"},
		{"negative length", append(huge, 1, 2, 3, 4), nil, 1002, "malformed: not RFC 6455"},
		{"reserved bit", masked(0xc1, []byte("x")), nil, 1002, "malformed: not RFC 6455"},
		{"panic", masked(0x81, []byte("x")), func(*Conn, []byte, bool) { panic("oh") }, 4005, "internal"},
		{"by kind", masked(0x81, []byte("x")), func(c *Conn, _ []byte, _ bool) { c.CloseWith(fault.Draining, "") }, 4000, "draining"},
		{"by kind with text", masked(0x81, []byte("x")), func(c *Conn, _ []byte, _ bool) {
			c.CloseWith(fault.Unauthenticated, strings.Repeat("é", 100))
		}, 4401, "unauthenticated: " + strings.Repeat("é", 53)},
		{"by code", masked(0x81, []byte("x")), func(c *Conn, _ []byte, _ bool) { c.Close(1000, "done") }, 1000, "done"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			a := newApp()
			a.frame = tc.frame
			s := serve(t, a, nil)
			c := upgrade(t, s)
			if _, err := c.Write(tc.send); err != nil {
				t.Fatal(err)
			}
			c.expectClose(tc.code, tc.reason)
			c.send(0x88, string(binary.BigEndian.AppendUint16(nil, tc.code)))
			_ = c.Close()
			receive(t, "closed", a.closed)
			eventually(t, "place given up", func() bool { return s.Stats().Connections == 0 })
			if len(a.closed) != 0 {
				t.Error("Closed was called twice")
			}
		})
	}
}

func TestCloseFlushesFirstAndTakesNoMore(t *testing.T) {
	a := newApp()
	s := serve(t, a, func(c *Config, _ *Deps) { c.CloseTimeout = time.Second })
	a.frame = func(c *Conn, _ []byte, _ bool) {
		var fs []*frame.Frame
		for _, text := range []string{"a", "b", "c"} {
			fs = append(fs, message(text, frame.Durable, ""))
		}
		if !c.PushAll(fs) {
			t.Error("refused")
		}
		c.CloseWith(fault.SessionReplaced, "")
		if c.Push(fs[0]) {
			t.Error("a closing connection took a frame")
		}
	}
	c := upgrade(t, s)
	c.send(0x81, "go")
	for _, text := range []string{"a", "b", "c"} {
		c.expect(0x81, text)
	}
	c.expectClose(4406, "session_replaced")
	if _, _, err := c.next(); err == nil {
		t.Error("something follows the close frame")
	}
}

func TestClientThatDoesNotAnswerACloseIsCut(t *testing.T) {
	a := newApp()
	s := serve(t, a, func(c *Config, _ *Deps) { c.CloseTimeout = 500 * time.Millisecond })
	c := upgrade(t, s)
	receive(t, "open", a.opened).CloseWith(fault.Draining, "")
	c.expectClose(4000, "draining")
	if cause := receive(t, "closed", a.closed); !fault.Is(cause, fault.Draining) {
		t.Errorf("cause %v", cause)
	}
	eventually(t, "place given up", func() bool { return s.Stats().Connections == 0 })
}

func TestOpenRefuses(t *testing.T) {
	a := newApp()
	a.open = func(*Conn) error { return fault.New(fault.Forbidden, "", "not today") }
	s := serve(t, a, nil)
	c := upgrade(t, s)
	c.expectClose(4403, "forbidden: not today")
	_ = c.Close()
	receive(t, "closed", a.closed)
}

func TestVanishedClient(t *testing.T) {
	a := newApp()
	s := serve(t, a, nil)
	c := upgrade(t, s)
	receive(t, "open", a.opened)
	_ = c.Close()
	if cause := receive(t, "closed", a.closed); cause == nil || closeCode(cause) != 0 {
		t.Errorf("cause %v", cause)
	}
}

// rude is a handler that panics wherever it is asked to.
type rude struct {
	*app
	in string
}

func (r rude) Admit(ctx context.Context, h *Handshake) (any, error) {
	if r.in == "admit" {
		panic("admit")
	}
	return r.app.Admit(ctx, h)
}

func (r rude) Open(c *Conn) error {
	if r.in == "open" {
		panic("open")
	}
	return r.app.Open(c)
}

func (r rude) Closed(c *Conn, cause error) {
	r.app.Closed(c, cause)
	if r.in == "closed" {
		panic("closed")
	}
}

func TestPanicsEndOneConnection(t *testing.T) {
	for _, in := range []string{"admit", "open", "closed", "quality"} {
		t.Run(in, func(t *testing.T) {
			a := newApp()
			var log bytes.Buffer
			s := serve(t, a, func(c *Config, d *Deps) {
				d.Handler = rude{a, in}
				d.Logger = slog.New(slog.NewTextHandler(&log, nil))
				if in == "quality" {
					c.Heartbeat.Interval, c.Heartbeat.MaxMissed = 20*time.Millisecond, 50
					d.OnQuality = func(*Conn, Quality) { panic("quality") }
				}
			})
			c := connect(t, s)
			r := c.ask(request("/v1/ws"))
			switch in {
			case "admit":
				if r.StatusCode != 500 {
					t.Errorf("status %d", r.StatusCode)
				}
			case "closed":
				c.send(0x88, "\x03\xe8")
				c.expectClose(1000, "")
			default:
				c.expectClose(4005, "internal")
				_ = c.Close()
			}
			eventually(t, "place given up", func() bool { return s.Stats().Connections == 0 })
			if n := s.Stats().Panics; n != 1 {
				t.Errorf("%d panics", n)
			}
			if !strings.Contains(log.String(), "conn_test.go") {
				t.Errorf("no stack in the log: %s", log.String())
			}
		})
	}
}
