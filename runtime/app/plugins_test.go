package app

import (
	"context"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest/guesttest"
	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/plugins/timer"
	"github.com/heddle-rt/heddle/runtime/config"
)

var (
	// cases is the conformance guest of the Go SDK: what it does is chosen by the action.
	cases = sync.OnceValues(func() ([]byte, error) {
		return guesttest.Go(filepath.Join("..", "..", "sdk-wasm", "conformance", "guest", "go"))
	})
	// witness tells channel:log of each hook.
	witness = sync.OnceValues(func() ([]byte, error) { return guesttest.Go(filepath.Join("testdata", "witness")) })
)

// compiledBefore has a node keep the code of guests in Go where other tests find it, and
// other runs: with the race detector it takes a minute to compile.
func compiledBefore(t *testing.T) string {
	t.Helper()
	dir, err := guesttest.Cache("compiled")
	if err != nil {
		t.Fatal(err)
	}
	return "plugins.run.cache=" + dir
}

// answers is a guest by hand that answers every request of the outside.
func answers() ([]byte, error) {
	return raw{Actions: []hostapi.Action{{Kind: hostapi.Reply, Code: http.StatusCreated, A: []byte("made"), B: []byte("text/plain")}}}.Module(), nil
}

// deploy puts a guest in place for a tenant.
func (n *node) deploy(tenant, name string, guest func() ([]byte, error), text string) {
	n.t.Helper()
	code, err := guest()
	if err != nil {
		n.t.Fatal(err)
	}
	b := &manifest.Bundle{Module: code, Text: []byte("name: " + name + "\nversion: '1'\nlimits: {timeout: 10s, start: 60s, fuel: 100000000}\n" + text)}
	if b.Manifest, err = manifest.Read(manifest.FileName, b.Text); err != nil {
		n.t.Fatal(err)
	}
	if _, err := n.app.plugins.host.Deploy(context.Background(), host.Request{Tenant: tenant, By: "test", Bundle: b, As: host.Live}); err != nil {
		n.t.Fatal(err)
	}
}

// TestPluginInTheRoute: a plugin refuses, changes and answers events of its tenant, and
// of no other; it is there again after a restart, and what it does is in the metrics.
func TestPluginInTheRoute(t *testing.T) {
	t.Parallel()
	n := serve(t, "tenants.acme.plugins.limits.timeout=10s", "tenants.acme.plugins.limits.start=60s", compiledBefore(t))
	n.deploy("acme", "cases", cases, `
bindings: [{actions: ["message:send"], rooms: ["channel:guarded"]}]
actions: [{name: "case:reply", durable: true}, {name: "case:forbid"}, {name: "case:emit", silent: true}, {name: "case:trap"}, {name: "case:attrs"}]
capabilities: [emit, http, kv, lookup, secrets, timers]
hosts: [api.example.com]
`)
	for _, restarted := range []bool{false, true} {
		if restarted {
			n.stop()
			n.start()
		}
		ann, ben, gus := n.open(t, dial{user: "ann"}), n.open(t, dial{user: "ben"}), n.open(t, dial{tenant: "globex", user: "gus"})
		for _, c := range []*client{ann, ben, gus} {
			c.do("room:join", "channel:x", "{}")
		}
		id := "r" + strings.Repeat("2", len(n.set))
		if restarted {
			id = "again"
		}
		if e := ann.says("case:reply", id, `{"a":1}`); !strings.Contains(e.js, `"ok":true`) || e.Offset == 0 {
			t.Errorf("an action of the plugin's own: %s", e.js)
		}
		ben.until(func(e received) bool {
			return e.Payload.Action == "case:reply" && e.Type == "message" && strings.Contains(e.js, `"a":1`)
		})
		ann.saysInVain("case:forbid", id+"f", "forbidden")
		ann.saysInVain("case:trap", id+"t", "plugin_failed")
		ann.saysInVain("case:other", id+"o", "unknown_action")
		gus.saysInVain("case:reply", id+"g", "unknown_action")
		ann.acked("message:send", "channel:x", id+"m", `{"text":"as ever"}`)
	}
	for _, want := range []string{`heddle_plugin_failures_total{as="live",plugin="cases",reason="code",tenant="acme"} 1`, `heddle_plugin_events_total{as="live",plugin="cases",tenant="acme"} 3`} {
		if body := n.admin("/metrics").body; !strings.Contains(body, want) {
			t.Errorf("no %s in the metrics: %s", want, body[strings.Index(body, "heddle_plugin"):])
		}
	}
}

// TestHooks: what happens to a session is told to the plugin that has bound it, with
// the connection that it happened on; attributes keep their types from one plugin to
// the next; and a request becomes an event.
func TestHooks(t *testing.T) {
	t.Parallel()
	n := serve(t, "tenants.acme.plugins.limits.timeout=10s", "tenants.acme.plugins.limits.start=60s", compiledBefore(t))
	n.deploy("acme", "first", witness, `
bindings: [{rooms: ["channel:x"], namespaces: ["/"], priority: 1}, {hooks: [request]}]
capabilities: [emit, kv, timers]
`)
	n.deploy("acme", "second", witness, `
bindings: [{hooks: [before, after, join, leave], rooms: ["channel:x"], priority: 2}, {hooks: [connect, disconnect]}, {namespaces: [/voice], priority: 3}]
capabilities: [emit, kv, timers]
`)
	ear := n.open(t, dial{user: "ear"})
	ear.do("room:join", "channel:log", "{}")
	ann := n.open(t, dial{user: "ann", query: "?device=phone"})
	first := ear.seen("connect", `"user":"ann"`)
	number := between(first, `"connection":`, ",")
	ann.do("room:join", "channel:x", "{}")
	ear.seen("join", `"room":"channel:x"`, `"connection":`+number+",")
	ann.acked("message:send", "channel:x", "m1", `{"text":"x"}`)
	ear.seen("before", `"user":"ann"`, `"attrs":["end"]`)
	ear.seen("before", `"user":"ann"`, `"b bool","f float","i int","j json","t text"`)
	ear.seen("after", `"action":"message:send"`, `"b bool"`, `"connection":`+number+",")
	ann.do("room:leave", "channel:x", "{}")
	ear.seen("leave", `"user":"ann"`, `"room":"channel:x"`)
	ann.drop()
	ear.seen("disconnect", `"user":"ann"`, `"connection":`+number+",")

	for _, c := range []struct {
		name, method, path, body string
		status                   int
		want                     string
	}{
		{"answered", "POST", "/hooks/acme/first", "clay", 201, "made of clay"},
		{"not answered", "POST", "/hooks/acme/first", "timer", 204, ""},
		{"what cannot be", "POST", "/hooks/acme/first", "write and fail", 502, "failed"},
		{"nothing of it was done", "POST", "/hooks/acme/first", "read", 200, "not_found"},
		{"no binding", "POST", "/hooks/acme/second", "", 404, "no such plugin"},
		{"no plugin", "POST", "/hooks/acme/third", "", 404, "no such plugin"},
		{"no tenant", "POST", "/hooks/other/first", "", 404, "no such plugin"},
		{"other method", "GET", "/hooks/acme/first", "", 404, "POST /hooks/"},
		{"too large", "POST", "/hooks/acme/first", strings.Repeat("x", 256<<10+1), 413, "262144 bytes"},
	} {
		r, err := http.NewRequest(c.method, "http://"+n.app.Addr().String()+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		text, _ := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode != c.status || !strings.Contains(string(text), c.want) {
			t.Errorf("%s: %d %s", c.name, answer.StatusCode, text)
		}
	}
	ear.seen("request", `"method text","query text","headers text","remote text"`)
	ear.seen("timer")
	if body := n.admin("/metrics").body; !strings.Contains(body, `heddle_plugin_failures_total{as="live",plugin="first",reason="action",tenant="acme"} 1`) {
		t.Error("what cannot be was not counted")
	}
	lines, _ := n.app.plugins.host.Find("acme", "first").Logs.After(0)
	if !slices.ContainsFunc(lines, func(l host.Line) bool { return strings.Contains(l.Text, "nosuchtype") }) {
		t.Errorf("the developer is not told: %+v", lines)
	}
}

// TestPluginsOfTenantsThatGo: a reload without the tenant ends its plugins and timers,
// and one with it brings them back.
func TestPluginsOfTenantsThatGo(t *testing.T) {
	t.Parallel()
	n := serve(t, patient()...)
	n.deploy("acme", "first", answers, "bindings: [{hooks: [request]}]\ncapabilities: [emit, kv, timers]\n")
	set := func(name string) error {
		out := make(chan error, 1)
		n.app.plugins.timers.Soon("acme", "first", 10, []timer.Change{{Name: name, Delay: time.Hour}}, func(err error) { out <- err })
		return <-out
	}
	if err := set("x"); err != nil {
		t.Fatal(err)
	}
	hook := func() int {
		r, err := http.Post("http://"+n.app.Addr().String()+"/hooks/acme/first", "text/plain", strings.NewReader("clay"))
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		return r.StatusCode
	}
	reload := func(tenants ...string) {
		next := n.app.cfg
		next.Tenants = map[string]Tenant{}
		for _, name := range tenants {
			next.Tenants[name] = n.app.cfg.Tenants[name]
		}
		swap, err := n.app.reloadPlugins(&next)
		if err != nil {
			t.Fatal(err)
		}
		swap()
	}
	if s := hook(); s != 201 {
		t.Errorf("status %d", s)
	}
	reload("globex")
	eventually(t, "they are gone", func() bool {
		return n.app.plugins.host.Find("acme", "first") == nil && n.app.plugins.timers.Count() == 0
	})
	if s := hook(); s != 404 {
		t.Errorf("status %d of a tenant that is gone", s)
	}
	if err := set("y"); err == nil {
		t.Error("it sets timers")
	}
	reload("acme", "globex")
	eventually(t, "they are back", func() bool { return n.app.plugins.timers.Count() == 1 })
	if s := hook(); s != 201 {
		t.Errorf("status %d of a tenant that is back", s)
	}
}

// TestReloadTriesPluginsAgain that could not run with the policy before.
func TestReloadTriesPluginsAgain(t *testing.T) {
	t.Parallel()
	n, b := apiNode(t, patient()...)
	if s := b.put("", bundle(t, "pass", passing(), askedAlways)); s.status != 201 {
		t.Fatal(s.js)
	}
	n.stop()
	n.set = append(n.set, "tenants.acme.plugins.limits.start=1s")
	n.start()
	const why = `"cannot_run":{"live":"limits.start of the manifest is more than the operator permits this tenant"}`
	for _, path := range []string{"plugins", "plugins/pass"} {
		if s := b.must("GET", path, ""); !strings.Contains(s.js, why) {
			t.Errorf("%s: %s", path, s.js)
		}
	}
	next := n.app.cfg
	acme := next.Tenants["acme"]
	acme.Plugins.Limits.Start = time.Minute
	next.Tenants = map[string]Tenant{"acme": acme, "globex": next.Tenants["globex"]}
	swap, err := n.app.reloadPlugins(&next)
	if err != nil {
		t.Fatal(err)
	}
	swap()
	eventually(t, "it runs", func() bool {
		st, err := n.app.plugins.host.Status("acme", "pass")
		return err == nil && len(st.CannotRun) == 0
	})
	if s := b.must("GET", "plugins/pass", ""); strings.Contains(s.js, "cannot_run") {
		t.Errorf("it is said: %s", s.js)
	}
}

// TestPluginsStandBeforeTokens: whose tokens a reload accepts again has its plugins in place.
func TestPluginsStandBeforeTokens(t *testing.T) {
	t.Parallel()
	n := serve(t, patient()...)
	n.deploy("acme", "first", answers, "bindings: [{hooks: [request]}]\ncapabilities: [emit, kv, timers]\n")
	token := mint(t, claims("acme", "ann"))
	accepted := func() bool {
		_, err := n.app.verifier.Verify(t.Context(), token)
		return err == nil
	}
	next := n.app.cfg
	deps := n.app.reload.reloadDeps
	deps.Load = func() (*config.Result[Config], error) { return &config.Result[Config]{Value: &next}, nil }
	r := newReloader(n.app.cfg, 0, deps)
	next.Tenants = map[string]Tenant{"globex": n.app.cfg.Tenants["globex"]}
	r.reload(t.Context(), "test")
	eventually(t, "they are gone", func() bool { return n.app.plugins.host.Find("acme", "first") == nil })
	if accepted() {
		t.Error("a token of a tenant that is gone is accepted")
	}
	standing := make(chan bool, 1)
	go func() { // ends when a token is accepted, or with the test
		for t.Context().Err() == nil {
			if accepted() {
				st, err := n.app.plugins.host.Status("acme", "first")
				standing <- err == nil && len(st.CannotRun) == 0
				return
			}
		}
	}()
	next = n.app.cfg
	r.reload(t.Context(), "test")
	if r.refused.Load() != 0 {
		t.Fatal("it was not reloaded")
	}
	if !<-standing {
		t.Error("a token is accepted before the plugin stands")
	}
}

// seen takes what comes until a witness has seen a hook, with all of it in what it says.
func (c *client) seen(hook string, all ...string) (js string) {
	c.t.Helper()
	c.until(func(e received) bool {
		js = e.js
		for _, want := range all {
			if !strings.Contains(js, want) {
				return false
			}
		}
		return e.Payload.Action == "seen:"+hook
	})
	return js
}

// between is what stands behind one text and in front of another.
func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}

// says sends an action that the schema does not have, and takes the answer.
func (c *client) says(action, id, data string) received {
	c.t.Helper()
	c.text(envelope(action, "channel:x", id, data))
	return c.answer(id)
}

func (c *client) saysInVain(action, id, code string) {
	c.t.Helper()
	if e := c.says(action, id, "{}"); e.Type != "error" || e.Payload.Data.Code != code {
		c.t.Errorf("%s by %s: %s, want %s", action, c.user, e.js, code)
	}
}
