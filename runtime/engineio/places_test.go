package engineio

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/socket"
)

// crowd is a node of 16 places, 4 of them for one address without sessions. Messages
// open a session, but for "left", which ends it.
func crowd(t *testing.T) (*node, *app) {
	a := newApp()
	a.frame = func(c *Conn, p []byte, _ bool) { c.Stand(string(p) != "left") }
	return serve(t, a, func(s *settings) {
		s.MaxPolling, s.UnopenedShare = 16, 0.25
		s.socket.Handshake.RatePerIP = 0
		s.socket.Proxies.Trusted = []string{"127.0.0.1"}
	}), a
}

// from begins to poll from an address; it is nil if that is refused.
func (n *node) from(ip, endpoint string) *peer {
	n.t.Helper()
	path := endpoint + "?EIO=4&transport=polling"
	switch status, body := n.do("GET", path, "", "X-Forwarded-For", ip); status {
	case 200:
		return &peer{node: n, path: path + "&sid=" + greeted(n.t, body).SID}
	case 503:
		return nil
	default:
		n.t.Fatalf("%d %s", status, body)
		return nil
	}
}

// fill begins to poll until that is refused, and returns those that were not.
func (n *node) fill(ip string) (all []*peer) {
	n.t.Helper()
	for range n.cfg.MaxPolling + 1 {
		p := n.from(ip, "/engine.io/")
		if p == nil {
			return all
		}
		all = append(all, p)
	}
	n.t.Fatal("nothing is refused")
	return nil
}

// TestOneAddressTakesAShare: handshakes alone, of which nothing follows, take polling away
// from nobody else.
func TestOneAddressTakesAShare(t *testing.T) {
	n, _ := crowd(t)
	for _, ip := range []string{"192.0.2.1", "2001:db8:0:1::1"} {
		if got := len(n.fill(ip)); got != 4 {
			t.Errorf("%s has %d connections without a session", ip, got)
		}
	}
	if n.from("2001:db8:0:1:ffff::2", "/engine.io/") != nil {
		t.Error("one /64 is not one customer")
	}
	if n.from("192.0.2.2", "/engine.io/") == nil || n.from("2001:db8:0:2::1", "/engine.io/") == nil {
		t.Error("another address is refused")
	}
	if got := n.Stats().Refused["per_ip"]; got != 3 {
		t.Errorf("%d refusals are counted", got)
	}
}

// TestShareIsOverloaded: who is refused knows that it may try again, and when.
func TestShareIsOverloaded(t *testing.T) {
	n, _ := crowd(t)
	n.fill("127.0.0.1")
	status, body := n.do("GET", "/engine.io/?EIO=4&transport=polling", "")
	if status != 503 || !strings.HasPrefix(body, `{"code":4,"message":"too many connections from this address`) {
		t.Errorf("%d %s", status, body)
	}
	res, err := n.client.Get(n.url("/bare/?EIO=4&transport=polling"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var f socket.ErrorObject
	if err := json.NewDecoder(res.Body).Decode(&f); err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != 503 || res.Header.Get("Retry-After") != "1" || f.Code != fault.Overloaded.Code() || !f.Retry || f.After != 1000 {
		t.Errorf("%d %v %+v", res.StatusCode, res.Header, f)
	}
}

// TestSharesAreGivenBack: what does not count against an address, and what does again.
func TestSharesAreGivenBack(t *testing.T) {
	const ip = "192.0.2.1"
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, n *node, p *peer)
		back bool
	}{
		{"nothing", func(*testing.T, *node, *peer) {}, false},
		{"a session", func(_ *testing.T, _ *node, p *peer) { p.send("4hello\x1e4again") }, true},
		{"a session that has ended", func(_ *testing.T, _ *node, p *peer) { p.send("4hello\x1e4left\x1e4left") }, false},
		{"goodbye", func(_ *testing.T, _ *node, p *peer) {
			p.send("1")
			p.do("GET", p.path, "")
		}, true},
		{"goodbye with a session", func(_ *testing.T, _ *node, p *peer) {
			p.send("4hello\x1e1")
			p.do("GET", p.path, "")
		}, true},
		{"an upgrade", func(_ *testing.T, n *node, p *peer) {
			w := p.join()
			w.send("2probe")
			w.expect("3probe")
			w.send("5")
			w.send("4left") // no place is left to count
			n.eventually("upgraded", func() bool { return n.Stats().Upgraded == 1 })
		}, true},
		{"an upgrade that fails", func(_ *testing.T, n *node, p *peer) {
			w := p.join()
			w.send("nonsense")
			w.expectClose(fault.Malformed.Close())
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, _ := crowd(t)
			all := n.fill(ip)
			tt.do(t, n, all[1])
			want := 4
			if tt.back {
				want = 3
			}
			key := netip.MustParseAddr(ip)
			n.eventually(fmt.Sprint(want), func() bool {
				n.mu.Lock()
				defer n.mu.Unlock()
				return n.unopened[key] == want
			})
			if ok := n.from(ip, "/engine.io/") != nil; ok != tt.back {
				t.Errorf("another one: %t", ok)
			}
		})
	}
}

// TestRefusedHandshakesKeepNoPlace: those that the handler refuses, or that come too late.
func TestRefusedHandshakesKeepNoPlace(t *testing.T) {
	n, a := crowd(t)
	a.admit = func(*socket.Handshake) (any, error) { return nil, fault.New(fault.Forbidden, "", "") }
	const path = "/engine.io/?EIO=4&transport=polling"
	for range 20 {
		if status, body := n.do("GET", path, ""); status != 403 {
			t.Fatalf("%d %s", status, body)
		}
	}
	n.StopAccepting()
	if status, body := n.do("GET", path, ""); status != 503 || !strings.Contains(body, "going away") {
		t.Errorf("%d %s", status, body)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.unopened) != 0 || n.Stats().Polling != 0 {
		t.Errorf("%v, %d", n.unopened, n.Stats().Polling)
	}
}

// TestCampusComesBack: many clients behind one address, all at once, who try again when
// they are refused, are let in as those before them open their sessions.
func TestCampusComesBack(t *testing.T) {
	n, _ := crowd(t)
	for in := 0; in < n.cfg.MaxPolling; {
		let := n.fill("192.0.2.1")
		if len(let) != 4 {
			t.Fatalf("%d are let in at once, after %d", len(let), in)
		}
		for _, p := range let {
			p.send("4hello")
		}
		in += len(let)
	}
	if n.from("192.0.2.2", "/engine.io/") != nil {
		t.Error("there are more than max_polling")
	}
	if refused := n.Stats().Refused; refused["per_ip"] != 3 || refused["overloaded"] != 2 {
		t.Errorf("refused: %v", refused)
	}
}
