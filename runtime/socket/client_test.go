package socket

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/runtime/config"
	"github.com/heddle-rt/heddle/runtime/frame"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds everything that a test waits for.
const patience = 30 * time.Second

// app is a Handler of functions, each of which may be nil.
type app struct {
	admit  func(*Handshake) (any, error)
	open   func(*Conn) error
	frame  func(*Conn, []byte, bool)
	opened chan *Conn
	closed chan error
}

func newApp() *app {
	return &app{opened: make(chan *Conn, 4096), closed: make(chan error, 4096)}
}

func (a *app) Admit(_ context.Context, h *Handshake) (any, error) {
	if a.admit != nil {
		return a.admit(h)
	}
	return nil, nil
}

func (a *app) Open(c *Conn) error {
	defer func() { a.opened <- c }()
	if a.open != nil {
		return a.open(c)
	}
	return nil
}

func (a *app) Frame(c *Conn, p []byte, binary bool) {
	if a.frame != nil {
		a.frame(c, p, binary)
		return
	}
	c.Push(message(string(p), frame.Control, ""))
}

func (a *app) Closed(_ *Conn, cause error) { a.closed <- cause }

func message(text string, class frame.Class, key string) *frame.Frame {
	return frame.Finish(append(frame.Begin(len(text)), text...), false, class, key)
}

func defaults(t testing.TB) Config {
	t.Helper()
	r, err := config.Load[Config](config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r.Value.Listen = "127.0.0.1:0"
	r.Value.CloseTimeout = patience
	r.Value.Handshake.Timeout = patience
	r.Value.Queue.WriteTimeout = patience
	return *r.Value
}

// serve runs a server until the test ends, and expects it to end well.
func serve(t testing.TB, a *app, edit func(*Config, *Deps)) *Server {
	t.Helper()
	cfg := defaults(t)
	deps := Deps{Handler: a, Subprotocols: []string{"heddle.v1.json", "heddle.v1.msgpack"}}
	if edit != nil {
		edit(&cfg, &deps)
	}
	s, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		if n := s.Stats(); n.QueuedBytes != 0 || n.Connections != 0 {
			t.Errorf("left behind: %d bytes, %d connections", n.QueuedBytes, n.Connections)
		}
	})
	return s
}

// client speaks WebSocket on bytes, so that it can break the rules.
type client struct {
	net.Conn
	br *bufio.Reader
	t  testing.TB
}

// connect dials without a handshake.
func connect(t testing.TB, s *Server) *client {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(2 * patience))
	return &client{Conn: c, br: bufio.NewReader(c), t: t}
}

func request(path string, lines ...string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: example.com\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + strings.Join(append(lines, ""), "\r\n") + "\r\n"
}

// ask sends a request and reads the answer's head.
func (c *client) ask(req string) *http.Response {
	c.t.Helper()
	if _, err := io.WriteString(c, req); err != nil {
		c.t.Fatal(err)
	}
	r, err := http.ReadResponse(c.br, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return r
}

// upgrade dials and expects to be let in.
func upgrade(t testing.TB, s *Server, lines ...string) *client {
	t.Helper()
	c := connect(t, s)
	if r := c.ask(request("/v1/ws", lines...)); r.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(r.Body)
		t.Fatalf("status %d: %s", r.StatusCode, body)
	}
	return c
}

// masked is a client's frame; first is its first byte.
func masked(first byte, p []byte) []byte {
	var f []byte
	switch n := len(p); {
	case n < 126:
		f = append(f, first, 0x80|byte(n))
	case n < 1<<16:
		f = binary.BigEndian.AppendUint16(append(f, first, 0x80|126), uint16(n))
	default:
		f = binary.BigEndian.AppendUint64(append(f, first, 0x80|127), uint64(n))
	}
	key := [4]byte{1, 2, 3, 4}
	f = append(f, key[:]...)
	for i, b := range p {
		f = append(f, b^key[i%4])
	}
	return f
}

func (c *client) send(first byte, p string) {
	c.t.Helper()
	if _, err := c.Write(masked(first, []byte(p))); err != nil {
		c.t.Fatal(err)
	}
}

// next reads one frame.
func (c *client) next() (first byte, p []byte, err error) {
	var h [2]byte
	if _, err = io.ReadFull(c.br, h[:]); err != nil {
		return 0, nil, err
	}
	n := uint64(h[1])
	switch n {
	case 126:
		var l [2]byte
		_, err = io.ReadFull(c.br, l[:])
		n = uint64(binary.BigEndian.Uint16(l[:]))
	case 127:
		var l [8]byte
		_, err = io.ReadFull(c.br, l[:])
		n = binary.BigEndian.Uint64(l[:])
	}
	p = make([]byte, n)
	if err == nil {
		_, err = io.ReadFull(c.br, p)
	}
	return h[0], p, err
}

func (c *client) expect(first byte, payload string) {
	c.t.Helper()
	f, p, err := c.next()
	if err != nil || f != first || string(p) != payload {
		c.t.Fatalf("got frame %#x %q, %v; want %#x %q", f, p, err, first, payload)
	}
}

// message reads up to the next message.
func (c *client) message() string {
	c.t.Helper()
	for {
		first, p, err := c.next()
		if err != nil {
			c.t.Fatal(err)
		}
		if first&0x0f <= 2 {
			return string(p)
		}
	}
}

// expectClose skips other frames up to the close frame.
func (c *client) expectClose(code uint16, reason string) {
	c.t.Helper()
	for {
		f, p, err := c.next()
		if err != nil {
			c.t.Fatalf("no close frame: %v", err)
		}
		if f != 0x88 {
			continue
		}
		got := fmt.Sprint(binary.BigEndian.Uint16(p), " ", string(p[2:]))
		if want := fmt.Sprint(code, " ", reason); got != want {
			c.t.Fatalf("closed with %q, want %q", got, want)
		}
		return
	}
}

// receive waits for something from a channel.
func receive[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatalf("no %s", what)
	}
	panic("unreachable")
}

// eventually polls what has no channel to wait for.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
		<-time.After(2 * time.Millisecond)
	}
}

func closeCode(err error) uint16 {
	if e, ok := errors.AsType[*CloseError](err); ok {
		return e.Code
	}
	return 0
}
