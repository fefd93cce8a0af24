package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/plugins/guest/guesttest"
	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/runtime/api"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// passing is a module that lets every event pass.
func passing() []byte { return guesttest.Plugin{}.Module() }

// bundle packs a module, and more of a manifest.
func bundle(t testing.TB, name string, module []byte, more string) string {
	t.Helper()
	b := &manifest.Bundle{Module: module, Text: []byte("name: " + name + "\nversion: '1'\nlimits: {timeout: 10s, start: 60s}\n" + more)}
	packed, err := b.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return string(packed)
}

const askedAlways = "bindings: [{}]\n"

// patient are options for plugins that are started on a slow machine.
func patient() []string {
	return []string{"tenants.acme.plugins.limits.timeout=10s", "tenants.acme.plugins.limits.start=60s"}
}

var zipped = http.Header{"Content-Type": {"application/zip"}}

// put deploys a bundle, and holds the answer to the document.
func (b *backend) put(query, bundle string) said {
	b.t.Helper()
	return b.with("POST", "plugins"+query, bundle, zipped)
}

// pluginRoutes are all of them, with success and refused.
func pluginRoutes(t *testing.T, b *backend) {
	t.Helper()
	of := func(n int) string {
		return bundle(t, "pass", passing(), askedAlways+fmt.Sprintf("doc: bundle %d\n", n))
	}
	good := of(2)
	for i, query := range []string{"", "?as=live", "?as=canary&share=0.05", "?as=shadow"} {
		if s := b.put(query, of(i+1)); s.status != http.StatusCreated || s.Number != i+1 || s.Plugin.Plugin != "pass" || s.By != "all" {
			t.Errorf("deploy %d: %d %s", i, s.status, s.js)
		}
	}
	if s := b.put("", good); s.status != http.StatusCreated || s.Number != 2 || !strings.Contains(s.js, `"live":2,"unchanged":true}`) {
		t.Errorf("the same again: %d %s", s.status, s.js)
	}
	if s := b.put("?as=canary&share=0.5", of(3)); s.Number != 3 || !strings.Contains(s.js, `"live":2,"share":0.5,"share_was":0.05}`) {
		t.Errorf("another share: %s", s.js)
	}
	b.put("?as=canary&share=0.05", of(3))
	if s := b.must("GET", "plugins", ""); len(s.Plugins) != 1 || s.Plugins[0].Live != 2 || s.Plugins[0].Canary != 3 || s.Plugins[0].Share != 0.05 || s.Plugins[0].Shadow != 4 || s.Plugins[0].Stats != nil {
		t.Errorf("plugins: %s", s.js)
	}
	b.must("POST", "publish", `{"room":"channel:plugged","data":{"text":"x"},"id":"p1"}`)
	s := b.must("GET", "plugins/pass", "")
	if n := s.Stats["live"].Events + s.Stats["canary"].Events; n != 1 || s.Stats["live"].Number != 2 || len(s.Stats) != 3 || len(s.Versions) != 4 {
		t.Errorf("plugin: %s", s.js)
	}
	for query, want := range map[string]string{"": good, "?number=1": of(1)} {
		r, header := b.full("GET", "plugins/pass/bundle"+query, "", nil)
		if r.status != 200 || header.Get("Content-Type") != "application/zip" || r.body != strings.TrimSpace(want) {
			t.Errorf("bundle%s: %d %v, %d bytes of %d", query, r.status, header, len(r.body), len(want))
		}
		b.seen["GET /v1/api/plugins/{name}/bundle done"] = true
	}
	if s := b.must("GET", "plugins/pass/diffs", ""); s.Diffs == nil || len(s.Diffs) != 0 {
		t.Errorf("diffs: %s", s.js)
	}
	if s := b.must("GET", "plugins/pass/logs?after=9&wait_ms=1", ""); s.Lines == nil || len(s.Lines) != 0 {
		t.Errorf("logs: %s", s.js)
	}
	if s := b.must("POST", "plugins/pass/stop", ""); s.Number != 2 || s.Plugin.Plugin != "pass" || !strings.Contains(s.js, `"live":2,"ended":{"canary":3,"shadow":4}}`) {
		t.Errorf("stop: %s", s.js)
	}
	if s := b.ask("POST", "plugins/pass/promote", ""); s.status != 409 || s.Code != "conflict" {
		t.Errorf("promote: %d %s", s.status, s.js)
	}
	b.put("?as=canary&share=1", of(5))
	b.put("?as=shadow", of(6))
	if s := b.must("POST", "plugins/pass/promote", ""); s.Number != 5 || !strings.Contains(s.js, `"live":5,"was":2,"ended":{"shadow":6}}`) {
		t.Errorf("promote: %s", s.js)
	}
	if s := b.must("POST", "plugins/pass/rollback", `{}`); s.Number != 2 {
		t.Errorf("rollback: %s", s.js)
	}
	if s := b.must("POST", "plugins/pass/rollback", `{"number":1}`); s.Number != 1 {
		t.Errorf("rollback: %s", s.js)
	}
	badPlugins(t, b, good)
	b.must("DELETE", "plugins/pass", "")
	for method, list := range map[string][]string{"GET": {"", "/bundle", "/logs", "/diffs"}, "POST": {"/rollback", "/promote", "/stop"}, "DELETE": {""}} {
		for _, path := range list {
			if s := b.ask(method, "plugins/pass"+path, ""); s.status != 404 || s.Code != "not_found" || s.Field != "plugin" || !strings.Contains(s.Message, `"pass"`) {
				t.Errorf("%s %s of what is not there: %d %s", method, path, s.status, s.js)
			}
		}
	}
	b.seen["GET /v1/api/plugins refused"] = b.ask("GET", "plugins?all=1", "").Field == "all"
}

// badPlugins are deploys that are refused.
func badPlugins(t *testing.T, b *backend, good string) {
	t.Helper()
	for _, c := range []struct {
		name, query, bundle string
		status              int
		code, field, says   string
	}{
		{"nothing", "", "", 400, "invalid", "bundle", "not a zip archive"},
		{"no archive", "", "PK", 400, "invalid", "bundle", "not a zip archive"},
		{"half an archive", "", good[:len(good)/2], 400, "invalid", "bundle", "not a zip archive"},
		{"no module", "", bundle(t, "pass", []byte("x"), askedAlways), 400, "invalid", "bundle", "module"},
		{"no manifest", "", bundle(t, "pass", passing(), "nonsense: true\n"), 400, "invalid", "bundle", "nonsense"},
		{"an action of a builtin", "", bundle(t, "pass", passing(), "actions: [{name: \"message:shout\"}]\n"), 400, "invalid", "bundle", "message:shout"},
		{"first as a canary", "?as=canary&share=0.5", bundle(t, "other", passing(), askedAlways), 409, "conflict", "as", "first version"},
		{"as what", "?as=dead", good, 422, "invalid", "as", ""},
		{"share of what", "?share=0.5", good, 422, "invalid", "share", "canary"},
		{"no share", "?as=canary", good, 422, "invalid", "share", "canary"},
		{"share of nobody", "?as=canary&share=0", good, 422, "invalid", "share", "above 0"},
		{"share of more than all", "?as=canary&share=5%25", good, 422, "invalid", "share", "above 0"},
		{"share of all but one", "?as=canary&share=NaN", good, 422, "invalid", "share", "above 0"},
		{"unknown parameter", "?live=1", good, 422, "invalid", "live", ""},
	} {
		if s := b.put(c.query, c.bundle); s.status != c.status || s.Code != c.code || s.Field != c.field || !strings.Contains(s.Message, c.says) {
			t.Errorf("%s: %d %s", c.name, s.status, s.js)
		}
	}
	if s := b.ask("POST", "plugins", `{}`); s.status != 415 || s.Field != "Content-Type" {
		t.Errorf("JSON for a bundle: %d %s", s.status, s.js)
	}
	if s := b.ask("POST", "plugins/pass/rollback", `{"number":77}`); s.status != 404 || s.Field != "number" {
		t.Errorf("rollback: %d %s", s.status, s.js)
	}
	if s := b.ask("GET", "plugins/pass/bundle?number=77", ""); s.status != 404 || s.Field != "number" {
		t.Errorf("bundle: %d %s", s.status, s.js)
	}
	if s := b.must("GET", "plugins", ""); len(s.Plugins) != 1 || s.Plugins[0].Live != 1 {
		t.Errorf("what was refused has left %s", s.js)
	}
}

// TestAPIPluginsOfOthers: a tenant sees and changes its own alone.
func TestAPIPluginsOfOthers(t *testing.T) {
	t.Parallel()
	_, b := apiNode(t, patient()...)
	other := b.as("all." + otherSecret)
	if s := b.put("", bundle(t, "pass", passing(), askedAlways)); s.status != 201 {
		t.Fatal(s.js)
	}
	if s := other.must("GET", "plugins", ""); len(s.Plugins) != 0 {
		t.Errorf("globex sees %s", s.js)
	}
	for _, c := range [][2]string{{"GET", "plugins/pass"}, {"GET", "plugins/pass/bundle"}, {"GET", "plugins/pass/logs"}, {"DELETE", "plugins/pass"}} {
		if s := other.ask(c[0], c[1], ""); s.status != 404 {
			t.Errorf("globex, %s %s: %s", c[0], c[1], s.js)
		}
	}
	// globex may ask for less than acme.
	if s := other.put("", bundle(t, "pass", passing(), askedAlways)); s.status != 400 || !strings.Contains(s.Message, "more than the operator permits") {
		t.Errorf("globex: %d %s", s.status, s.js)
	}
}

// TestAPIBundleTooLarge refuses what says that it is before it is read, and what does
// not say so when it is.
func TestAPIBundleTooLarge(t *testing.T) {
	t.Parallel()
	n, b := apiNode(t, "tenants.acme.plugins.limits.module=64KiB")
	large := strings.Repeat("x", 64<<10+bundleOverhead+1)
	read := 0
	for name, length := range map[string]int64{"told": int64(len(large)), "not told": -1} {
		req, err := http.NewRequest("POST", "http://"+n.app.Addr().String()+"/v1/api/plugins", io.TeeReader(strings.NewReader(large), counter{&read}))
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = length
		req.Header = http.Header{"Authorization": {"Bearer " + b.key}, "Content-Type": {"application/zip"}, "Expect": {"100-continue"}}
		c := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, ExpectContinueTimeout: patience}}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		text, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != 413 || !strings.Contains(string(text), `"field":"bundle"`) || !strings.Contains(string(text), "at most 1114112 bytes") {
			t.Errorf("%s: %d %s", name, resp.StatusCode, text)
		}
		if length > 0 && read > 0 {
			t.Errorf("%d bytes were sent in vain", read)
		}
		read = 0
	}
}

type counter struct{ n *int }

func (c counter) Write(p []byte) (int, error) {
	*c.n += len(p)
	return len(p), nil
}

// TestAPILogsEndWithTheNode: who waits for a line is answered when it drains, and its
// connection ends. It looks at all goroutines, and so runs alone.
func TestAPILogsEndWithTheNode(t *testing.T) {
	n, b := apiNode(t, patient()...)
	if s := b.put("", bundle(t, "pass", passing(), askedAlways)); s.status != 201 {
		t.Fatal(s.js)
	}
	req, err := http.NewRequest("GET", "http://"+n.app.Addr().String()+"/v1/api/plugins/pass/logs?wait_ms=30000", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+b.key)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	var wg sync.WaitGroup
	began := time.Now()
	wg.Go(func() { // ends with the node at the latest
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Error(err)
			return
		}
		text, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != 200 || strings.TrimSpace(string(text)) != `{"lines":[],"next":0}` || !resp.Close {
			t.Errorf("%d %s, the connection ends: %v", resp.StatusCode, text, resp.Close)
		}
		if waited := time.Since(began); waited >= 20*time.Second {
			t.Errorf("it came after %v", waited)
		}
	})
	eventually(t, "it waits", waits)
	n.stop()
	wg.Wait()
	if _, err := newAPIPlugins(n.app).begin(t.Context(), "acme"); !fault.Is(err, fault.Draining) {
		t.Errorf("a deploy then: %v", err)
	}
}

// waits reports whether a request for lines waits in this process.
func waits() bool {
	var all bytes.Buffer
	return pprof.Lookup("goroutine").WriteTo(&all, 1) == nil && strings.Contains(all.String(), "(*API).pluginLogs")
}

// TestDeploysTakeTurns: a second one waits for the first, and gives up when it is told
// to, or after a while.
func TestDeploysTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newAPIPlugins(&App{leaving: make(chan struct{})})
		end, err := p.begin(t.Context(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		other, err := p.begin(t.Context(), "globex")
		if err != nil {
			t.Fatalf("another tenant waits: %v", err)
		}
		other()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.begin(ctx, "acme"); !fault.Is(err, fault.Timeout) {
			t.Error(err)
		}
		began := time.Now()
		if _, err := p.begin(t.Context(), "acme"); !fault.Is(err, fault.Overloaded) || time.Since(began) != turnWait {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		time.AfterFunc(time.Second, end)
		if end, err = p.begin(t.Context(), "acme"); err != nil || time.Since(began) != turnWait+time.Second {
			t.Fatalf("%v after %v", err, time.Since(began))
		}
		time.AfterFunc(time.Second, func() { close(p.a.leaving) })
		if _, err := p.begin(t.Context(), "acme"); !fault.Is(err, fault.Draining) {
			t.Error(err)
		}
		end()
		if _, err := p.begin(t.Context(), "acme"); !fault.Is(err, fault.Draining) {
			t.Error(err)
		}
		if _, err := p.turns.Take(t.Context(), "acme"); err != nil {
			t.Errorf("the turn is kept: %v", err)
		}
	})
}

// TestPluginsAsTheHostSaysThem: what the API says of a plugin is what the host would.
func TestPluginsAsTheHostSaysThem(t *testing.T) {
	n := serve(t, patient()...)
	p := newAPIPlugins(n.app)
	for i, d := range []api.Deploy{{As: host.Live}, {As: host.Live}, {As: host.Canary, Share: 0.25}, {As: host.Shadow}} {
		d.By, d.Bundle = "dev", []byte(bundle(t, "pass", passing(), askedAlways+fmt.Sprintf("doc: bundle %d\n", i)))
		done, err := p.Deploy(t.Context(), "acme", d)
		if err != nil || done.Number != i+1 {
			t.Fatalf("%v, %+v", err, done)
		}
	}
	said, err := json.Marshal(p.List("acme"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := json.Marshal(n.app.plugins.host.List("acme"))
	if err != nil || string(said) != string(want) {
		t.Errorf("%v: %s\nthe host says %s", err, said, want)
	}
	if _, err := p.Plugin("acme", "none"); fmt.Sprint(fault.Of(err).Kind) != "not_found" {
		t.Error(err)
	}
}
