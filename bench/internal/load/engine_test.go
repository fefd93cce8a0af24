package load

import (
	"context"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lxzan/gws"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo sends every message back, after a ping.
type echo struct{ gws.BuiltinEventHandler }

func (echo) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	_ = c.WritePing([]byte("?"))
	_ = c.WriteMessage(m.Opcode, m.Bytes())
}

// serve starts an echo server, which selects the protocol "p" but on /plain, and
// returns how many clients it sees from each address.
func serve(t *testing.T) (addr string, hosts func() map[string]int) {
	var mu sync.Mutex
	seen := map[string]int{}
	up := gws.NewUpgrader(echo{}, &gws.ServerOption{SubProtocols: []string{"p"}})
	plain := gws.NewUpgrader(echo{}, nil)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Token") == "bad" {
			http.Error(w, "who are you", http.StatusUnauthorized)
			return
		}
		up := up
		if r.URL.Path == "/plain" {
			up = plain
		}
		c, err := up.Upgrade(w, r)
		if err != nil {
			return
		}
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		mu.Lock()
		seen[host]++
		mu.Unlock()
		c.ReadLoop() // ends when the client resets the connection
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		return maps.Clone(seen)
	}
}

// parrot joins at once and takes every message for a delivery and an ack.
type parrot struct{ shake Handshake }

func (p parrot) Handshake(*Conn) Handshake { return p.shake }
func (parrot) Opened(c *Conn)              { c.Joined() }
func (parrot) Frame(c *Conn, m []byte)     { c.Deliver(m); c.Ack() }
func (parrot) Publish(dst []byte, _ *Conn, _ uint32, body []byte) []byte {
	return AppendFrame(dst, OpText, body)
}

// start runs an engine until the test ends.
func start(t *testing.T, cfg Config, d Driver) *Engine {
	t.Helper()
	e, err := New(cfg, d)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- e.Run(ctx) }() // ends with cancel
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return e
}

func TestEngineRoundTrip(t *testing.T) {
	addr, hosts := serve(t)
	e := start(t, Config{Addr: addr, Loops: 2, Dialing: 4, PerSource: 10}, parrot{Handshake{Path: "/", Protocol: "p", Header: []string{"Sec-WebSocket-Protocol: p"}}})
	const n = 30
	var conns []*Conn
	for i := range n {
		conns = append(conns, e.Dial(e.Loops[i%2], "r"))
	}
	if _, err := e.WaitJoined(t.Context(), n, 30*time.Second); err != nil {
		t.Fatal(err)
	}
	if got := hosts(); len(got) != 3 || got["127.0.0.2"] != 10 {
		t.Errorf("connections came from %v, want 10 from each of three addresses", got)
	}
	since := Now()
	e.Window(since, since+int64(time.Minute))
	acks := make(chan int64, n)
	for _, c := range conns {
		c.Loop().Do(func() { c.OnAck = func(at int64) { acks <- at } })
		c.Send(e.Driver.Publish(nil, c, 3, AppendBody(nil, Now())))
	}
	for range n {
		if at := <-acks; at < since {
			t.Errorf("an ack came at %d, before %d", at, since)
		}
	}
	if e.Delivered() != n || e.Latency().Count() != n || e.Connects().Count() != n {
		t.Errorf("%d delivered, %d latencies, %d connects, want %d", e.Delivered(), e.Latency().Count(), e.Connects().Count(), n)
	}
	if e.Failures() != 0 || e.Closed() != 0 {
		t.Errorf("%d failures, %d closed: %s", e.Failures(), e.Closed(), e.FirstFailure())
	}
}

func TestHandshakeRefused(t *testing.T) {
	addr, _ := serve(t)
	for name, c := range map[string]struct {
		shake Handshake
		want  string
	}{
		"status":      {Handshake{Path: "/", Header: []string{"X-Token: bad"}}, "who are you"},
		"subprotocol": {Handshake{Path: "/plain", Protocol: "q"}, "without the subprotocol q"},
	} {
		t.Run(name, func(t *testing.T) {
			e := start(t, Config{Addr: addr, Loops: 1, Dialing: 1}, parrot{c.shake})
			e.Dial(e.Loops[0], "r")
			_, err := e.WaitJoined(t.Context(), 1, 30*time.Second)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no address": {Loops: 1, Dialing: 1},
		"IPv6":       {Addr: "[::1]:80", Loops: 1, Dialing: 1},
		"no loop":    {Addr: "127.0.0.1:80", Dialing: 1},
	} {
		if _, err := New(cfg, parrot{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
