package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// request is ask with all that HTTP has.
func request(a *API, method, path, body string, header http.Header) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, Prefix+path, strings.NewReader(body))
	if body == "" {
		req.Body = http.NoBody
	}
	req.Host = "api.example"
	req.Header.Set("Authorization", "Bearer k."+secret)
	req.Header.Set("Content-Type", "application/json")
	for k, v := range header {
		req.Header[k] = v
	}
	w := httptest.NewRecorder()
	a.ServeHTTP(w, req)
	return w
}

const good = `{"room":"channel:x","data":{"text":"x"}}`

func TestHTTP(t *testing.T) {
	for _, c := range []struct {
		name, method, path, body string
		header                   http.Header
		status                   int
		field                    string
		want                     http.Header // of the answer
	}{
		{"head", "HEAD", "connections", "", nil, 200, "", nil},
		{"head of what is only written", "HEAD", "publish", "", nil, 405, "", http.Header{"Allow": {"OPTIONS, POST"}}},
		{"options", "OPTIONS", "rooms/channel:x", "", http.Header{"Authorization": nil}, 204, "", http.Header{"Allow": {"DELETE, GET, HEAD, OPTIONS, PATCH, POST"}}},
		{"options of nothing", "OPTIONS", "nothing", "", nil, 404, "", nil},
		{"method", "PUT", "connections", "{}", nil, 405, "", http.Header{"Allow": {"GET, HEAD, OPTIONS"}}},
		{"trace", "TRACE", "connections", "", nil, 405, "", nil},
		{"compressed", "POST", "publish", good, http.Header{"Content-Encoding": {"gzip"}}, 415, "Content-Encoding", http.Header{"Accept-Encoding": {"identity"}}},
		{"not compressed", "POST", "publish", good, http.Header{"Content-Encoding": {"identity"}}, 200, "", nil},
		{"no key", "GET", "connections", "", http.Header{"Authorization": nil}, 401, "Authorization", http.Header{"Www-Authenticate": {"Bearer"}}},

		{"a page elsewhere", "POST", "publish", good, http.Header{"Origin": {"https://evil.example"}}, 403, "Origin", nil},
		{"a page of no origin", "POST", "publish", good, http.Header{"Origin": {"null"}}, 403, "Origin", nil},
		{"a page elsewhere reads", "GET", "connections", "", http.Header{"Sec-Fetch-Site": {"cross-site"}}, 403, "Origin", nil},
		{"a page next door", "GET", "connections", "", http.Header{"Sec-Fetch-Site": {"same-site"}}, 403, "Origin", nil},
		{"a page asks whether it may", "OPTIONS", "publish", "", http.Header{"Origin": {"https://evil.example"}, "Access-Control-Request-Method": {"POST"}}, 403, "Origin", nil},
		{"the node's own page", "POST", "publish", good, http.Header{"Origin": {"https://API.example"}, "Sec-Fetch-Site": {"same-origin"}}, 200, "", nil},
		{"the document, from a link", "GET", "openapi.json", "", http.Header{"Sec-Fetch-Site": {"cross-site"}}, 200, "", nil},

		{"unknown parameter", "GET", "connections?users=ann", "", nil, 422, "users", nil},
		{"unknown parameter where there is none", "POST", "publish?room=channel:x", good, nil, 422, "room", nil},
		{"a parameter twice", "GET", "connections?limit=1&limit=2", "", nil, 422, "limit", nil},
		{"a giant parameter", "GET", "connections?" + strings.Repeat("x", 500) + "=1", "", nil, 422, "", nil},
		{"no query", "GET", "connections?user=%zz", "", nil, 400, "", nil},
		{"unknown member", "POST", "publish", `{"room":"channel:x","as_usr":"ann","data":{"text":"x"}}`, nil, 422, "as_usr", nil},
		{"unknown member, escaped", "POST", "publish", `{"room":"channel:x","data":{},"\u0061s_usr":1}`, nil, 422, "as_usr", nil},
		{"a member that is escaped", "POST", "publish", ` {"\u0072oom" : "channel:x" , "data": {"any":[{}]} } `, nil, 200, "", nil},
		{"unknown member of a route", "POST", "disconnect", `{"user":"ann","reconect":true}`, nil, 422, "reconect", nil},
		{"what comes behind", "POST", "publish", good + "x", nil, 400, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &parts{}
			a := served(t, answers, func(d *Deps) { d.Sessions, d.Disconnect = p, p })
			w := request(a, c.method, c.path, c.body, c.header)
			var f failure
			_ = json.Unmarshal(w.Body.Bytes(), &f) // judged below
			if w.Code != c.status || f.Field != c.field || c.status >= 400 && (f.Code == "" || f.Message == "" || w.Header().Get("Content-Type") != "application/json") {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			for k, v := range c.want {
				if got := w.Header()[k]; len(got) != 1 || got[0] != v[0] {
					t.Errorf("%s: %q, want %q", k, got, v)
				}
			}
			for k := range w.Header() {
				if strings.HasPrefix(k, "Access-Control") {
					t.Errorf("the answer has %s", k)
				}
			}
			if w.Header().Get("X-Request-Id") == "" {
				t.Error("the answer has no id")
			}
		})
	}
}

// TestRequestIDs: a request has its own id or a new one, which the log names too.
func TestRequestIDs(t *testing.T) {
	var log bytes.Buffer
	a := served(t, answers, func(d *Deps) { d.Log = slog.New(slog.NewJSONHandler(&log, nil)) })
	for name, c := range map[string]struct {
		id   string
		kept bool
	}{
		"own": {"order-17", true}, "none": {"", false}, "too long": {strings.Repeat("x", 129), false}, "with a space": {"a b", false}, "not ASCII": {"é", false},
	} {
		log.Reset()
		w := request(a, "POST", "publish", `{}{`, http.Header{"X-Request-Id": {c.id}})
		got := w.Header().Get("X-Request-Id")
		if got == "" || (got == c.id) != c.kept {
			t.Errorf("%s: %q", name, got)
		}
		var line map[string]any
		if err := json.Unmarshal(log.Bytes(), &line); err != nil {
			t.Fatalf("%s: %v in %s", name, err, &log)
		}
		for k, want := range map[string]any{
			"level": "INFO", "request": got, "tenant": "acme", "key": "k", "route": "/v1/api/publish", "method": "POST", "status": 400.0, "code": "malformed",
		} {
			if line[k] != want {
				t.Errorf("%s: %s is %v in %s", name, k, line[k], &log)
			}
		}
	}
}

// TestLog: one line for each request that failed, none for others, and no secrets.
func TestLog(t *testing.T) {
	for _, c := range []struct {
		name, method, path string
		header             http.Header
		err                error
		level, says        string
	}{
		{"done", "GET", "presence?user=ann", nil, nil, "", ""},
		{"refused", "GET", "presence", nil, nil, "INFO", `"field":"user"`},
		{"a stranger", "GET", "presence?user=ann", http.Header{"Authorization": {"Bearer k.wrong-secret"}}, nil, "INFO", `"remote":"192.0.2.1:1234"`},
		{"no route", "GET", "nothing", nil, nil, "INFO", `"status":404`},
		{"failed", "GET", "presence?user=ann", nil, fault.Wrap("x", fault.Unavailable, errors.New("the disk is out")), "WARN", "the disk is out"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log bytes.Buffer
			p := &parts{err: c.err}
			a := served(t, answers, func(d *Deps) { d.Presence, d.Log = p, slog.New(slog.NewJSONHandler(&log, nil)) })
			w := request(a, c.method, c.path, "", c.header)
			if strings.Contains(w.Body.String(), "disk") || strings.Contains(log.String(), "secret") {
				t.Errorf("it tells too much: %s %s", w.Body, &log)
			}
			lines := strings.Count(log.String(), "\n")
			if c.level == "" && lines != 0 || c.level != "" && (lines != 1 || !strings.Contains(log.String(), `"level":"`+c.level+`"`) || !strings.Contains(log.String(), c.says)) {
				t.Errorf("logged %s", &log)
			}
		})
	}
}

// TestCountsOfWhatIsNoRoute has requests that meet no route under one name.
func TestCountsOfWhatIsNoRoute(t *testing.T) {
	a := served(t, answers, nil)
	for _, c := range [][2]string{{"GET", "nothing"}, {"GET", "elsewhere/x"}, {"PUT", "publish"}} {
		request(a, c[0], c[1], "", nil)
	}
	all := a.Stats()
	if last := all[len(all)-1]; last.Route != "none" || last.ByStatus[404] != 2 || last.ByStatus[405] != 1 {
		t.Errorf("%+v", last)
	}
}

// TestListsArePaidFor: to look through all connections of a node costs more than
// one request.
func TestListsArePaidFor(t *testing.T) {
	p := &many{}
	a := served(t, answers, func(d *Deps) {
		d.Sessions = p
		keys, err := NewKeyring(map[string][]Key{"acme": {{ID: "k", Secret: secret, Scopes: allScopes(), Rate: 0.01, Burst: 60}}})
		if err != nil {
			t.Fatal(err)
		}
		d.Keys = keys
	})
	for range 2 {
		if w := request(a, "GET", "connections", "", nil); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	w := request(a, "GET", "connections", "", nil)
	if w.Code != 429 || w.Header().Get("Retry-After") == "" || p.asked != 2 {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

// many is a node of 100,000 connections, of which none is the tenant's.
type many struct{ asked int }

func (m *many) Connections(string, Query) ([]Connection, bool, int) {
	m.asked++
	return nil, false, 100_000
}
