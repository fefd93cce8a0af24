package app

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/builtin/notification"
)

const hookSecret = "0123456789abcdef0123456789abcdef"

// hook is a tenant's backend, which takes notifications.
type hook struct {
	*httptest.Server
	got chan notification.Notification
}

func newHook(t *testing.T) *hook {
	h := &hook{got: make(chan notification.Notification, 100)}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mac := hmac.New(sha256.New, []byte(hookSecret))
		mac.Write([]byte(r.Header.Get("Webhook-Id") + "." + r.Header.Get("Webhook-Timestamp") + "." + string(body)))
		if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); r.Header.Get("Webhook-Signature") != want {
			t.Errorf("signed %q, want %q", r.Header.Get("Webhook-Signature"), want)
		}
		var p struct {
			Tenant        string
			Notifications []notification.Notification
		}
		if err := json.Unmarshal(body, &p); err != nil || p.Tenant != "acme" {
			t.Errorf("%v in %s", err, body)
		}
		for _, n := range p.Notifications {
			h.got <- n
		}
	}))
	t.Cleanup(h.Close)
	return h
}

// next is the next notification.
func (h *hook) next(t *testing.T) notification.Notification {
	t.Helper()
	select {
	case n := <-h.got:
		return n
	case <-time.After(patience):
		t.Fatal("no notification comes")
		return notification.Notification{}
	}
}

func serveNotifying(t *testing.T, h *hook) *node {
	return serve(t, "notifications.collapse=100ms", "notifications.log.enabled=true", "presence.grace=50ms",
		"tenants.acme.notifications.webhook.url="+h.URL, "tenants.acme.notifications.webhook.secret="+hookSecret)
}

// TestNotifiedWhoIsNotThere: the webhook is told of what users miss who have no
// session, unless they want no disturbance, on whatever they had a session last.
func TestNotifiedWhoIsNotThere(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	n := serveNotifying(t, h)
	ann := n.open(t, dial{user: "ann"})
	ann.do("room:create", "conv:1", `{"members":["bob","cat"]}`)
	ann.send1("conv:1", "1", "one")
	seen := map[string]notification.Notification{}
	for range 2 {
		got := h.next(t)
		seen[got.User] = got
	}
	for _, user := range []string{"bob", "cat"} {
		if got := seen[user]; got.Reason != notification.ForMessage || got.Room != "conv:1" || got.Offset != 2 || got.From != "ann" || got.Text != "one" || got.Count != 1 || got.Unread != 1 || got.ID == "" || got.Epoch == "" {
			t.Errorf("%s: %+v", user, got)
		}
	}
	mention := func(text string) {
		ann.send(envelope("message:send", "conv:1", text, `{"text":"`+text+`","mentions":["bob"]}`))
		ann.answer(text)
	}
	// Bob was here, wants no disturbance, and is gone; then no more.
	bob := n.connect(t, dial{user: "bob"})
	bob.do("session:open", "", `{"device":"phone"}`)
	bob.do("presence:update", "", `{"status":"dnd"}`)
	mention("two")
	bob.drop()
	eventually(t, "bob is gone", func() bool { return len(n.app.presence.State("acme", "bob").Devices) == 0 })
	mention("three")
	for got := (notification.Notification{}); got.Offset < 4; { // cat's; those for bob are not told
		if got = h.next(t); got.User != "cat" {
			t.Errorf("%+v", got)
		}
	}
	eventually(t, "bob is left alone", func() bool { return n.app.notify.Stats().Quiet == 2 })
	bob = n.connect(t, dial{user: "bob"})
	bob.do("session:open", "", `{"device":"phone"}`)
	bob.send(envelope("presence:update", "", "auto", `{"status":"auto"}`))
	bob.answer("auto")
	bob.drop()
	eventually(t, "bob is gone again", func() bool { return len(n.app.presence.State("acme", "bob").Devices) == 0 })
	mention("four")
	for range 2 {
		if got := h.next(t); got.User == "bob" && (got.Offset != 5 || got.Reason != notification.ForMention || got.Text != "four" || len(got.Devices) != 1 || got.Devices[0] != "phone") {
			t.Errorf("%+v", got)
		}
	}
	eventually(t, "the log has it, too", func() bool { return strings.Contains(n.log.text(), "tenant=acme user=bob reason=mention room=conv:1") })
	if log := n.log.text(); strings.Contains(log, "four") {
		t.Error(log)
	}
	metrics := n.admin("/metrics").body
	for _, want := range []string{`heddle_notifications_total{what="dnd"} 2`, `heddle_notifier_total{notifier="webhook",result="failed"} 0`, `heddle_notifications_waiting{what="notification"} 0`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("%s is not among the metrics", want)
		}
	}
}

// TestWebhooksAreReloaded: the next notification goes where the new configuration
// says.
func TestWebhooksAreReloaded(t *testing.T) {
	t.Parallel()
	h, other := newHook(t), newHook(t)
	n := serveNotifying(t, h)
	ann := n.open(t, dial{user: "ann"})
	direct := func(id string) {
		ann.send(`{"type":"event","id":"` + id + `","payload":{"action":"direct:send","data":{"to":"bob","text":"` + id + `"}}}`)
		ann.answer(id)
	}
	direct("one")
	if got := h.next(t); got.Reason != notification.ForDirect || got.Room != "user:bob" || got.User != "bob" {
		t.Errorf("%+v", got)
	}
	next := n.app.cfg
	acme := next.Tenants["acme"]
	acme.Notifications.Webhook.URL = other.URL
	next.Tenants = map[string]Tenant{"acme": acme}
	swap, err := n.app.reloadWebhooks(&next)
	if err != nil {
		t.Fatal(err)
	}
	swap()
	direct("two")
	if got := other.next(t); got.Text != "two" || len(h.got) != 0 {
		t.Errorf("%+v", got)
	}
}

// TestWhatWaitsIsToldAtTheEnd: a node that stops keeps nothing to itself.
func TestWhatWaitsIsToldAtTheEnd(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	n := serve(t, "notifications.collapse=1m", "tenants.acme.notifications.webhook.url="+h.URL, "tenants.acme.notifications.webhook.secret="+hookSecret)
	ann := n.open(t, dial{user: "ann"})
	ann.do("direct:send", "", `{"to":"bob","text":"late"}`)
	eventually(t, "it waits", func() bool { return n.app.notify.Stats().Waiting == 1 })
	ann.drop()
	n.stop()
	if got := h.next(t); got.Text != "late" {
		t.Errorf("%+v", got)
	}
}

func TestNotificationConfig(t *testing.T) {
	_, err := load(acmeOnly + "notifications: {collapse: 1ms}\nrooms: {channel: {notify: all}}\n")
	if err == nil || !strings.Contains(err.Error(), "notifications.collapse: want at least 100ms") || !strings.Contains(err.Error(), "rooms.channel.notify: there is nobody to notify") {
		t.Error(err)
	}
	_, err = load(strings.Replace(acmeOnly, "{auth", "{notifications: {webhook: {url: 'http://example.com/x', secret: short}}, auth", 1))
	if err == nil || !strings.Contains(err.Error(), "tenants.acme.notifications.webhook.url: http to another machine") || !strings.Contains(err.Error(), "tenants.acme.notifications.webhook.secret: want at least 24 bytes") || strings.Contains(err.Error(), "short") {
		t.Error(err)
	}
}
