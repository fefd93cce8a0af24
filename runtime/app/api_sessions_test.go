package app

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestAPIPresence tells a backend what others see.
func TestAPIPresence(t *testing.T) {
	t.Parallel()
	n, b := apiNode(t, "rooms.hall={members: false, join: open, presence: counts, features: [presence]}")
	b.must("POST", "rooms/conv:1", `{"members":["ann","ben","cid"]}`)
	ann, ben := n.open(t, dial{user: "ann"}), n.open(t, dial{user: "ben"})
	ben.do("presence:subscribe", "", `{"users":["ann"]}`)
	say := func(data, status string) {
		t.Helper()
		ann.send(envelope("presence:update", "", status, data))
		for js := ""; !strings.Contains(js, `"status":"`+status+`"`) || !strings.Contains(js, "user:ann/presence"); {
			js = ben.must().js
		}
	}
	say(`{"status":"dnd","text":"at lunch","emoji":"x","data":{"n":1}}`, "dnd")
	for _, s := range []said{b.must("GET", "presence?user=ann&user=zoe&user=ben", ""), b.must("POST", "presence", `{"users":["ann","zoe","ben"]}`)} {
		if len(s.Users) != 3 || s.Users[1].User != "zoe" || s.Users[1].Status != "offline" || s.Users[2].Status != "online" || s.Users[1].Devices != 0 {
			t.Fatalf("%s", s.js)
		}
		if u := s.Users[0]; u.User != "ann" || u.Status != "dnd" || u.Text != "at lunch" || u.Emoji != "x" || string(u.Data) != `{"n":1}` || u.Devices != 1 || u.Since == 0 {
			t.Errorf("%s", s.js)
		}
	}
	if s := b.must("GET", "rooms/conv:1/presence?limit=1", ""); len(s.Users) != 1 || s.Users[0].User != "ann" || s.Next != "ann" || s.Online != 1 || s.DND != 1 || s.Away != 0 {
		t.Errorf("%s", s.js)
	}
	if s := b.must("GET", "rooms/conv:1/presence?after=ann", ""); len(s.Users) != 1 || s.Users[0].User != "ben" || s.Next != "" {
		t.Errorf("%s", s.js)
	}
	ann.do("room:join", "hall:1", "{}")
	if s := b.must("GET", "rooms/hall:1/presence", ""); s.Users != nil || s.DND != 1 || strings.Contains(s.js, "users") {
		t.Errorf("only counts: %s", s.js)
	}
	say(`{"status":"invisible","text":"hidden"}`, "offline")
	if s := b.must("GET", "presence?user=ann", ""); s.Users[0].Status != "offline" || strings.Contains(s.js, "hidden") {
		t.Errorf("invisible: %s", s.js)
	}
	other := b.as("all." + otherSecret)
	if s := other.must("GET", "presence?user=ben", ""); s.Users[0].Status != "offline" {
		t.Errorf("globex sees %s", s.js)
	}
	if s := other.ask("GET", "rooms/conv:1/presence", ""); s.status != http.StatusNotFound {
		t.Errorf("globex sees %s", s.js)
	}
}

// resumeData is what resumes the session of an ack.
func resumeData(session, token string) string {
	return fmt.Sprintf(`{"session":%q,"resume_token":%q}`, session, token)
}

// TestAPIDisconnect closes connections with the code that was asked for, and no
// others.
func TestAPIDisconnect(t *testing.T) {
	t.Parallel()
	n, b := apiNode(t)
	opened := func(tenant, user, device string) (c *client, resume string) {
		t.Helper()
		c = n.connect(t, dial{tenant: tenant, user: user})
		ack := c.do("session:open", "", fmt.Sprintf(`{"device":%q}`, device))
		return c, resumeData(ack.Payload.Data.Session, ack.Payload.Data.ResumeToken)
	}
	id := func(resume string) string { return strings.Split(resume, `"`)[3] }
	resumes := func(tenant, user, data string) bool {
		t.Helper()
		c := n.connect(t, dial{tenant: tenant, user: user})
		defer c.drop()
		return strings.Contains(c.do("session:resume", "", data).js, `"recovered":true`)
	}
	phone, phoneAgain := opened("acme", "ann", "phone")
	tab, tabAgain := opened("acme", "ann", "tab")
	ben, benAgain := opened("acme", "ben", "phone")
	far, farAgain := opened("globex", "ann", "phone")

	// What there is not, or is another tenant's, is nothing.
	for _, body := range []string{`{"user":"zoe"}`, `{"user":"ann","device":"tv"}`, `{"session":"01J"}`, `{"session":"` + id(farAgain) + `"}`, `{"session":"` + id(farAgain) + `","reconnect":true}`, `{"user":"ben","session":"` + id(tabAgain) + `"}`} {
		if s := b.must("POST", "disconnect", body); s.Disconnected != 0 {
			t.Errorf("%s: %s", body, s.js)
		}
	}
	for _, c := range []*client{phone, tab, ben, far} {
		c.do("session:ping", "", "{}")
	}
	if s := b.must("POST", "disconnect", `{"user":"ann","device":"phone","reconnect":true}`); s.Disconnected != 1 {
		t.Errorf("%s", s.js)
	}
	if e := phone.ends(4008); e.reason != "reconnect" {
		t.Error(e)
	}
	tab.do("session:ping", "", "{}")
	if !resumes("acme", "ann", phoneAgain) {
		t.Error("a client that was asked to come back can not resume")
	}
	if s := b.must("POST", "disconnect", `{"session":"`+id(benAgain)+`"}`); s.Disconnected != 1 {
		t.Errorf("%s", s.js)
	}
	ben.ends(4410)
	if resumes("acme", "ben", benAgain) {
		t.Error("a session that is over is resumed")
	}
	if s := b.must("POST", "disconnect", `{"user":"ann"}`); s.Disconnected < 1 {
		t.Errorf("%s", s.js)
	}
	tab.ends(4410)
	far.do("session:ping", "", "{}")
	if s := b.must("POST", "disconnect", `{"user":"ann"}`); s.Disconnected != 0 {
		t.Errorf("again: %s", s.js)
	}
	if !strings.Contains(n.log.text(), "connections were ended over the server API") {
		t.Error("no line in the log")
	}
}

// TestAPIConnectionPages pages through connections, and finds single ones.
func TestAPIConnectionPages(t *testing.T) {
	t.Parallel()
	n, b := apiNode(t)
	want := map[string]bool{}
	for _, user := range []string{"ann", "ann", "ben", "cid", "cid"} {
		c := n.connect(t, dial{user: user})
		want[c.do("session:open", "", `{"device":"d-`+user+`","attributes":{"app":"1"}}`).Payload.Data.Session] = true
	}
	n.open(t, dial{tenant: "globex", user: "ann"})
	n.connect(t, dial{user: "eve"}) // no session
	var got []string
	for path := "connections?limit=2"; path != ""; {
		s := b.must("GET", path, "")
		if len(s.Connections) > 2 || s.Next != "" && string(s.Next) != s.Connections[len(s.Connections)-1].Session {
			t.Fatalf("%s", s.js)
		}
		for _, c := range s.Connections {
			got = append(got, c.Session)
			if !want[c.Session] || c.Device != "d-"+c.User {
				t.Errorf("%+v", c)
			}
		}
		if path = ""; s.Next != "" {
			path = "connections?limit=2&after=" + string(s.Next)
		}
	}
	if len(got) != len(want) || !slices.IsSorted(got) {
		t.Errorf("%q", got)
	}
	if s := b.must("GET", "connections?session="+got[2], ""); len(s.Connections) != 1 || !strings.Contains(s.js, `"attributes":{"app":"1"}`) {
		t.Errorf("%s", s.js)
	}
	if s := b.must("GET", "connections?user=ann&device=d-ann", ""); len(s.Connections) != 2 {
		t.Errorf("%s", s.js)
	}
	if s := b.as("all."+otherSecret).must("GET", "connections?session="+got[2], ""); len(s.Connections) != 0 {
		t.Errorf("globex sees %s", s.js)
	}
}

// TestAPIDirectByServer: the server itself writes to a user.
func TestAPIDirectByServer(t *testing.T) {
	t.Parallel()
	n, b := apiNode(t)
	ann := n.open(t, dial{user: "ann"})
	first := b.must("POST", "direct", `{"to":"ann","text":"your order is on its way","id":"order-1"}`)
	e := ann.must()
	if e.Type != "message" || e.Room != "user:ann" || e.From.User != "" || strings.Contains(e.js, `"from"`) || e.Payload.Data.Text != "your order is on its way" || e.ID != first.ID {
		t.Errorf("%s, answered %s", e.js, first.js)
	}
	if s := b.must("POST", "direct", `{"to":"ann","text":"your order is on its way","id":"order-1"}`); !s.Data.Repeat || s.ID != first.ID {
		t.Errorf("again: %s", s.js)
	}
	b.must("POST", "publish", `[{"action":"direct:send","data":{"to":"ann","text":"two"}},{"action":"direct:send","data":{"to":"zoe","text":"three"}}]`)
	if e := ann.must(); e.Payload.Data.Text != "two" {
		t.Errorf("%s", e.js)
	}
	if ann, zoe := n.records("acme", "user:ann"), n.records("acme", "user:zoe"); len(ann) != 2 || len(zoe) != 1 || !ann[0].Unread {
		t.Errorf("%d and %d are stored", len(ann), len(zoe))
	}
	if all := n.records("acme", "user:"); len(all) != 0 {
		t.Errorf("the server has a room: %+v", all)
	}
}

// TestAPIFloods: a flood is told when to come back, and slows nobody else.
func TestAPIFloods(t *testing.T) {
	t.Parallel()
	n, b := apiNode(t, "limit.user={rate: 0.01, burst: 3}", "limit.actions={\"message:send\": {rate: 0.01, burst: 2}}", "tenants.globex.limit.tenant={rate: 0.01, burst: 4}")
	send := func(b *backend, more string) (reply, http.Header) {
		t.Helper()
		return b.full("POST", "publish", `{"room":"channel:x",`+more+`"data":{"text":"x"}}`, nil)
	}
	over := func(what string, r reply, h http.Header) {
		t.Helper()
		if r.status != http.StatusTooManyRequests || !strings.Contains(r.body, `"retry_after_ms":`) || !strings.Contains(r.body, `"code":"rate_limited"`) || h.Get("Retry-After") == "" || h.Get("Retry-After") == "0" {
			t.Errorf("%s: %d %v %s", what, r.status, h, r.body)
		}
	}
	// The server is no user, a user for whom it speaks is.
	for range 10 {
		if r, _ := send(b, ""); r.status != http.StatusOK {
			t.Fatalf("the server: %d %s", r.status, r.body)
		}
	}
	for range 2 {
		if r, _ := send(b, `"as_user":"ann",`); r.status != http.StatusOK {
			t.Fatalf("as ann: %d %s", r.status, r.body)
		}
	}
	r, h := send(b, `"as_user":"ann",`)
	over("as ann", r, h)
	// The tenant's budget is everybody's in it.
	globex := b.as("all." + otherSecret)
	for range 4 {
		if r, _ := send(globex, ""); r.status != http.StatusOK {
			t.Fatalf("globex: %d %s", r.status, r.body)
		}
	}
	r, h = send(globex, "")
	over("globex", r, h)
	// A key's own, and the others go on.
	slow := b.as("slow." + slowSecret)
	for range 3 {
		if r, _ := send(slow, ""); r.status != http.StatusOK {
			t.Fatalf("slow: %d %s", r.status, r.body)
		}
	}
	for range 20 {
		r, h = send(slow, "")
		over("a key", r, h)
	}
	if r, _ := send(b, ""); r.status != http.StatusOK {
		t.Errorf("another key: %d %s", r.status, r.body)
	}
	eventually(t, "all refusals are counted", func() bool { // a moment after they were answered
		return strings.Contains(n.admin("/metrics").body, `heddle_api_requests_total{route="POST /v1/api/publish",status="429"} 22`)
	})
	if metrics := n.admin("/metrics").body; !strings.Contains(metrics, `heddle_api_request_seconds_count{route="POST /v1/api/publish"}`) {
		t.Errorf("%s", metrics)
	}
}

// TestAPIHead is HTTP over a real connection.
func TestAPIHead(t *testing.T) {
	t.Parallel()
	_, b := apiNode(t)
	if r, h := b.full("HEAD", "connections", "", nil); r.status != http.StatusOK || r.body != "" || h.Get("Content-Length") == "0" || h.Get("X-Request-Id") == "" {
		t.Errorf("%d %v %q", r.status, h, r.body)
	}
	if r, h := b.full("OPTIONS", "publish", "", nil); r.status != http.StatusNoContent || h.Get("Allow") != "OPTIONS, POST" {
		t.Errorf("%d %v", r.status, h)
	}
	r, h := b.full("OPTIONS", "publish", "", http.Header{"Origin": {"https://app.example.com"}, "Access-Control-Request-Method": {"POST"}})
	if r.status != http.StatusForbidden || h.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%d %v", r.status, h)
	}
	if r, h := b.full("GET", "presence?user=ann", "", http.Header{"X-Request-Id": {"mine"}}); r.status != http.StatusOK || h.Get("X-Request-Id") != "mine" {
		t.Errorf("%d %v", r.status, h)
	}
}
