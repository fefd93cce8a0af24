package app

import (
	"errors"
	"net/http"
	"strings"
	"testing"
)

// TestPollingFromOneAddress: handshakes alone take polling away from nobody at another
// address, and those who open sessions count no more.
func TestPollingFromOneAddress(t *testing.T) {
	t.Parallel()
	n := serve(t, "engineio.max_polling=64", "engineio.unopened_share=0.0625", "socket.proxies.trusted=[127.0.0.1]", "socketio.connect_timeout=1m", "session.open_timeout=1m")
	const most = 4
	from := func(ip string) http.Header { return http.Header{"X-Forwarded-For": {ip}} }
	// bare is a handshake of Socket.IO alone, native one of the native protocol.
	bare := func(ip string) (*pieces, error) { return n.engine(t, "ann", byPolling, from(ip)) }
	native := func(h http.Header) *pieces {
		t.Helper()
		s := &pieces{t: t, node: n, user: "ann", url: "http://" + n.app.Addr().String() + "/v1/poll/?EIO=4&transport=polling", web: &http.Client{Timeout: patience, Transport: &http.Transport{}}}
		t.Cleanup(s.leave)
		status, body, err := s.ask(http.MethodGet, s.url, "", h)
		if err = errors.Join(err, s.hello(message4{text: body})); err != nil {
			t.Fatal(status, err)
		}
		s.url += "&sid=" + s.sid
		return s
	}

	// More sessions than that are open at one address, of both protocols.
	const home = "192.0.2.1"
	for i := range 2 * most {
		s, err := bare(home)
		if err != nil {
			t.Fatalf("client %d: %v", i, err)
		}
		s.welcome("/", "")
		token := mint(t, claims("acme", "ann"))
		s = native(from(home))
		if s.write("4" + envelope("session:open", "", "1", `{"token":`+quoted(token)+`}`)); i%2 == 1 {
			continue
		}
		h := from(home)
		h.Set("Authorization", "Bearer "+token)
		native(h)
	}
	full := func(want int) {
		t.Helper()
		for i := range want {
			if _, err := bare(home); err != nil {
				t.Fatalf("handshake %d of %d: %v", i, want, err)
			}
		}
		if _, err := bare(home); err == nil || !strings.HasPrefix(err.Error(), "503 ") {
			t.Fatalf("one more than %d: %v", want, err)
		}
	}
	full(most)
	for _, elsewhere := range []string{"192.0.2.2", "2001:db8::1"} {
		s, err := bare(elsewhere)
		if err != nil {
			t.Fatalf("from %s: %v", elsewhere, err)
		}
		s.welcome("/", "")
	}
	// Who leaves its only namespace counts again, until it has another one.
	other, err := bare("192.0.2.3")
	if err != nil {
		t.Fatal(err)
	}
	other.welcome("/", "")
	other.write("41")
	for i := range most - 1 {
		if _, err := bare("192.0.2.3"); err != nil {
			t.Fatal(i, err)
		}
	}
	if _, err := bare("192.0.2.3"); err == nil {
		t.Fatal("a connection that has left its namespace does not count")
	}
	other.connect("/voice", "")
	if _, err := bare("192.0.2.3"); err != nil {
		t.Fatalf("one that is in another namespace counts: %v", err)
	}
	if body := n.admin("/metrics").body; !strings.Contains(body, `heddle_polling_refused_total{reason="per_ip"} 2`+"\n") {
		t.Error("the refusals are not counted")
	}
}
