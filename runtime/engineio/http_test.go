package engineio

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/socket"
)

func TestGreetings(t *testing.T) {
	for _, tt := range []struct {
		name, node, path, sid string
		socket                bool
		upgrades              []string
	}{
		{"polling", "n1", "/engine.io/?EIO=4&transport=polling", `^n1\.[\w-]{22}$`, false, []string{"websocket"}},
		{"no last slash", "n1", "/engine.io?EIO=4&transport=polling&t=x&b64=1", `^n1\.[\w-]{22}$`, false, []string{"websocket"}},
		{"bare", "n1", "/bare/?EIO=4&transport=polling", `^n1\.[\w-]{22}$`, false, []string{}},
		{"WebSocket", "n1", "/engine.io/?EIO=4&transport=websocket", `^n1\.[\w-]{22}$`, true, []string{}},
		{"node's name does not fit", "n1.example.com", "/engine.io/?EIO=4&transport=polling", `^[\w-]{22}$`, false, []string{"websocket"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newApp()
			n := serve(t, a, func(s *settings) { s.node = tt.node })
			var g greeting
			if tt.socket {
				w := n.socket(tt.path)
				_, p, err := w.next()
				if err != nil {
					t.Fatal(err)
				}
				g = greeted(t, string(p))
			} else {
				_, body := n.do("GET", tt.path, "", "User-Agent", "tester")
				g = greeted(t, body)
			}
			c := receive(t, "open", a.opened)
			if g.PingInterval != 25000 || g.PingTimeout != 20000 || g.MaxPayload != 1000000 || !slices.Equal(g.Upgrades, tt.upgrades) {
				t.Errorf("%+v", g)
			}
			if !regexp.MustCompile(tt.sid).MatchString(g.SID) || c.ID() != g.SID {
				t.Errorf("sid %q, %q", g.SID, c.ID())
			}
			want := map[bool]string{true: "websocket", false: "polling"}[tt.socket]
			if c.Transport() != want || !c.Remote().Addr().IsLoopback() || time.Since(c.Opened()) > patience {
				t.Errorf("%s %s %s", c.Transport(), c.Remote(), c.Opened())
			}
			if !tt.socket && c.UserAgent() != "tester" {
				t.Errorf("agent %q", c.UserAgent())
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	a := newApp()
	a.admit = func(h *socket.Handshake) (any, error) {
		if strings.Contains(h.Query, "token=bad") {
			return nil, &fault.Error{Kind: fault.Unauthenticated, Msg: "not this one", After: 1500 * time.Millisecond}
		}
		return nil, nil
	}
	n := serve(t, a, nil)
	const eio, bare, ws = "/engine.io/?EIO=4&transport=polling", "/bare/?EIO=4&transport=polling", "/engine.io/?EIO=4&transport=websocket"
	far := "n2.0123456789012345678901"
	own := n.dial("/engine.io/")
	for _, tt := range []struct {
		name, method, path string
		status             int
		body               string
		reason             reason
	}{
		{"no transport", "GET", "/engine.io/?EIO=4", 400, `{"code":0,"message":"Transport unknown"}`, unknownTransport},
		{"other transport", "GET", "/engine.io/?EIO=4&transport=abc", 400, `{"code":0,"message":"Transport unknown"}`, unknownTransport},
		{"webtransport", "POST", "/engine.io/?EIO=4&transport=webtransport", 400, `{"code":0,"message":"Transport unknown"}`, unknownTransport},
		{"WebSocket that is none", "GET", ws, 400, `{"code":3,"message":"Bad request"}`, badRequest},
		{"WebSocket that is none, of a connection", "GET", ws + "&sid=" + own.id, 400, `{"code":3,"message":"Bad request"}`, badRequest},
		{"unknown sid", "GET", eio + "&sid=abc", 400, `{"code":1,"message":"Session ID unknown"}`, unknownSID},
		{"unknown sid, sent to", "POST", eio + "&sid=abc", 400, `{"code":1,"message":"Session ID unknown"}`, unknownSID},
		{"sid of another endpoint", "GET", bare + "&sid=" + own.id, 400,
			`{"code":"not_found","message":"Session ID unknown","retryable":false,"retry_after_ms":0}`, unknownSID},
		{"sid of another node", "GET", eio + "&sid=" + far, 400, `{"code":1,"message":"Session ID unknown: node n2 has it"}`, otherNode},
		{"sid with odd node", "GET", eio + "&sid=a%0a.0123456789012345678901", 400, `{"code":1,"message":"Session ID unknown"}`, unknownSID},
		{"begins with POST", "POST", eio, 400, `{"code":2,"message":"Bad handshake method"}`, badMethod},
		{"begins with PUT", "PUT", eio, 400, `{"code":2,"message":"Bad handshake method"}`, badMethod},
		{"PUT to a connection", "PUT", eio + "&sid=" + own.id, 400, `{"code":2,"message":"Bad handshake method"}`, badMethod},
		{"JSONP", "GET", eio + "&j=0", 400, `{"code":3,"message":"Bad request"}`, badRequest},
		{"no version", "GET", "/engine.io/?transport=polling", 400, `{"code":5,"message":"Unsupported protocol version"}`, badVersion},
		{"version 3", "GET", "/engine.io/?EIO=3&transport=polling", 400, `{"code":5,"message":"Unsupported protocol version"}`, badVersion},
		{"not admitted", "GET", eio + "&token=bad", 401, `{"code":4,"message":"not this one"}`, forbidden},
		{"bare: WebSocket", "GET", "/bare/?EIO=4&transport=websocket", 400,
			`{"code":"malformed","message":"Transport unknown","retryable":false,"retry_after_ms":0}`, unknownTransport},
		{"bare: not admitted", "GET", bare + "&token=bad", 401,
			`{"code":"unauthenticated","message":"not this one","retryable":false,"retry_after_ms":1500}`, forbidden},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name := tt.reason.row().name
			before := n.Stats().Refused[name]
			r, _ := http.NewRequest(tt.method, n.url(tt.path), nil)
			res, err := n.client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body := make([]byte, 1000)
			k, _ := res.Body.Read(body)
			if got := strings.TrimSpace(string(body[:k])); res.StatusCode != tt.status || got != tt.body {
				t.Errorf("%d %s", res.StatusCode, got)
			}
			if ct, cc := res.Header.Get("Content-Type"), res.Header.Get("Cache-Control"); ct != "application/json" || cc != "no-store" {
				t.Errorf("%q %q", ct, cc)
			}
			if after := n.Stats().Refused[name]; after != before+1 {
				t.Errorf("counted %d", after-before)
			}
		})
	}
	for _, tt := range []struct {
		name, path string
		status     int
	}{
		{"version", "/engine.io/?EIO=3&transport=websocket", 400},
		{"no transport", "/engine.io/?EIO=4", 400},
		{"polling", "/engine.io/?EIO=4&transport=polling", 400},
		{"unknown sid", ws + "&sid=abc", 400},
		{"another node's sid", ws + "&sid=" + far, 400},
		{"bare", "/bare/?EIO=4&transport=websocket", 400},
		{"query", ws + "&sid=%zz", 400},
		{"not admitted", ws + "&token=bad", 401},
	} {
		t.Run("WebSocket: "+tt.name, func(t *testing.T) {
			if _, status := n.upgrade(tt.path); status != tt.status {
				t.Errorf("status %d", status)
			}
		})
	}
	if status, _ := n.do("GET", "/elsewhere", ""); status != 404 {
		t.Errorf("another path: %d", status)
	}
	own.send("4still there")
	own.expect(200, "4still there")
}

func TestOrigins(t *testing.T) {
	n := serve(t, newApp(), func(s *settings) { s.socket.Origins = []string{"https://app.example.com"} })
	const path = "/engine.io/?EIO=4&transport=polling"
	ask := func(method, origin string) *http.Response {
		r, _ := http.NewRequest(method, n.url(path), nil)
		r.Header.Set("Origin", origin)
		r.Header.Set("Access-Control-Request-Headers", "x-one,x-two")
		res, err := n.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res
	}
	for _, tt := range []struct {
		method, origin string
		status         int
		allowed        string
	}{
		{"GET", "https://app.example.com", 200, "https://app.example.com"},
		{"OPTIONS", "https://app.example.com", 204, "https://app.example.com"},
		{"POST", "https://app.example.com", 400, "https://app.example.com"}, // a refusal that a page can read
		{"GET", "https://evil.example.com", 403, ""},
		{"POST", "https://evil.example.com", 403, ""},
		{"OPTIONS", "https://evil.example.com", 403, ""},
		{"GET", "null", 403, ""},
	} {
		res := ask(tt.method, tt.origin)
		h := res.Header
		if res.StatusCode != tt.status || h.Get("Access-Control-Allow-Origin") != tt.allowed ||
			(h.Get("Access-Control-Allow-Credentials") == "true") != (tt.allowed != "") || !strings.Contains(h.Get("Vary"), "Origin") {
			t.Errorf("%s from %s: %d %v", tt.method, tt.origin, res.StatusCode, h)
		}
		if tt.status == 204 && (h.Get("Access-Control-Allow-Headers") != "x-one,x-two" || h.Get("Access-Control-Allow-Methods") != "GET, POST") {
			t.Errorf("preflight: %v", h)
		}
	}
	if status, body := n.do("GET", path, "", "Origin", "https://evil.example.com"); status != 403 || body != `{"code":4,"message":"Forbidden"}`+"\n" {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := n.do("OPTIONS", path, ""); status != 204 {
		t.Errorf("OPTIONS of no browser: %d", status)
	}
}

func TestHandshakesAreRated(t *testing.T) {
	n := serve(t, newApp(), func(s *settings) {
		s.socket.Handshake.RatePerIP, s.socket.Handshake.BurstPerIP = 0.001, 2
		s.MaxPolling = 1
	})
	const path = "/engine.io/?EIO=4&transport=polling"
	n.dial("/engine.io/")
	if status, body := n.do("GET", path, ""); status != 503 || !strings.Contains(body, `"code":4`) {
		t.Errorf("one too many: %d %s", status, body)
	}
	if status, body := n.do("GET", path, ""); status != 429 || !strings.Contains(body, "too many connections from this address") {
		t.Errorf("too often: %d %s", status, body)
	}
}

func TestTokensOfPollingClients(t *testing.T) {
	a := newApp()
	seen := make(chan socket.Handshake, 10)
	a.admit = func(h *socket.Handshake) (any, error) { seen <- *h; return "value", nil }
	n := serve(t, a, func(s *settings) { s.socket.Proxies.Trusted = []string{"127.0.0.1"}; s.socket.QueryToken = true })
	n.do("GET", "/engine.io/?EIO=4&transport=polling&token=q", "", "Authorization", "Bearer tok", "X-Forwarded-For", "192.0.2.7", "User-Agent", strings.Repeat("é", 200))
	h := receive(t, "handshake", seen)
	if h.Token != "tok" || h.Remote.Addr().String() != "192.0.2.7" || h.Path != "/engine.io/" {
		t.Errorf("%+v", h)
	}
	c := receive(t, "open", a.opened)
	if c.Value() != "value" || c.Remote().Addr().String() != "192.0.2.7" || len(c.UserAgent()) != 256 {
		t.Errorf("%v %v %d", c.Value(), c.Remote(), len(c.UserAgent()))
	}
	n.do("GET", "/engine.io/?EIO=4&transport=polling&token=q", "")
	if h := receive(t, "handshake", seen); h.Token != "q" {
		t.Errorf("%+v", h)
	}
}

func TestOpenMayRefuse(t *testing.T) {
	for _, tt := range []struct {
		name   string
		open   func(*Conn) error
		status int
		kind   fault.Kind
	}{
		{"error", func(*Conn) error { return &fault.Error{Kind: fault.Overloaded} }, 503, fault.Overloaded},
		{"panic", func(*Conn) error { panic("open") }, 500, fault.Internal},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newApp()
			a.open = tt.open
			n := serve(t, a, nil)
			if status, _ := n.do("GET", "/engine.io/?EIO=4&transport=polling", ""); status != tt.status {
				t.Errorf("polling: %d", status)
			}
			if cause := receive(t, "closed", a.closed); !fault.Is(cause, tt.kind) {
				t.Errorf("polling: %v", cause)
			}
			w := n.socket("/engine.io/?EIO=4&transport=websocket")
			w.expectClose(tt.kind.Close())
			_ = w.Close()
			if cause := receive(t, "closed", a.closed); !fault.Is(cause, tt.kind) {
				t.Errorf("WebSocket: %v", cause)
			}
		})
	}
}

func TestAdmitMayPanic(t *testing.T) {
	a := newApp()
	a.admit = func(*socket.Handshake) (any, error) { panic("admit") }
	n := serve(t, a, nil)
	if status, _ := n.do("GET", "/engine.io/?EIO=4&transport=polling", ""); status != 500 {
		t.Errorf("polling: %d", status)
	}
	if _, status := n.upgrade("/engine.io/?EIO=4&transport=websocket"); status != 500 {
		t.Errorf("WebSocket: %d", status)
	}
	if s := n.Stats(); s.Panics != 2 {
		t.Errorf("%+v", s)
	}
}

func TestWhatOpenPushesFollowsTheGreeting(t *testing.T) {
	a := newApp()
	a.open = func(c *Conn) error { c.SetValue(c.Push(message("hi", frame.Control, ""))); return nil }
	n := serve(t, a, nil)
	n.dial("/engine.io/").expect(200, "4hi")
	w := n.socket("/engine.io/?EIO=4&transport=websocket")
	_, p, _ := w.next()
	greeted(t, string(p))
	w.expect("4hi")
	if c := receive(t, "open", a.opened); c.Value() != true {
		t.Error("not queued")
	}
}

func TestDraining(t *testing.T) {
	a := newApp()
	n := serve(t, a, nil)
	p := n.dial("/engine.io/")
	polling := p.later(context.Background(), receive(t, "open", a.opened))
	n.Server.StopAccepting()
	if status, body := n.do("GET", "/engine.io/?EIO=4&transport=polling", ""); status != 503 || !strings.Contains(body, `"code":4`) {
		t.Errorf("%d %s", status, body)
	}
	if _, status := n.upgrade("/engine.io/?EIO=4&transport=websocket"); status != 503 {
		t.Errorf("WebSocket: %d", status)
	}
	p.send("4on we go")
	if r := receive(t, "answer", polling); r.body != "4on we go" {
		t.Errorf("%+v", r)
	}
	polling = p.later(context.Background(), n.conn(p.id))
	n.stop()
	if r := receive(t, "answer", polling); r.status != 200 || r.body != "1" {
		t.Errorf("%+v", r)
	}
	if cause := receive(t, "closed", a.closed); !fault.Is(cause, fault.Draining) {
		t.Errorf("%v", cause)
	}
}

func (n *node) conn(id string) *Conn {
	n.Server.mu.Lock()
	defer n.Server.mu.Unlock()
	return n.Server.conns[id]
}

func TestConfigIsChecked(t *testing.T) {
	good := Deps{Sockets: new(socket.Server), Queue: socket.Queue{Bytes: 1, WriteTimeout: 1}, CloseTimeout: 1}
	cfg := defaults[Config](t)
	for _, tt := range []struct {
		name string
		edit func(*Config, *Deps)
		want string
	}{
		{"fine", func(*Config, *Deps) {}, ""},
		{"interval", func(c *Config, _ *Deps) { c.PingInterval = 0 }, "engineio: ping_interval: must be positive"},
		{"sockets", func(_ *Config, d *Deps) { d.Sockets = nil }, "engineio: no sockets"},
		{"bounds", func(_ *Config, d *Deps) { d.CloseTimeout = 0 }, "engineio: no bounds"},
		{"endpoint", func(_ *Config, d *Deps) { d.Endpoints = []Endpoint{{Path: "/x", Handler: newApp()}} },
			`engineio: endpoint "/x": needs a handler, and a path between slashes`},
		{"twice", func(_ *Config, d *Deps) {
			d.Endpoints = []Endpoint{{Path: "/x/", Handler: newApp()}, {Path: "/x/", Handler: newApp()}}
		}, "engineio: two endpoints at /x/"},
	} {
		c, d := cfg, good
		tt.edit(&c, &d)
		_, err := New(c, d)
		if got := fmt.Sprint(err); (err != nil) != (tt.want != "") || err != nil && got != tt.want {
			t.Errorf("%s: %s", tt.name, got)
		}
	}
}

func closeCode(err error) uint16 {
	if e, ok := errors.AsType[*socket.CloseError](err); ok {
		return e.Code
	}
	return 0
}
