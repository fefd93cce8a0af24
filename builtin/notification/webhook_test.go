package notification

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODk=" // 0123456789abcdef0123456789

// backend answers with one status after the other, the last one for ever.
type backend struct {
	*httptest.Server
	mu       sync.Mutex
	statuses []int
	heads    []http.Header
	bodies   []string
	arrived  chan struct{}
	slow     chan struct{} // nil: it answers at once
}

func newBackend(t *testing.T, statuses ...int) *backend {
	b := &backend{statuses: statuses, arrived: make(chan struct{}, 100)}
	b.Server = httptest.NewServer(b)
	t.Cleanup(b.Close)
	return b
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // a short one is seen by the test
	b.mu.Lock()
	status := b.statuses[0]
	if len(b.statuses) > 1 {
		b.statuses = b.statuses[1:]
	}
	b.heads, b.bodies = append(b.heads, r.Header.Clone()), append(b.bodies, string(body))
	b.mu.Unlock()
	b.arrived <- struct{}{}
	if b.slow != nil {
		select {
		case <-b.slow:
		case <-r.Context().Done():
		}
	}
	if status >= 300 && status < 400 {
		w.Header().Set("Location", b.URL+"/elsewhere")
	}
	w.WriteHeader(status)
}

func newWebhook(t *testing.T, url string) *Webhook {
	w := NewWebhook(map[string]WebhookConfig{tenant: {URL: url, Secret: secret, Timeout: time.Minute}}, func() time.Time { return time.Unix(1767225600, 0) })
	w.pause = time.Millisecond
	t.Cleanup(func() { _ = w.Close() })
	return w
}

var batch = []Notification{{ID: "01J", Tenant: tenant, User: "bob", Reason: ForMention, Room: "conv:1", Epoch: epoch, Offset: 7, From: "ann", Text: "<hi>", Count: 2, Unread: 3, Devices: []string{"phone"}, Timestamp: 1767225599000}}

func TestWebhook(t *testing.T) {
	for _, c := range []struct {
		name     string
		statuses []int
		posts    int
		err      string
	}{
		{"taken", []int{204}, 1, ""},
		{"taken later", []int{500, 429, 200}, 3, ""},
		{"never", []int{503}, tries, "the webhook answers 503 Service Unavailable"},
		{"refused", []int{400}, 1, "the webhook answers 400 Bad Request"},
		{"redirected", []int{307}, 1, "the webhook answers 307 Temporary Redirect"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBackend(t, c.statuses...)
			err := newWebhook(t, b.URL).Notify(t.Context(), batch)
			if err == nil && c.err != "" || err != nil && err.Error() != c.err {
				t.Errorf("%v, want %s", err, c.err)
			}
			if len(b.bodies) != c.posts {
				t.Fatalf("%d posts, want %d", len(b.bodies), c.posts)
			}
			for i, h := range b.heads {
				b.verify(t, i)
				if h.Get("Webhook-Id") != b.heads[0].Get("Webhook-Id") || b.bodies[i] != b.bodies[0] {
					t.Error("another try is another post")
				}
			}
		})
	}
}

// verify checks a post as docs/PROTOCOL.md tells receivers to.
func (b *backend) verify(t *testing.T, i int) {
	t.Helper()
	h := b.heads[i]
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(h.Get("Webhook-Id") + "." + h.Get("Webhook-Timestamp") + "." + b.bodies[i]))
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); h.Get("Webhook-Signature") != want || h.Get("Webhook-Timestamp") != "1767225600" || h.Get("Content-Type") != "application/json" {
		t.Errorf("signed %s, want %s", h.Get("Webhook-Signature"), want)
	}
	var js bytes.Buffer
	if err := json.Indent(&js, []byte(b.bodies[i]), "", ""); err != nil {
		t.Fatal(err)
	}
	want := `{"type":"notification:new","timestamp":"2026-01-01T00:00:00Z","tenant":"acme","notifications":[{"id":"01J","tenant":"acme","user":"bob","reason":"mention","room":"conv:1","epoch":"e1","offset":7,"from":"ann","text":"\u003chi\u003e","count":2,"unread":3,"devices":["phone"],"timestamp":1767225599000}]}`
	if b.bodies[i] != want {
		t.Errorf("got  %s\nwant %s", b.bodies[i], want)
	}
}

// TestSignature is the example of the specification, with a key of its own.
func TestSignature(t *testing.T) {
	c := WebhookConfig{Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
	key, err := c.key()
	if err != nil {
		t.Fatal(err)
	}
	if got := sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`)); got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Error(got)
	}
}

func TestWebhookThatIsNotThere(t *testing.T) {
	b := newBackend(t, 200)
	w := newWebhook(t, b.URL+"/?token=hidden")
	b.Close()
	if err := w.Notify(t.Context(), batch); err == nil || strings.Contains(err.Error(), "hidden") {
		t.Error(err)
	}
}

func TestWebhookThatDoesNotAnswer(t *testing.T) {
	b := newBackend(t, 200)
	b.slow = make(chan struct{})
	t.Cleanup(func() { close(b.slow) })
	w := newWebhook(t, b.URL)
	w.Reload(map[string]WebhookConfig{tenant: {URL: b.URL, Secret: secret, Timeout: 200 * time.Millisecond}})
	if err := w.Notify(t.Context(), batch); err == nil {
		t.Error("sent")
	}
	if n := len(b.arrived); n > tries { // one that is slow to begin has no time left to arrive
		t.Errorf("%d posts", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Notify(ctx, batch); err == nil {
		t.Error("sent, though it was to end")
	}
}

func TestWebhookReload(t *testing.T) {
	b, other := newBackend(t, 200), newBackend(t, 200)
	w := newWebhook(t, b.URL)
	for _, step := range []struct {
		url    string
		serves bool
	}{{other.URL, true}, {"", false}} {
		w.Reload(map[string]WebhookConfig{tenant: {URL: step.url, Secret: secret, Timeout: time.Minute}})
		if err := w.Notify(t.Context(), batch); (err == nil) != step.serves || w.Serves(tenant) != step.serves {
			t.Errorf("%q: %v, %v", step.url, err, w.Serves(tenant))
		}
	}
	if len(b.bodies) != 0 || len(other.bodies) != 1 || w.Serves("globex") {
		t.Errorf("%d and %d posts", len(b.bodies), len(other.bodies))
	}
}

// TestSlowTenantDelaysNobody: while one tenant's webhook does not answer, the other's
// gets all.
func TestSlowTenantDelaysNobody(t *testing.T) {
	slow, quick := newBackend(t, 200), newBackend(t, 200)
	slow.slow = make(chan struct{})
	w := NewWebhook(map[string]WebhookConfig{"slow": {URL: slow.URL, Secret: secret, Timeout: time.Minute}, "quick": {URL: quick.URL, Secret: secret, Timeout: time.Minute}}, time.Now)
	o := newOutbox(10, []Named{{"webhook", w}}, slog.New(slog.DiscardHandler))
	o.put(Notification{Tenant: "slow"})
	<-slow.arrived
	for range 5 {
		o.put(Notification{Tenant: "slow"})
		o.put(Notification{Tenant: "quick"})
		<-quick.arrived
		o.put(Notification{Tenant: "none"})
	}
	close(slow.slow)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	o.close(ctx)
	if p := o.posts[0]; p.sent.Load() != 11 || len(slow.bodies) != 2 || strings.Count(slow.bodies[1], `"tenant":"slow",`) != 6 {
		t.Errorf("%d sent, in %q", p.sent.Load(), slow.bodies)
	}
	o.put(Notification{Tenant: "quick"})
	if o.posts[0].dropped.Load() != 1 {
		t.Error("taken behind the end")
	}
}

func TestCheckWebhook(t *testing.T) {
	for _, c := range []struct {
		name string
		c    WebhookConfig
		want []string
	}{
		{"none", WebhookConfig{}, nil},
		{"good", WebhookConfig{URL: "https://app.example.com/hook", Secret: secret}, nil},
		{"bytes", WebhookConfig{URL: "http://127.0.0.1:8000", Secret: strings.Repeat("x", 24)}, nil},
		{"allowed", WebhookConfig{URL: "http://app.example.com", Secret: secret, InsecureHTTP: true}, nil},
		{"no address", WebhookConfig{Secret: secret}, []string{"url: is missing: the secret signs nothing"}},
		{"in clear", WebhookConfig{URL: "http://app.example.com", Secret: secret}, []string{"url: http to another machine lets whoever sits between read the notifications: use https, or set insecure_http"}},
		{"not an address", WebhookConfig{URL: "app.example.com/hook", Secret: secret}, []string{"url: want https://host/path"}},
		{"another scheme", WebhookConfig{URL: "ftp://app.example.com/", Secret: secret}, []string{"url: want https://host/path"}},
		{"short", WebhookConfig{URL: "https://x", Secret: "0123456789"}, []string{"secret: want at least 24 bytes, or whsec_ and as many in base64"}},
		{"no secret", WebhookConfig{URL: "https://x"}, []string{"secret: want at least 24 bytes, or whsec_ and as many in base64"}},
		{"not base64", WebhookConfig{URL: "https://x", Secret: "whsec_" + strings.Repeat("!", 40)}, []string{"secret: want at least 24 bytes, or whsec_ and as many in base64"}},
	} {
		var got []string
		c.c.Check(func(option, problem string) { got = append(got, option+": "+problem) })
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

func TestLog(t *testing.T) {
	for text, want := range map[bool]string{
		false: `level=INFO msg=notification tenant=acme user=bob reason=mention room=conv:1 offset=7 from=ann count=2 unread=3 devices=[phone]`,
		true:  `level=INFO msg=notification tenant=acme user=bob reason=mention room=conv:1 offset=7 from=ann count=2 unread=3 devices=[phone] text=<hi>`,
	} {
		var out bytes.Buffer
		l := NewLog(slog.New(slog.NewTextHandler(&out, nil)), text)
		if err := l.Notify(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		if _, got, _ := strings.Cut(strings.TrimSpace(out.String()), " "); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
