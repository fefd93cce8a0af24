package engineio

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/runtime/config"
	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/session"
	"github.com/heddle-rt/heddle/runtime/socket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	_ session.Conn = (*Conn)(nil)
	_ Sockets      = (*socket.Server)(nil)
)

// patience bounds everything that a test waits for.
const patience = 30 * time.Second

// app is a Handler of functions, each of which may be nil. It sends back what it
// gets.
type app struct {
	admit  func(*socket.Handshake) (any, error)
	open   func(*Conn) error
	frame  func(*Conn, []byte, bool)
	opened chan *Conn
	closed chan error
}

func newApp() *app {
	return &app{opened: make(chan *Conn, 4096), closed: make(chan error, 4096)}
}

func (a *app) Admit(_ context.Context, h *socket.Handshake) (any, error) {
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
	switch {
	case a.frame != nil:
		a.frame(c, p, binary)
	case binary:
		c.Push(frame.Finish(append(frame.Begin(len(p)), p...), true, frame.Control, ""))
	case c.Endpoint() == "/bare/":
		c.Push(text(string(p), frame.Control, ""))
	default:
		c.Push(message(string(p), frame.Control, ""))
	}
}

func (a *app) Closed(_ *Conn, cause error) { a.closed <- cause }

func text(s string, class frame.Class, key string) *frame.Frame {
	return frame.Finish(append(frame.Begin(len(s)), s...), false, class, key)
}

// message is text as all but bare endpoints have it.
func message(s string, class frame.Class, key string) *frame.Frame { return text("4"+s, class, key) }

// node is an engineio.Server over a socket.Server.
type node struct {
	*Server
	t       testing.TB
	sockets *socket.Server
	client  *http.Client
	stop    func() // and waits
}

// settings are what a test may change.
type settings struct {
	Config
	socket socket.Config
	node   string
}

func defaults[T any](t testing.TB) T {
	t.Helper()
	r, err := config.Load[T](config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return *r.Value
}

// lazy lets the socket.Server be made before its handler.
type lazy struct{ s **Server }

func (l lazy) Admit(ctx context.Context, h *socket.Handshake) (any, error) {
	return (*l.s).Upgrade().Admit(ctx, h)
}
func (l lazy) Open(c *socket.Conn) error                        { return (*l.s).Upgrade().Open(c) }
func (l lazy) Frame(c *socket.Conn, p []byte, isBinary bool)    { (*l.s).Upgrade().Frame(c, p, isBinary) }
func (l lazy) Closed(c *socket.Conn, err error)                 { (*l.s).Upgrade().Closed(c, err) }
func (l lazy) ServeHTTP(w http.ResponseWriter, r *http.Request) { (*l.s).ServeHTTP(w, r) }

// serve runs a node until the test ends, and expects it to end well.
func serve(t testing.TB, a *app, edit func(*settings)) *node {
	t.Helper()
	set := settings{Config: defaults[Config](t), socket: defaults[socket.Config](t), node: "n1"}
	set.socket.Listen = "127.0.0.1:0"
	set.socket.CloseTimeout = patience
	set.socket.Handshake.Timeout = patience
	set.socket.Queue.WriteTimeout = patience
	endpoints := []Endpoint{{Path: "/engine.io/", Handler: a}, {Path: "/bare/", Handler: a, Bare: true}}
	set.socket.Paths = append(endpoints[0].Paths(), endpoints[1].Paths()...)
	if edit != nil {
		edit(&set)
	}
	n := &node{t: t, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}, Timeout: 2 * patience}}
	var err error
	h := lazy{&n.Server}
	if n.sockets, err = socket.New(set.socket, socket.Deps{Handler: h, HTTP: h,
		Relieve: func(bytes int64) { n.Server.Relieve(bytes) }}); err != nil {
		t.Fatal(err)
	}
	if n.Server, err = New(set.Config, Deps{Endpoints: endpoints, Node: set.node, Sockets: n.sockets,
		Queue: set.socket.Queue, CloseTimeout: set.socket.CloseTimeout}); err != nil {
		t.Fatal(err)
	}
	if err := n.sockets.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := n.sockets.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	wg.Go(func() {
		if err := n.Server.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	n.stop = sync.OnceFunc(func() {
		cancel()
		n.client.CloseIdleConnections()
		wg.Wait()
	})
	t.Cleanup(func() {
		n.abandoned()
		n.stop()
		if s := n.Stats(); s.QueuedBytes != 0 || s.Polling != 0 || s.WebSocket != 0 || len(n.Server.conns) != 0 || len(n.Server.unopened) != 0 {
			t.Errorf("left behind: %+v, %d known, %v", s, len(n.Server.conns), n.Server.unopened)
		}
		if s := n.sockets.Stats(); s.QueuedBytes != 0 {
			t.Errorf("left behind: %d bytes in the budget", s.QueuedBytes)
		}
	})
	return n
}

// abandoned closes what clients have left open, so that nobody waits for them.
func (n *node) abandoned() {
	for _, c := range n.Server.polling() {
		c.end(ending{cause: errGone, now: true})
	}
	n.sockets.Each(func(c *socket.Conn) bool { c.CloseWith(0, ""); return true })
}

func (n *node) url(path string) string { return "http://" + n.sockets.Addr().String() + path }

// do makes a request and returns the status and the body.
func (n *node) do(method, path, body string, header ...string) (int, string) {
	n.t.Helper()
	status, text, err := n.try(context.Background(), method, path, strings.NewReader(body), header...)
	if err != nil {
		n.t.Fatal(err)
	}
	return status, text
}

func (n *node) try(ctx context.Context, method, path string, body io.Reader, header ...string) (int, string, error) {
	r, err := http.NewRequestWithContext(ctx, method, n.url(path), body)
	if err != nil {
		return 0, "", err
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := n.client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	p, err := io.ReadAll(res.Body)
	return res.StatusCode, string(p), err
}

// greeting is what a handshake is answered.
type greeting struct {
	SID          string
	Upgrades     []string
	PingInterval int
	PingTimeout  int
	MaxPayload   int
}

func greeted(t testing.TB, text string) (g greeting) {
	t.Helper()
	if !strings.HasPrefix(text, "0{") {
		t.Fatalf("greeted with %q", text)
	}
	if err := json.Unmarshal([]byte(text[1:]), &g); err != nil {
		t.Fatalf("greeted with %q: %v", text, err)
	}
	return g
}

// peer is a client that polls.
type peer struct {
	*node
	path string // with its query
	id   string
}

// dial begins to poll at an endpoint.
func (n *node) dial(endpoint string) *peer {
	n.t.Helper()
	path := endpoint + "?EIO=4&transport=polling"
	status, body := n.do("GET", path, "")
	if status != 200 {
		n.t.Fatalf("%d %s", status, body)
	}
	g := greeted(n.t, body)
	return &peer{node: n, path: path + "&sid=" + url.QueryEscape(g.SID), id: g.SID}
}

func (p *peer) expect(status int, body string) {
	p.t.Helper()
	if s, b := p.do("GET", p.path, ""); s != status || b != body {
		p.t.Fatalf("polled %d %.200q, want %d %q", s, b, status, body)
	}
}

func (p *peer) send(body string) {
	p.t.Helper()
	if s, b := p.do("POST", p.path, body); s != 200 || b != "ok" {
		p.t.Fatalf("sent: %d %q", s, b)
	}
}

// unknown expects that the connection is over.
func (p *peer) unknown() {
	p.t.Helper()
	if status, body := p.do("GET", p.path, ""); status != 400 || !strings.Contains(body, unknownSID.row().text) {
		p.t.Errorf("polled %d %s", status, body)
	}
}

// polled is the answer to a poll that is made meanwhile.
type result struct {
	status int
	body   string
	err    error
}

// later polls on a goroutine, and returns when the poll waits.
func (p *peer) later(ctx context.Context, c *Conn) <-chan result {
	p.t.Helper()
	ch := make(chan result, 1)
	go func() { // ends with the request, whose time is bounded
		s, b, err := p.try(ctx, "GET", p.path, nil)
		ch <- result{s, b, err}
	}()
	p.eventually("a poll that waits", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.p != nil && c.p.parked
	})
	return ch
}

// eventually looks at what has no channel to wait for.
func (n *node) eventually(what string, ok func() bool) {
	n.t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			n.t.Fatalf("never: %s", what)
		}
		<-time.After(time.Millisecond)
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

// wire is a client's WebSocket, on bytes.
type wire struct {
	net.Conn
	br *bufio.Reader
	t  testing.TB
}

// upgrade dials and asks for a WebSocket, and returns the status.
func (n *node) upgrade(path string) (*wire, int) {
	n.t.Helper()
	c, err := net.Dial("tcp", n.sockets.Addr().String())
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(2 * patience))
	w := &wire{c, bufio.NewReader(c), n.t}
	_, err = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path)
	if err != nil {
		n.t.Fatal(err)
	}
	res, err := http.ReadResponse(w.br, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	return w, res.StatusCode
}

// socket opens a WebSocket.
func (n *node) socket(path string) *wire {
	n.t.Helper()
	w, status := n.upgrade(path)
	if status != http.StatusSwitchingProtocols {
		n.t.Fatalf("status %d", status)
	}
	return w
}

// join opens a WebSocket for a connection that polls.
func (p *peer) join() *wire {
	p.t.Helper()
	return p.socket(strings.Replace(p.path, "=polling", "=websocket", 1))
}

func (w *wire) write(first byte, p string) error {
	var f []byte
	switch n := len(p); {
	case n < 126:
		f = append(f, first, 0x80|byte(n))
	default:
		f = binary.BigEndian.AppendUint16(append(f, first, 0x80|126), uint16(n))
	}
	f = append(f, 0, 0, 0, 0) // a mask that changes nothing
	_, err := w.Conn.Write(append(f, p...))
	return err
}

func (w *wire) send(p string) {
	w.t.Helper()
	if err := w.write(0x81, p); err != nil {
		w.t.Fatal(err)
	}
}

// next reads one frame.
func (w *wire) next() (first byte, p []byte, err error) {
	var h [2]byte
	if _, err = io.ReadFull(w.br, h[:]); err != nil {
		return 0, nil, err
	}
	n := uint64(h[1])
	switch n {
	case 126:
		var l [2]byte
		_, err = io.ReadFull(w.br, l[:])
		n = uint64(binary.BigEndian.Uint16(l[:]))
	case 127:
		var l [8]byte
		_, err = io.ReadFull(w.br, l[:])
		n = binary.BigEndian.Uint64(l[:])
	}
	p = make([]byte, n)
	if err == nil {
		_, err = io.ReadFull(w.br, p)
	}
	return h[0], p, err
}

func (w *wire) expect(want string) {
	w.t.Helper()
	if first, p, err := w.next(); err != nil || first&0x0f > 2 || string(p) != want {
		w.t.Fatalf("got %#x %q %v, want %q", first, p, err, want)
	}
}

// expectClose skips messages up to the close frame.
func (w *wire) expectClose(code uint16) {
	w.t.Helper()
	for {
		first, p, err := w.next()
		if err != nil {
			w.t.Fatalf("no close frame: %v", err)
		}
		if first != 0x88 {
			continue
		}
		if got := binary.BigEndian.Uint16(p); got != code {
			w.t.Fatalf("closed with %d %q, want %d", got, p[2:], code)
		}
		return
	}
}

// packetsOf splits a payload.
func packetsOf(payload string) []string {
	var all []string
	for p := range bytes.SplitSeq([]byte(payload), []byte{separator}) {
		all = append(all, string(p))
	}
	return all
}
