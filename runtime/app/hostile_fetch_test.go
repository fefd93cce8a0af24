package app

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest/guesttest"
	"github.com/heddle-rt/heddle/plugins/wasm"
)

// resolver is that of the nodes that are started; nil: the system's.
var resolver atomic.Pointer[net.Resolver]

// names has the nodes that are started until the test ends, which must not be parallel,
// find names by a server of its own. Others are not found.
func names(t *testing.T, all map[string]string) {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { // ends with server
		defer close(done)
		var b [512]byte
		for {
			n, from, err := server.ReadFrom(b[:])
			if err != nil {
				return
			}
			_, _ = server.WriteTo(resolved(b[:n], all), from)
		}
	}()
	resolver.Store(&net.Resolver{PreferGo: true, StrictErrors: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", server.LocalAddr().String())
	}})
	t.Cleanup(func() {
		resolver.Store(nil)
		_ = server.Close()
		<-done
	})
}

// resolved answers a question of the DNS (RFC 1035).
func resolved(q []byte, all map[string]string) []byte {
	be := binary.BigEndian
	at, name := 12, ""
	for q[at] != 0 {
		name += string(q[at+1:at+1+int(q[at])]) + "."
		at += 1 + int(q[at])
	}
	kind := be.Uint16(q[at+1:])
	out := append([]byte{q[0], q[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, q[12:at+5]...)
	a, err := netip.ParseAddr(all[strings.TrimSuffix(name, ".")])
	if err != nil || (kind == 1) != a.Is4() || kind != 1 && kind != 28 {
		return out
	}
	out[7] = 1
	out = append(out, 0xc0, 12, 0, byte(kind), 0, 1, 0, 0, 0, 0, 0, byte(a.BitLen()/8))
	return append(out, a.AsSlice()...)
}

// fetches is a guest that sends a request about each event, and logs the answer: all that
// is in its input.
func fetches(url string) raw {
	r := byHook(map[hostapi.Hook]hostapi.Action{hostapi.HookBefore: {Kind: hostapi.HTTP, A: []byte("GET " + url), D: []byte("tag"), Number: 2000}})
	r.Imports = []string{"log"}
	log := wat{}.I32(guesttest.InAt+8).With(0x2d, 0, 6).I32(int64(hostapi.HookResponse)).Op(guesttest.OpI32Eq).When(wat{}.I32(1, guesttest.InAt+8).Get(1).Call(0))
	r.Batch = log.Join(r.Batch)
	return r
}

// TestHostileRequests: requests reach the public Internet, and of that what the manifest
// names, alone.
func TestHostileRequests(t *testing.T) {
	names(t, map[string]string{
		"loop.example.com": "127.0.0.1", "ten.example.com": "10.0.0.7", "meta.example.com": "169.254.169.254", "six.example.com": "::1", "mapped.example.com": "::ffff:127.0.0.1",
		"local.example.com": "fe80::1", "zero.example.com": "0.0.0.0", "nat.example.com": "64:ff9b::7f00:1",
	})
	r := newRaid(t)
	const open = "not an address of the public Internet"
	all := map[string]struct{ url, want string }{
		"loopback":     {"https://127.0.0.1/", "does not name 127.0.0.1"},
		"loopback-six": {"https://[::1]/", "does not name [::1]"},
		"metadata":     {"https://169.254.169.254/latest/meta-data/", "does not name 169.254.169.254"},
		"decimal":      {"https://2130706433/", "does not name 2130706433"},
		"localhost":    {"https://localhost/", "does not name localhost"},
		"own-port":     {"https://loop.example.com:8443/", "does not name loop.example.com:8443"},
		"not-https":    {"http://loop.example.com/", "does not name loop.example.com"},
		"a-file":       {"file:///etc/passwd", "only http and https are sent"},
		"user-at":      {"https://loop.example.com@127.0.0.1/", "credentials belong in a header"},
		"to-loopback":  {"https://loop.example.com/", open}, "to-ten": {"https://ten.example.com/", open}, "to-metadata": {"https://meta.example.com/", open},
		"to-six": {"https://six.example.com/", open}, "to-mapped": {"https://mapped.example.com/", open}, "to-local": {"https://local.example.com/", open},
		"to-zero": {"https://zero.example.com/", open}, "to-nat": {"https://nat.example.com/", open}, "to-nowhere": {"https://none.example.com/", "no such host"},
		"no-method": {" https://loop.example.com/", "cannot contain colon"},
	}
	r.fetch(t, all, "*.example.com")
	if n := r.counted("heddle_plugin_requests_total", map[string]string{"result": "refused"}); n != 18 {
		t.Errorf("%v refused requests are counted", n)
	}
	r.calm(t)
}

// fetch has plugins send requests while others go on, and looks at what their developers
// read of it.
func (r *raid) fetch(t *testing.T, all map[string]struct{ url, want string }, hosts string) {
	t.Helper()
	r.peace(t, 20, func() {
		for name, c := range all {
			r.placed(t, name, fetches(c.url).Module(), unhurried+binding(name)+"capabilities: [http]\nhosts: ['"+hosts+"']\n")
			u := r.open(t, dial{user: name})
			u.do("room:join", "channel:"+name, "{}")
			u.send1("channel:"+name, "1", "x")
			u.drop()
		}
		for name, c := range all {
			eventually(t, name+": the developer reads "+c.want, func() bool { return strings.Contains(r.logs(t, name), c.want) })
		}
	})
}

// TestHostileAnswers: an operator may let plugins reach the loopback, in development. Then
// what answers may still not lead away, last for ever or be without end.
func TestHostileAnswers(t *testing.T) {
	names(t, map[string]string{"api.example.com": "127.0.0.1"})
	hits := make(chan string, 100)
	forbidden := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) { hits <- q.URL.Path }))
	defer forbidden.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		switch q.URL.Path {
		case "/redirect":
			http.Redirect(w, q, "http://"+forbidden.Listener.Addr().String()+"/", http.StatusFound)
		case "/port":
			_, port, _ := net.SplitHostPort(forbidden.Listener.Addr().String())
			http.Redirect(w, q, "http://api.example.com:"+port+"/", http.StatusTemporaryRedirect)
		case "/round":
			http.Redirect(w, q, "/round", http.StatusFound)
		case "/endless", "/hung":
			for q.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 4096)); err != nil {
					return
				}
				if q.URL.Path == "/hung" {
					_ = http.NewResponseController(w).Flush()
					<-q.Context().Done()
				}
			}
		case "/heads":
			w.Header().Set("X-Long", strings.Repeat("x", 1<<20))
		case "/good":
			_, _ = fmt.Fprint(w, "the answer")
		}
	}))
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	r := newRaid(t, "plugins.http.private=true", "plugins.http.body=4KiB", "plugins.http.timeout=2s", "plugins.http.workers=4")
	at := "http://api.example.com:" + port
	away := "redirected: the manifest does not name "
	r.fetch(t, map[string]struct{ url, want string }{
		"good": {at + "/good", "the answer"}, "redirect": {at + "/redirect", away + "127.0.0.1"}, "port": {at + "/port", away + "api.example.com:"},
		"round": {at + "/round", "more than 5 redirects"}, "endless": {at + "/endless", "tag"}, "hung": {at + "/hung", "deadline exceeded"},
		"heads": {at + "/heads", "headers"},
	}, "api.example.com:"+port)
	if len(hits) > 0 {
		t.Errorf("%s was reached", <-hits)
	}
	if n := len(r.logs(t, "endless")); n > 20<<10 {
		t.Errorf("the endless answer has %d bytes", n)
	}
	r.calm(t)
	r.shared(t, at, "api.example.com:"+port)
}

// shared has acme's requests, which are not answered, wait for each other, and globex's not
// for them.
func (r *raid) shared(t *testing.T, at, host string) {
	t.Helper()
	caps := "capabilities: [http]\nhosts: ['" + host + "']\n"
	r.placed(t, "hang", fetches(at+"/hung").Module(), unhurried+binding("hang")+caps)
	if s := r.put(t, "globex", "ask", counted(fetches(at+"/good")).Module(), unhurried+binding("ask")+caps); s.status != http.StatusCreated {
		t.Fatal(s.js)
	}
	a, g := r.open(t, dial{user: "ada"}), r.open(t, dial{tenant: "globex", user: "gil"})
	a.do("room:join", "channel:hang", "{}")
	g.do("room:join", "channel:ask", "{}")
	const many = 40 // of two seconds each, by the two workers of four that a tenant has
	failed := func() float64 {
		return r.counted("heddle_plugin_requests_total", map[string]string{"result": "failed"})
	}
	before := failed()
	for i := range many {
		a.send1("channel:hang", fmt.Sprint(i), "x")
	}
	for i := range 3 {
		g.send1("channel:ask", fmt.Sprint(i), "x")
		eventually(t, "globex is answered", func() bool {
			return r.counted("heddle_plugin_own_total", map[string]string{"tenant": "globex", "name": "answers"}) == float64(i+1)
		})
	}
	if n := failed() - before; n > many/2 {
		t.Errorf("globex waited for %v of acme's requests", n)
	}
	a.drop()
	g.drop()
}

// counted has a guest of fetches count answers in a metric, in place of logging them.
func counted(r raw) raw {
	r.Imports = []string{"metric"}
	const at = 3000
	r.Text += strings.Repeat(" ", at-guesttest.TextAt-len(r.Text)) + "answers"
	count := wat{}.I32(guesttest.InAt+8).With(0x2d, 0, 6).I32(int64(hostapi.HookResponse)).Op(guesttest.OpI32Eq).
		When(wat{}.I32(0, at, 7).F64(0x3ff0000000000000).Call(0).Op(wasm.OpDrop))
	log := wat{}.I32(guesttest.InAt+8).With(0x2d, 0, 6).I32(int64(hostapi.HookResponse)).Op(guesttest.OpI32Eq).When(wat{}.I32(1, guesttest.InAt+8).Get(1).Call(0))
	r.Batch = count.Join(r.Batch[len(log):])
	return r
}
