package app

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/manifest"
)

// cases is the conformance guest of the Go SDK: what it does is chosen by the action.
var cases = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "plugins")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	sdk := filepath.Join("..", "..", "sdk-wasm")
	file := filepath.Join(dir, "g.wasm")
	cmd := exec.Command(filepath.Join(sdk, "go", "build.sh"), filepath.Join(sdk, "conformance", "guest", "go"), file)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
})

// deploy puts the guest in place for a tenant.
func (n *node) deploy(tenant, text string) {
	n.t.Helper()
	code, err := cases()
	if err != nil {
		n.t.Fatal(err)
	}
	b := &manifest.Bundle{Module: code, Text: []byte("name: cases\nversion: '1'\nlimits: {timeout: 10s, start: 60s, fuel: 100000000}\n" + text)}
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
	n := serve(t, "tenants.acme.plugins.limits.timeout=10s", "tenants.acme.plugins.limits.start=60s")
	n.deploy("acme", `
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
