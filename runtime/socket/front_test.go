package socket

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
)

func TestHandshakes(t *testing.T) {
	proto := func(list string) string { return "Sec-WebSocket-Protocol: " + list }
	cases := []struct {
		name    string
		request string
		edit    func(*Config)
		admit   error
		status  int
		code    string // of the error object
		select_ string
		token   string
	}{
		{name: "plain", request: request("/v1/ws"), status: 101},
		{name: "subprotocol", request: request("/v1/ws", proto("heddle.v1.msgpack, heddle.v1.json")), status: 101, select_: "heddle.v1.msgpack"},
		{name: "token in the list", request: request("/v1/ws", proto("heddle.v1.json"), proto("heddle.token.a.b.c")), status: 101, select_: "heddle.v1.json", token: "a.b.c"},
		{name: "token alone", request: request("/v1/ws", proto("heddle.token.abc")), status: 101, token: "abc"},
		{name: "unknown subprotocol", request: request("/v1/ws", proto("mqtt"), proto("heddle.token.abc")), status: 400, code: "unsupported_version"},
		{name: "bearer", request: request("/v1/ws?token=q", "Authorization: bearer xyz"), status: 101, token: "xyz"},
		{name: "query token", request: request("/v1/ws?token=q"), status: 101, token: ""},
		{name: "query token permitted", request: request("/v1/ws?token=q"), edit: func(c *Config) { c.QueryToken = true }, status: 101, token: "q"},
		{name: "refused token", request: request("/v1/ws"), admit: fault.New(fault.TokenExpired, "token", ""), status: 401, code: "token_expired"},
		{name: "no fault", request: request("/v1/ws"), admit: io.ErrUnexpectedEOF, status: 500, code: "internal"},
		{name: "same host", request: request("/v1/ws", "Origin: https://example.com"), status: 101},
		{name: "other origin", request: request("/v1/ws", "Origin: https://evil.com"), status: 403, code: "forbidden"},
		{name: "no key", request: strings.Replace(request("/v1/ws"), "dGhlIHNhbXBsZSBub25jZQ==", "short", 1), status: 400, code: "malformed"},
		{name: "old version", request: strings.Replace(request("/v1/ws"), "Version: 13", "Version: 8", 1), status: 426, code: "unsupported_version"},
		{name: "not HTTP", request: "hello\r\n\r\n", status: 400, code: "malformed"},
		{name: "large head", request: request("/v1/ws", "X: "+strings.Repeat("x", 17<<10)), status: 431, code: "too_large"},
		{name: "elsewhere", request: request("/v2/ws"), status: 418},
		{name: "page", request: "GET /v1/ws HTTP/1.1\r\nHost: x\r\n\r\n", status: 418},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			a := newApp()
			token := "none"
			a.admit = func(h *Handshake) (any, error) { token = h.Token; return nil, tc.admit }
			s := serve(t, a, func(c *Config, d *Deps) {
				if tc.edit != nil {
					tc.edit(c)
				}
				d.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) })
			})
			c := connect(t, s)
			r := c.ask(tc.request)
			if r.StatusCode != tc.status || r.Header.Get("Sec-Websocket-Protocol") != tc.select_ {
				t.Fatalf("%d, protocol %q", r.StatusCode, r.Header.Get("Sec-Websocket-Protocol"))
			}
			if tc.status == 101 && token != tc.token {
				t.Errorf("token %q", token)
			}
			if tc.code == "" {
				return
			}
			var e struct{ Code, Message string }
			if err := json.NewDecoder(r.Body).Decode(&e); err != nil || e.Code != tc.code || e.Message == "" {
				t.Errorf("%+v %v", e, err)
			}
		})
	}
}

func TestAFullNodeSaysSo(t *testing.T) {
	a := newApp()
	s := serve(t, a, func(c *Config, _ *Deps) { c.MaxConnections = 1 })
	first := upgrade(t, s)
	if r := connect(t, s).ask(request("/v1/ws")); r.StatusCode != 503 {
		t.Errorf("status %d", r.StatusCode)
	}
	_ = first.Close()
	receive(t, "closed", a.closed)
	eventually(t, "place free", func() bool { return s.Stats().Connections == 0 })
	upgrade(t, s)
}

func TestSlowLorisIsCut(t *testing.T) {
	s := serve(t, newApp(), func(c *Config, _ *Deps) { c.Handshake.Timeout = 100 * time.Millisecond })
	c := connect(t, s)
	start := time.Now()
	var err error
	for i := 0; err == nil && time.Since(start) < patience; i++ { // a byte at a time, as long as it is let
		_, err = io.WriteString(c, request("/v1/ws")[i%20:i%20+1])
		<-time.After(5 * time.Millisecond)
	}
	if err == nil || isTimeout(err) {
		t.Errorf("not cut: %v", err)
	}
	eventually(t, "counted", func() bool { return s.Stats().Unreadable == 1 })
}

func TestLimitsPerAddress(t *testing.T) {
	s := serve(t, newApp(), func(c *Config, _ *Deps) {
		c.Handshake.MaxPerIP, c.Handshake.RatePerIP, c.Handshake.BurstPerIP = 2, 0.001, 3
	})
	held := []*client{connect(t, s), connect(t, s)}
	eventually(t, "third one cut", func() bool {
		c := connect(t, s)
		_, _ = io.WriteString(c, "x")
		_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		_, err := c.br.ReadByte()
		held = append(held, c) // if it was let in, it came before one of those
		return err != nil && !isTimeout(err)
	})
	for _, c := range held {
		_ = c.Close()
	}
	passed := 0
	eventually(t, "429", func() bool {
		c := connect(t, s)
		_, _ = io.WriteString(c, request("/v1/ws"))
		r, err := http.ReadResponse(c.br, nil)
		if err != nil {
			return false // the held ones are not gone yet
		}
		if r.StatusCode == 101 {
			passed++
			return false
		}
		return r.StatusCode == 429 && r.Header.Get("Retry-After") != ""
	})
	if passed != 3 {
		t.Errorf("%d upgrades passed", passed)
	}
}

func TestGuardIsBounded(t *testing.T) {
	g := newGuard(Handshakes{MaxPerIP: 1, RatePerIP: 1, BurstPerIP: 2, Addresses: 1024})
	busy := netip.MustParseAddr("192.0.2.1")
	g.enter(busy)
	now := time.Now()
	for i := range 100_000 {
		g.allow(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), now)
	}
	n := 0
	for i := range g.shards {
		n += len(g.shards[i].entries)
	}
	if n > 1024 {
		t.Errorf("%d addresses are remembered", n)
	}
	if g.enter(busy) {
		t.Error("an address with a handshake under way was forgotten")
	}
	a, b := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::ffff:1")
	if !g.allow(a, now) || !g.allow(b, now) || g.allow(a, now) {
		t.Error("one /64 is not one customer")
	}
	if !g.allow(a, now.Add(time.Second)) {
		t.Error("no token after a second")
	}
}

func TestOrigins(t *testing.T) {
	cases := []struct {
		list, origin string
		want         bool
	}{
		{"", "", true},
		{"", "https://example.com", false},
		{"same-host", "https://EXAMPLE.com", true},
		{"same-host", "https://example.com.evil.org", false},
		{"same-host", "null", false},
		{"*", "https://evil.org", true},
		{"https://app.example.org", "https://app.example.org", true},
		{"https://app.example.org", "http://app.example.org", false},
		{"https://app.example.org", "https://app.example.org:444", false},
		{"https://*.example.org", "https://a.b.example.org", true},
		{"https://*.example.org", "https://example.org", false},
		{"https://*.example.org", "https://evilexample.org", false},
		{"http://*.localhost:3000", "http://a.localhost:3000", true},
	}
	for _, tc := range cases {
		o, err := parseOrigins(strings.Fields(tc.list))
		if err != nil {
			t.Fatal(err)
		}
		r := &http.Request{Host: "example.com", Header: http.Header{}}
		if tc.origin != "" {
			r.Header.Set("Origin", tc.origin)
		}
		if got := o.allow(r); got != tc.want {
			t.Errorf("%q with %q: %v", tc.origin, tc.list, got)
		}
	}
	for _, bad := range []string{"example.com", "https://*", "https://a.*.com", "https://a.com/path"} {
		if _, err := parseOrigins([]string{bad}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestOtherRequestsAreServed(t *testing.T) {
	s := serve(t, newApp(), func(_ *Config, d *Deps) {
		d.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s", r.URL.Path, body)
		})
	})
	var c http.Client
	defer c.CloseIdleConnections()
	for _, path := range []string{"/a", "/b"} { // the second one on the same connection
		r, err := c.Post("http://"+s.Addr().String()+path, "text/plain", strings.NewReader(strings.Repeat("z", 10000)))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(r.Body)
		_ = r.Body.Close()
		if want := path + " " + strings.Repeat("z", 10000); string(body) != want {
			t.Errorf("got %.40q", body)
		}
	}
}

func TestTooManyOtherRequests(t *testing.T) {
	inside, leave := make(chan struct{}), make(chan struct{})
	s := serve(t, newApp(), func(c *Config, d *Deps) {
		c.MaxHTTP = 2
		d.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/long" {
				inside <- struct{}{}
				<-leave
			}
		})
	})
	ask := func(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n" }
	// Those without a request give way, the longest first.
	oldest, next := connect(t, s), connect(t, s)
	for i, c := range []*client{oldest, next} {
		if r := c.ask(ask("/")); r.StatusCode != 200 {
			t.Errorf("status %d", r.StatusCode)
		}
		eventually(t, "it waits for requests", func() bool { s.web.mu.Lock(); defer s.web.mu.Unlock(); return s.web.waits.Len() == i+1 })
	}
	busy := connect(t, s)
	_, _ = io.WriteString(busy, ask("/long"))
	receive(t, "inside", inside)
	if _, err := oldest.br.ReadByte(); err != io.EOF {
		t.Errorf("the oldest one ends with %v", err)
	}
	if r := next.ask(ask("/")); r.StatusCode != 200 {
		t.Errorf("status %d", r.StatusCode)
	}
	// Those that have one do not.
	_, _ = io.WriteString(next, ask("/long"))
	receive(t, "inside", inside)
	if r := connect(t, s).ask(ask("/")); r.StatusCode != 503 {
		t.Errorf("status %d", r.StatusCode)
	}
	close(leave)
	eventually(t, "place free", func() bool { return connect(t, s).ask(ask("/")).StatusCode == 200 })
}

func TestStopAccepting(t *testing.T) {
	a := newApp()
	s := serve(t, a, nil)
	c := upgrade(t, s)
	conn := receive(t, "open", a.opened)
	c.send(0x81, "let in") // until then it is closed if nothing is accepted any more
	c.expect(0x81, "let in")
	s.StopAccepting()
	c.send(0x81, "still here")
	c.expect(0x81, "still here")
	n := 0
	s.Each(func(got *Conn) bool {
		n++
		if got == conn {
			got.CloseWith(fault.Draining, "")
		}
		return true
	})
	if n != 1 {
		t.Errorf("%d connections", n)
	}
	c.expectClose(4000, "draining")
	_ = c.Close()
}

// TestUpgradeBehindOtherRequests: a load balancer keeps its connections, and sends the
// handshake of a WebSocket on one that had other requests before.
func TestUpgradeBehindOtherRequests(t *testing.T) {
	a := newApp()
	s := serve(t, a, func(c *Config, _ *Deps) { c.MaxHTTP = 1 })
	c := connect(t, s)
	const page = "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"
	for range 2 {
		if r := c.ask(page); r.StatusCode != 404 {
			t.Fatalf("status %d", r.StatusCode)
		}
	}
	if r := c.ask(request("/v1/ws")); r.StatusCode != 101 {
		t.Fatalf("status %d", r.StatusCode)
	}
	receive(t, "open", a.opened)
	c.send(0x81, "hello")
	c.expect(0x81, "hello")
	bad := connect(t, s)
	if r := bad.ask(page); r.StatusCode != 404 { // the place is free again
		t.Errorf("status %d", r.StatusCode)
	}
	_ = c.Close()
	receive(t, "closed", a.closed)
	// One that is refused is told, and closed.
	if r := bad.ask(strings.Replace(request("/v1/ws"), "Version: 13", "Version: 12", 1)); r.StatusCode != 426 {
		t.Errorf("status %d", r.StatusCode)
	}
}

func FuzzHead(f *testing.F) {
	f.Add(request("/v1/ws"), 16<<10)
	f.Add("\r\n\r\n", 10)
	f.Fuzz(func(t *testing.T, in string, most int) {
		h := newHead().(*head)
		h.br.Reset(strings.NewReader(in))
		if err := h.read(most); err == nil && (len(h.raw) > most || !strings.HasPrefix(in, string(h.raw))) {
			t.Errorf("%q", h.raw)
		}
	})
}
