package app

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func apiNode(t testing.TB, set ...string) (*node, *backend) {
	t.Helper()
	n := serve(t, append(append(apiKeysYAML(),
		"rooms.desk={members: true, join: members, create: server, publish: server}", "tenants.acme.plugins.limits.timeout=10s", "tenants.acme.plugins.limits.start=60s",
		"rooms.help={participants: true, members: true}"), set...)...)
	return n, n.backend(t, "all."+allSecret)
}

// TestAPIRoutes goes through all routes, each at least once with success and once
// refused.
func TestAPIRoutes(t *testing.T) {
	t.Parallel()
	n, b := apiNode(t)
	ann := n.open(t, dial{user: "ann"})

	if s := b.must("POST", "rooms/conv:1", `{"members":["ann","ben"],"name":"One","meta":{"k":1},"id":"c1"}`); s.status != http.StatusCreated || s.Offset != 1 {
		t.Errorf("create: %s", s.js)
	}
	if e := ann.must(); e.Payload.Action != "room:added" || e.From.User != "" {
		t.Errorf("ann is told %s", e.js)
	}
	if s := b.must("POST", "rooms/conv:1", `{"members":["ann","ben"],"name":"One","meta":{"k":1},"id":"c1"}`); !s.Data.Repeat || s.status != http.StatusOK {
		t.Errorf("create again: %s", s.js)
	}
	if s := b.must("GET", "rooms/conv:1", ""); s.Name != "One" || string(s.Meta) != `{"k":1}` || s.Offset != 1 || s.Creator != "" {
		t.Errorf("room: %s", s.js)
	}
	if s := b.must("POST", "rooms/conv:1/members", `{"users":["cid"],"role":"moderator"}`); s.Action != "room:update" {
		t.Errorf("add: %s", s.js)
	}
	b.must("DELETE", "rooms/conv:1/members?user=ben&user=zed", "")
	b.must("PATCH", "rooms/conv:1", `{"name":"Uno","meta":null,"roles":{"ann":"owner"}}`)
	if s := b.must("GET", "rooms/conv:1/members?limit=1", ""); len(s.Members) != 1 || s.Members[0].User != "ann" || s.Members[0].Role != "owner" || s.Next != "ann" {
		t.Errorf("members: %s", s.js)
	}
	if s := b.must("GET", "rooms/conv:1/members?after=ann", ""); len(s.Members) != 1 || s.Members[0].Role != "moderator" || s.Next != "" {
		t.Errorf("members: %s", s.js)
	}
	first := b.must("POST", "publish", `{"room":"conv:1","data":{"text":"hello"},"id":"m1"}`)
	got := ann.must()
	for got.Payload.Action != "message:send" {
		got = ann.must()
	}
	if got.From.User != "" || got.Payload.Data.Text != "hello" || got.ID != first.ID || got.Offset != first.Offset || first.Ref != "m1" {
		t.Errorf("published %s, received %s", first.js, got.js)
	}
	if s := b.must("GET", fmt.Sprintf("rooms/conv:1/history?after=%d&limit=5", first.Offset-1), ""); len(s.Events) != 1 || s.Events[0].ID != first.ID || s.More {
		t.Errorf("history: %s", s.js)
	}
	if s := b.must("GET", fmt.Sprintf("rooms/conv:1/history?before=%d&limit=1", first.Offset), ""); len(s.Events) != 1 || s.Events[0].Offset != first.Offset-1 || !s.More {
		t.Errorf("history: %s", s.js)
	}
	others(t, b, ann)
	pluginRoutes(t, b)
	refusals(t, b)
	b.must("POST", "revoke", `{"user":"ann"}`)
	ann.ends(4401)
	for path, ops := range b.doc.Paths {
		for method := range ops {
			route := strings.ToUpper(method) + " " + path
			if path == "/v1/api/openapi.json" {
				continue
			}
			if !b.seen[route+" refused"] || !b.seen[route+" done"] {
				t.Errorf("%s was not tried: %v", route, b.seen)
			}
		}
	}
}

// others are the routes that are not about what a room holds, and the room's end.
func others(t *testing.T, b *backend, ann *client) {
	t.Helper()
	if s := b.must("POST", "direct", `{"to":"ann","text":"psst","as_user":"ben","id":"d1"}`); s.Action != "direct:send" {
		t.Errorf("direct: %s", s.js)
	}
	if e := ann.must(); e.Payload.Action != "direct:send" || e.From.User != "ben" {
		t.Errorf("ann gets %s", e.js)
	}
	if s := b.must("GET", "connections?user=ann", ""); len(s.Connections) != 1 || s.Connections[0].User != "ann" || s.Connections[0].State != "active" {
		t.Errorf("connections: %s", s.js)
	}
	if s := b.must("GET", "rooms?user=ann", ""); !slices.Equal(s.Rooms, []string{"conv:1"}) || s.More {
		t.Errorf("rooms: %s", s.js)
	}
	b.must("GET", "presence?user=ann", "")
	b.must("POST", "presence", `{"users":["ann"]}`)
	b.must("GET", "rooms/conv:1/presence", "")
	b.must("POST", "disconnect", `{"user":"zoe"}`)
	b.must("DELETE", "rooms/conv:1?id=x1", "")
	if s := b.must("DELETE", "rooms/conv:1?id=x1", ""); !s.Data.Repeat {
		t.Errorf("delete again: %s", s.js)
	}
}

// refusals are answered with the status of their code, and the field that is wrong.
func refusals(t *testing.T, b *backend) {
	t.Helper()
	long := strings.Repeat("x", 9<<10)
	for _, c := range []struct {
		method, path, body string
		status             int
		code, field        string
	}{
		{"POST", "publish", `{"room":"conv:1","data":{"text":"late"}}`, 404, "not_found", "room"},
		{"POST", "publish", `{"room":"channel:x","data":{}}`, 422, "invalid", "data.text"},
		{"POST", "publish", `{"room":"channel:x","data":{"text":7}}`, 422, "invalid", "data.text"},
		{"POST", "publish", `{"room":"channel:x","data":{"text":"` + long + `"}}`, 413, "too_large", "data.text"},
		{"POST", "publish", `{"room":"nonsense","data":{"text":"x"}}`, 422, "invalid", "room"},
		{"POST", "publish", `{"room":"root:dead","data":{"text":"x"}}`, 404, "not_found", "room"},
		{"POST", "publish", `{"room":"what:x","data":{"text":"x"}}`, 404, "not_found", "room"},
		{"POST", "publish", `{"data":{"text":"x"}}`, 422, "invalid", "room"},
		{"POST", "publish", `{"room":"channel:x","action":"no:such"}`, 404, "unknown_action", "action"},
		{"POST", "publish", `{"room":"channel:x","action":"session:close"}`, 403, "forbidden", "action"},
		{"POST", "publish", `{"room":"channel:x","action":"message:read","data":{"offset":1}}`, 422, "invalid", "as_user"},
		{"POST", "publish", `{"room":"channel:x","action":"typing:start"}`, 422, "invalid", "as_user"},
		{"POST", "publish", `{"room":"user:ann/presence","data":{"text":"x"}}`, 403, "forbidden", "room"},
		{"POST", "publish", `{"room":"channel:x","as_user":"a/b","data":{"text":"x"}}`, 422, "invalid", "as_user"},
		{"POST", "publish", `[]`, 422, "invalid", ""},
		{"POST", "publish", `7`, 422, "invalid", ""},
		{"POST", "publish", `{"room":`, 400, "malformed", "room"},
		{"POST", "publish", `[{"room":]`, 400, "malformed", ""},
		{"POST", "publish", "{\"room\":\"channel:x\",\"data\":{\"text\":\"\xff\"}}", 400, "malformed", ""},
		{"POST", "direct", `{"text":"x","as_user":"ben"}`, 422, "invalid", "to"},
		{"POST", "direct", `{"to":"ann","as_user":"ben"}`, 422, "invalid", "text"},
		{"POST", "direct", `{"to":"ann","device":"none","text":"x"}`, 404, "not_found", "device"},
		{"POST", "direct", `{"to":"ann","text":"x","room":"conv:1"}`, 422, "invalid", "room"},
		{"POST", "presence", `{"users":[]}`, 422, "invalid", "users"},
		{"GET", "rooms/conv:1/presence", "", 404, "not_found", "room"},
		{"GET", "rooms/channel:x/presence", "", 404, "not_found", "room"},
		{"GET", "rooms/conv:1%2Ftyping/presence", "", 422, "invalid", "room"},
		{"GET", "rooms", "", 422, "invalid", "user"},
		{"GET", "presence", "", 422, "invalid", "user"},
		{"GET", "rooms/conv:1", "", 404, "not_found", "room"},
		{"GET", "rooms/nonsense", "", 422, "invalid", "room"},
		{"POST", "rooms/channel:x", `{}`, 422, "invalid", "room"},
		{"POST", "rooms/conv:2", `{"members":["a/b"]}`, 422, "invalid", "members[0]"},
		{"PATCH", "rooms/conv:1", `{"name":"x"}`, 404, "not_found", "room"},
		{"PATCH", "rooms/team:1", `{}`, 404, "not_found", "room"},
		{"DELETE", "rooms/conv:1", "", 404, "not_found", "room"},
		{"GET", "rooms/conv:1/members", "", 404, "not_found", "room"},
		{"GET", "rooms/conv:1/members?limit=0", "", 422, "invalid", "limit"},
		{"POST", "rooms/conv:1/members", `{"users":[]}`, 422, "invalid", "users"},
		{"DELETE", "rooms/conv:1/members", "", 422, "invalid", "user"},
		{"GET", "rooms/conv:1/history", "", 404, "not_found", "room"},
		{"GET", "rooms/channel:x/history?limit=many", "", 422, "invalid", "limit"},
		{"GET", "rooms/channel:x/history?before=1&after=1", "", 422, "invalid", "after"},
		{"GET", "connections?user=a%2Fb", "", 422, "invalid", "user"},
		{"GET", "connections?limit=1001", "", 422, "invalid", "limit"},
		{"GET", "connections?device=phone", "", 422, "invalid", "device"},
		{"GET", "connections?users=ann", "", 422, "invalid", "users"},
		{"POST", "disconnect", `{}`, 422, "invalid", "user"},
		{"POST", "disconnect", `{"user":"ann","reconnect":1}`, 422, "invalid", "reconnect"},
		{"POST", "revoke", `{"user":"a:b"}`, 422, "invalid", "user"},
	} {
		if s := b.ask(c.method, c.path, c.body); s.status != c.status || s.Code != c.code || s.Field != c.field || s.Message == "" {
			t.Errorf("%s %s %.80s: %d %s", c.method, c.path, c.body, s.status, s.js)
		}
	}
}

// TestAPISpeaksWhereOthersMayNot publishes where only the server may, and creates.
func TestAPISpeaksWhereOthersMayNot(t *testing.T) {
	t.Parallel()
	n, b := apiNode(t)
	ann := n.open(t, dial{user: "ann"})
	ann.do("room:join", "news:1", "{}")
	ann.send(envelope("message:send", "news:1", "no", `{"text":"x"}`))
	if e := ann.answer("no"); e.Payload.Data.Code != "forbidden" {
		t.Error(e.js)
	}
	if s := b.ask("POST", "publish", `{"room":"news:1","as_user":"ann","data":{"text":"x"}}`); s.status != http.StatusForbidden || s.Field != "room" {
		t.Errorf("as ann: %s", s.js)
	}
	b.must("POST", "publish", `{"room":"news:1","data":{"text":"it rains"}}`)
	if e := ann.must(); e.Payload.Data.Text != "it rains" || e.From.User != "" {
		t.Error(e.js)
	}
	if s := b.ask("POST", "rooms/desk:1", `{"as_user":"ann"}`); s.status != http.StatusForbidden {
		t.Errorf("ann creates: %s", s.js)
	}
	b.must("POST", "rooms/desk:1", `{"members":["ann"]}`)
	b.must("POST", "publish", `{"room":"desk:1","data":{"text":"welcome"}}`)
	for e := ann.must(); e.Payload.Data.Text != "welcome"; e = ann.must() {
	}
	// A room without a stream, and parts of rooms.
	ann.do("room:join", "live:1", "{}")
	if s := b.must("POST", "publish", `{"room":"live:1","data":{"text":"now"}}`); s.Offset != 0 || s.ID != "" {
		t.Errorf("live: %s", s.js)
	}
	if e := ann.must(); e.Type != "event" || e.Payload.Data.Text != "now" {
		t.Error(e.js)
	}
	b.must("POST", "rooms/help:1", `{"members":["ann"]}`)
	for e := ann.must(); e.Room != "user:ann"; e = ann.must() {
	}
	if s := b.must("POST", "publish", `{"room":"help:1/participant/ann","data":{"text":"for you"}}`); s.Offset != 1 {
		t.Errorf("participant: %s", s.js)
	}
	if s := b.must("GET", "rooms/"+escaped("help:1/participant/ann")+"/history", ""); len(s.Events) != 1 {
		t.Errorf("history of it: %s", s.js)
	}
}

// TestAPIAsUser does what the user may, and no more.
func TestAPIAsUser(t *testing.T) {
	t.Parallel()
	n, b := apiNode(t)
	b.must("POST", "rooms/conv:1", `{"members":["ben"],"as_user":"ann"}`)
	sent := b.must("POST", "publish", `{"room":"conv:1","as_user":"ben","data":{"text":"hi"},"id":"1"}`)
	for _, c := range []struct {
		body   string
		status int
		field  string
	}{
		{`{"room":"conv:1","as_user":"eve","data":{"text":"x"}}`, 403, "room"},
		{`{"room":"user:ben","as_user":"ann","data":{"text":"x"}}`, 403, "room"},
		{`{"room":"conv:1","as_user":"ann","action":"message:edit","data":{"offset":%d,"version":0,"text":"x"}}`, 403, "data.offset"},
		{`{"room":"conv:1","as_user":"ben","action":"room:delete","id":"x"}`, 403, "room"},
		{`{"room":"conv:1","as_user":"ben","action":"message:edit","data":{"offset":%d,"version":0,"text":"ho"}}`, 200, ""},
		{`{"room":"conv:1","as_user":"ann","action":"message:read","data":{"offset":%d}}`, 200, ""},
		{`{"room":"conv:1","as_user":"ann","action":"message:react","data":{"offset":%d,"key":"+"}}`, 200, ""},
		{`{"room":"conv:1","as_user":"ann","action":"typing:start"}`, 200, ""},
		{`{"room":"conv:1","action":"message:delete","data":{"offset":%d}}`, 200, ""}, // the server moderates
		{`{"room":"conv:1","as_user":"ben","action":"room:leave","id":"l"}`, 200, ""},
		{`{"room":"conv:1","as_user":"ben","action":"room:leave","id":"l"}`, 200, ""}, // again
		{`{"room":"conv:1","as_user":"ben","data":{"text":"hi"},"id":"1"}`, 200, ""},  // the first, again
		{`{"room":"conv:1","as_user":"ben","data":{"text":"hi"},"id":"2"}`, 403, "room"},
	} {
		body := c.body
		if strings.Contains(body, "%d") {
			body = fmt.Sprintf(body, sent.Offset)
		}
		if s := b.ask("POST", "publish", body); s.status != c.status || s.Field != c.field {
			t.Errorf("%s: %d %s", body, s.status, s.js)
		}
	}
	for _, r := range n.records("acme", "conv:1") {
		if r.From.User == "eve" || r.From.Device != "" {
			t.Errorf("%+v", r)
		}
	}
}

func TestAPIBatch(t *testing.T) {
	t.Parallel()
	n, b := apiNode(t)
	ann := n.open(t, dial{user: "ann"})
	ann.do("room:join", "channel:x", "{}")
	body := `[{"room":"channel:x","data":{"text":"a"},"id":"a"},
		{"room":"channel:x","data":{}},
		{"room":"conv:9","action":"room:create","data":{"members":["ben"]},"id":"r"},
		{"room":"conv:9","data":{"text":"first"},"id":"f"},
		{"room":"conv:404","data":{"text":"x"}},
		{"room":"channel:x","data":{"text":"b"},"id":"b"}]`
	want := []int{200, 422, 200, 200, 404, 200}
	first := b.must("POST", "publish", body)
	again := b.must("POST", "publish", body)
	for i, status := range want {
		one, two := first.Results[i], again.Results[i]
		if one.Status != status || two.Status != status || (one.Result == nil) != (status != 200) || (one.Error == nil) != (status == 200) {
			t.Errorf("%d: %+v, again %+v", i, one, two)
			continue
		}
		if status == 200 && (one.Result.Data.Repeat || !two.Result.Data.Repeat || one.Result.ID != two.Result.ID || one.Result.Offset != two.Result.Offset) {
			t.Errorf("%d: %+v, again %+v", i, one.Result, two.Result)
		}
	}
	if f := first.Results[1].Error.Field; f != "data.text" {
		t.Errorf("field %q", f)
	}
	if a, z := ann.must(), ann.must(); a.Payload.Data.Text != "a" || z.Payload.Data.Text != "b" {
		t.Errorf("%s %s", a.js, z.js)
	}
	ann.do("session:ping", "", "{}") // nothing came twice
	many := "[" + strings.Repeat(`{"room":"channel:x","data":{"text":"m"}},`, 99) + `{"room":"channel:x","data":{"text":"m"}}`
	if s := b.must("POST", "publish", many+"]"); len(s.Results) != 100 || s.Results[99].Result.Offset != s.Results[0].Result.Offset+99 {
		t.Errorf("%.300s", s.js)
	}
	if r := b.raw("POST", "publish", `[7]`, nil); r.status != 200 || !strings.Contains(r.body, `"status":422`) {
		t.Errorf("%+v", r)
	}
	if s := b.ask("POST", "publish", many+`,{}]`); s.status != 413 || s.Code != "too_large" {
		t.Errorf("101: %s", s.js)
	}
}

func TestAPIKeys(t *testing.T) {
	t.Parallel()
	n, b := apiNode(t)
	ann := n.open(t, dial{user: "ann"})
	ann.do("room:join", "channel:x", "{}")
	for _, key := range []string{"", "all", "all.", "all." + otherSecret + "x", "few." + allSecret, "none." + allSecret, "." + allSecret} {
		if s := b.as(key).ask("POST", "publish", `{"room":"channel:x","data":{"text":"x"}}`); s.status != 401 || s.Code != "unauthenticated" {
			t.Errorf("key %q: %s", key, s.js)
		}
	}
	if r := b.raw("POST", "publish", `{}`, http.Header{"Authorization": {"Basic " + b.key}}); r.status != 401 {
		t.Errorf("%+v", r)
	}
	// The same id is globex's too: its secret leads to globex alone.
	other := b.as("all." + otherSecret)
	other.must("POST", "publish", `{"room":"channel:x","data":{"text":"elsewhere"}}`)
	ann.do("session:ping", "", "{}")
	if len(n.records("acme", "channel:x")) != 0 || len(n.records("globex", "channel:x")) != 1 {
		t.Error("it is in the wrong tenant")
	}
	b.must("POST", "rooms/conv:1", `{"members":["ann"]}`)
	if s := other.ask("GET", "rooms/conv:1", ""); s.status != 404 {
		t.Errorf("globex sees %s", s.js)
	}
	if s := other.must("GET", "connections", ""); len(s.Connections) != 0 {
		t.Errorf("globex sees %s", s.js)
	}
	few := b.as("few." + slowSecret)
	few.must("GET", "connections", "")
	for path, ops := range b.doc.Paths {
		for method := range ops {
			if strings.HasSuffix(path, "openapi.json") || strings.HasSuffix(path, "connections") {
				continue
			}
			at := strings.NewReplacer("/v1/api/", "", "{room}", "channel:x", "{name}", "pass").Replace(path)
			body := ""
			if method == "post" || method == "patch" {
				body = "{}"
			}
			if s := few.ask(strings.ToUpper(method), at, body); s.status != 403 || s.Field != "Authorization" {
				t.Errorf("%s %s without its scope: %d %s", method, path, s.status, s.js)
			}
		}
	}
	slow := b.as("slow." + slowSecret)
	if s := slow.ask("POST", "publish", `{"room":"conv:1","action":"room:delete","id":"x"}`); s.status != 403 {
		t.Errorf("publish deletes rooms: %s", s.js)
	}
	slow.must("POST", "publish", `[{"room":"channel:y","data":{"text":"x"}},{"room":"channel:y","data":{"text":"x"}}]`)
	if s := slow.ask("POST", "publish", `{"room":"channel:y","data":{"text":"x"}}`); s.status != 429 || !s.Retryable || s.RetryAfter < 1000 {
		t.Errorf("over its rate: %d %s", s.status, s.js)
	}
	b.must("POST", "publish", `{"room":"channel:y","data":{"text":"x"}}`)
}

func TestAPIBadHTTP(t *testing.T) {
	t.Parallel()
	_, b := apiNode(t)
	good := `{"room":"channel:x","data":{"text":"x"}}`
	for _, c := range []struct {
		name, method, path, body string
		header                   http.Header
		status                   int
		code                     string
	}{
		{"other content", "POST", "publish", good, http.Header{"Content-Type": {"text/plain"}}, 415, "malformed"},
		{"no content type", "POST", "publish", good, http.Header{"Content-Type": nil}, 415, "malformed"},
		{"charset", "POST", "publish", good, http.Header{"Content-Type": {"application/json; charset=latin1"}}, 415, "malformed"},
		{"UTF-8", "POST", "publish", good, http.Header{"Content-Type": {"application/json; charset=UTF-8"}}, 200, ""},
		{"compressed", "POST", "publish", good, http.Header{"Content-Encoding": {"gzip"}}, 415, "malformed"},
		{"giant", "POST", "publish", `{"room":"` + strings.Repeat("x", 2<<20) + `"}`, nil, 413, "too_large"},
		{"deep", "POST", "publish", `{"room":"channel:x","data":{"text":"x","body":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}}`, nil, 400, "malformed"},
		{"method", "PUT", "publish", good, nil, 405, "unknown_action"},
		{"path", "GET", "nothing", "", nil, 404, "not_found"},
		{"empty body", "POST", "publish", "", nil, 422, "invalid"},
	} {
		t.Run(c.name, func(t *testing.T) {
			one := *b
			one.t = t
			r := one.raw(c.method, c.path, c.body, c.header)
			if r.status != c.status || c.code != "" && !strings.Contains(r.body, `"code":"`+c.code+`"`) {
				t.Errorf("%d %s", r.status, r.body)
			}
		})
	}
}

// TestAPISlowBody sends a head and then nothing: the key's place and the connection
// are given back.
func TestAPISlowBody(t *testing.T) {
	t.Parallel()
	n, b := apiNode(t, "timeout=300ms")
	for name, auth := range map[string]string{"with a key": "Authorization: Bearer " + b.key + "\r\n", "without": ""} {
		c, err := net.Dial("tcp", n.app.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() // nothing to lose
		_, err = fmt.Fprintf(c, "POST /v1/api/publish HTTP/1.1\r\nHost: node\r\n%sContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{", auth)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(patience))
		buf := make([]byte, 4096)
		m, err := c.Read(buf)
		want := "408 Request Timeout"
		if auth == "" {
			want = "401 Unauthorized"
		}
		if err != nil || !strings.Contains(string(buf[:m]), want) {
			t.Errorf("%s: %v %s", name, err, buf[:m])
		}
		for err == nil {
			_, err = c.Read(buf) // until the connection ends
		}
		if nerr, ok := err.(net.Error); ok && nerr.Timeout() {
			t.Errorf("%s: the connection stays open", name)
		}
	}
	eventually(t, "somebody who is quicker is served", func() bool {
		return b.ask("POST", "publish", `{"room":"channel:x","data":{"text":"x"},"id":"x"}`).status == http.StatusOK
	})
}

// TestAPIOutlivesTheNode finds what it published before a restart.
func TestAPIOutlivesTheNode(t *testing.T) {
	t.Parallel()
	n, b := apiNode(t)
	first := b.must("POST", "publish", `{"room":"channel:x","data":{"text":"x"},"id":"1"}`)
	n.stop()
	n.start()
	if s := b.must("POST", "publish", `{"room":"channel:x","data":{"text":"x"},"id":"1"}`); !s.Data.Repeat || s.ID != first.ID {
		t.Errorf("%s, before %s", s.js, first.js)
	}
}
