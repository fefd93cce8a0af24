package fetch

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPublic(t *testing.T) {
	for address, want := range map[string]bool{
		"1.1.1.1": true, "93.184.216.34": true, "2606:4700::1111": true, "172.15.0.1": true, "172.32.0.1": true,
		"127.0.0.1": false, "127.9.9.9": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false, "0.0.0.0": false,
		"100.64.0.1": false, "224.0.0.1": false, "255.255.255.255": false, "198.18.0.1": false, "240.0.0.1": false,
		"::1": false, "::": false, "fe80::1": false, "fe80::1%eth0": false, "fc00::1": false, "fd12::1": false, "ff02::1": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::127.0.0.1": false, "64:ff9b::7f00:1": false, "2002:7f00:1::": false, "2001::1": false, "fec0::1": false,
	} {
		if err := public(netip.MustParseAddr(address)); (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// rig is a fetcher, and a server on the loopback that all names lead to.
type rig struct {
	*Fetcher
	server  *httptest.Server
	answers chan *Response
}

func newRig(t *testing.T, change func(*Config), handle http.HandlerFunc) *rig {
	t.Helper()
	r := &rig{server: httptest.NewTLSServer(handle), answers: make(chan *Response, 100)}
	t.Cleanup(r.server.Close)
	cfg := Config{Workers: 2, Queue: 10, Timeout: 10 * time.Second, Body: 1024, Private: true}
	if change != nil {
		change(&cfg)
	}
	r.Fetcher = New(cfg, Deps{
		Log: slog.New(slog.DiscardHandler), Answer: func(_ context.Context, a *Response) { r.answers <- a },
		Transport: func(tr *http.Transport) {
			tr.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the test's own server
			tr.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{Control: r.control}).DialContext(ctx, network, r.server.Listener.Addr().String())
			}
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }() // ended by cancel
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return r
}

// ask sends a request and waits for what comes of it.
func (r *rig) ask(t *testing.T, q Request) *Response {
	t.Helper()
	if q.Method == "" {
		q.Method = "GET"
	}
	if q.Hosts == nil {
		q.Hosts = []string{"api.example.com", "*.example.org", "api.example.com:8443"}
	}
	err := r.Send(&q)
	select {
	case a := <-r.answers:
		if err != nil && !strings.HasSuffix(err.Error(), a.Err) {
			t.Errorf("the answer says %q, Send %v", a.Err, err)
		}
		return a
	case <-time.After(30 * time.Second):
		t.Fatal("no answer")
		return nil
	}
}

func TestFetch(t *testing.T) {
	r := newRig(t, nil, func(w http.ResponseWriter, q *http.Request) {
		switch q.URL.Path {
		case "/echo":
			body, _ := io.ReadAll(q.Body)
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusCreated)
			_, _ = fmt.Fprintf(w, "%s %s %s %s", q.Method, q.Host, q.Header["X-A"], body)
		case "/long":
			_, _ = w.Write(make([]byte, 5000))
		case "/slow":
			<-q.Context().Done()
		case "/to":
			http.Redirect(w, q, q.URL.Query().Get("u"), http.StatusFound)
		}
	})
	for name, c := range map[string]struct {
		q    Request
		want string // status and body, or what is in the error
	}{
		"echo":                 {Request{Method: "POST", URL: "https://api.example.com/echo?x=1", Headers: "x-a: 1\nX-A: 2\n", Body: []byte("hi")}, "201 POST api.example.com [1 2] hi"},
		"below a star":         {Request{URL: "https://a.b.example.org/echo"}, "201 GET a.b.example.org [] "},
		"a port":               {Request{URL: "https://api.example.com:8443/echo"}, "201 GET api.example.com:8443 [] "},
		"a redirect":           {Request{URL: "https://api.example.com/to?u=https://x.example.org/echo"}, "201 GET x.example.org [] "},
		"another host":         {Request{URL: "https://evil.example.net/"}, "does not name evil.example.net"},
		"the star itself":      {Request{URL: "https://example.org/"}, "does not name"},
		"a name that ends so":  {Request{URL: "https://evilexample.org/"}, "does not name"},
		"not by https":         {Request{URL: "http://api.example.com/"}, "does not name"},
		"another port":         {Request{URL: "https://api.example.com:22/"}, "does not name"},
		"an address":           {Request{URL: "https://127.0.0.1/"}, "does not name"},
		"a scheme":             {Request{URL: "file:///etc/passwd"}, "only http"},
		"credentials":          {Request{URL: "https://a:b@api.example.com/"}, "credentials"},
		"no URL":               {Request{URL: "https://%zz"}, "invalid URL"},
		"a bad method":         {Request{Method: "GET /x HTTP/1.1\r\nHost: y\r\n", URL: "https://api.example.com/"}, "invalid method"},
		"a header of others":   {Request{URL: "https://api.example.com/", Headers: "Host: evil"}, "no header that a plugin may set"},
		"a header in a header": {Request{URL: "https://api.example.com/", Headers: "a: b\rHost: evil"}, "no header"},
		"redirected away":      {Request{URL: "https://api.example.com/to?u=https://evil.example.net/"}, "redirected: the manifest does not name"},
		"redirected inside":    {Request{URL: "https://api.example.com/to?u=https://127.0.0.1/"}, "redirected: the manifest does not name"},
		"redirected to http":   {Request{URL: "https://api.example.com/to?u=http://api.example.com/"}, "redirected: the manifest does not name"},
		"redirected on and on": {Request{URL: "https://api.example.com/to?u=/to%3Fu%3D/to%3Fu%253D/to%253Fu%25253D/to%25253Fu%2525253D/to%2525253Fu%252525253D/to"}, "redirects"},
		"it lasts too long":    {Request{URL: "https://api.example.com/slow", Timeout: 50 * time.Millisecond}, "deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			a := r.ask(t, c.q)
			if got := fmt.Sprint(a.Status, " ", string(a.Body)); a.Err == "" && got != c.want || a.Err != "" && !strings.Contains(a.Err, c.want) {
				t.Errorf("%s %s, want %s", got, a.Err, c.want)
			}
		})
	}
	if a := r.ask(t, Request{URL: "https://api.example.com/long", Tag: "t"}); len(a.Body) != 1024 || !a.Cut || a.Tag != "t" {
		t.Errorf("%d bytes, %v", len(a.Body), a.Cut)
	}
}

// TestNotInside has a name on the list lead to the loopback.
func TestNotInside(t *testing.T) {
	r := newRig(t, func(c *Config) { c.Private = false }, func(http.ResponseWriter, *http.Request) { t.Error("it was reached") })
	a := r.ask(t, Request{URL: "https://api.example.com/"})
	if !strings.Contains(a.Err, "not an address of the public Internet") || r.Refused.Load() != 1 || r.Failed.Load() != 1 {
		t.Errorf("%+v", a)
	}
}

// TestNotRedirectedInside has a name on the list redirect to another one on it, which leads
// to the loopback: each address is looked at before it is connected to.
func TestNotRedirectedInside(t *testing.T) {
	var to string
	outside := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { http.Redirect(w, q, to, http.StatusFound) }))
	defer outside.Close()
	for _, private := range []bool{false, true} {
		reached := false
		inside := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
		_, port, _ := net.SplitHostPort(inside.Listener.Addr().String())
		to = "https://localhost:" + port + "/"
		f := New(Config{Workers: 1, Queue: 1, Timeout: 10 * time.Second, Body: 1024, Private: private}, Deps{
			Log: slog.New(slog.DiscardHandler),
			Transport: func(tr *http.Transport) {
				tr.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the test's own server
				dial := tr.DialContext
				tr.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
					if address == "api.example.com:443" { // stands for one of the Internet
						return new(net.Dialer).DialContext(ctx, network, outside.Listener.Addr().String())
					}
					return dial(ctx, network, address)
				}
			},
		})
		a := f.do(t.Context(), &Request{Method: "GET", URL: "https://api.example.com/", Hosts: []string{"api.example.com", "localhost:" + port}})
		inside.Close()
		if private && (a.Status != http.StatusOK || !reached) {
			t.Errorf("it could not be reached at all: %+v", a)
		}
		if !private && (reached || !strings.Contains(a.Err, "not an address of the public Internet") || f.Refused.Load() != 1) {
			t.Errorf("reached %v: %+v", reached, a)
		}
	}
}

// TestRoom: what waits is bounded in bytes, too, and of tenants that fill the queue the one
// that has most makes room: its plugin is told.
func TestRoom(t *testing.T) {
	f := New(Config{Workers: 1, Queue: 100}, Deps{})
	told := ""
	send := func(tenant string) error {
		return f.Send(&Request{
			Tenant: tenant, Method: "POST", URL: "https://api.example.com/", Hosts: []string{"api.example.com"}, Body: make([]byte, queueBytes/8),
			Dropped: func(err error) { told += fmt.Sprint(tenant, " ", err) },
		})
	}
	for i := range 4 {
		if err := send("a"); (err == nil) != (i < 3) {
			t.Errorf("%d of a: %v", i, err)
		}
	}
	for i := range 4 {
		if err := send("b"); (err == nil) != (i < 3) {
			t.Errorf("%d of b: %v", i, err)
		}
	}
	if err := send("c"); err != nil || told != "" || f.Dropped.Load() != 2 {
		t.Errorf("%v, told %q, %d are dropped", err, told, f.Dropped.Load())
	}
	if err := send("d"); err != nil || told != "a "+ErrBusy.Error() || f.Dropped.Load() != 3 {
		t.Errorf("%v, told %q, %d are dropped", err, told, f.Dropped.Load())
	}
}

func TestTooMany(t *testing.T) {
	release := make(chan struct{})
	r := newRig(t, func(c *Config) { c.Workers, c.Queue = 1, 4 }, func(http.ResponseWriter, *http.Request) { <-release })
	q := Request{Method: "GET", URL: "https://api.example.com/", Hosts: []string{"api.example.com"}}
	sent := 0
	for r.Dropped.Load() == 0 && sent < 10 {
		if r.Send(&q) == nil {
			sent++
		}
	}
	close(release)
	if sent < 2 || sent > 3 {
		t.Errorf("%d were taken", sent)
	}
	for range sent {
		<-r.answers
	}
}
