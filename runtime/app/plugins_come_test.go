package app

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/plugins/guest/guesttest"
	"github.com/heddle-rt/heddle/runtime/config"
	"github.com/heddle-rt/heddle/runtime/event"
)

// tenanting reloads a node with other tenants.
func (n *node) tenanting(change func(*reloadDeps)) (reload func(t *testing.T, tenants ...string)) {
	var next Config
	deps := n.app.reload.reloadDeps
	deps.Load = func() (*config.Result[Config], error) { return &config.Result[Config]{Value: &next}, nil }
	change(&deps)
	r := newReloader(n.app.cfg, 0, deps)
	return func(t *testing.T, tenants ...string) {
		t.Helper()
		next = n.app.cfg
		next.Tenants = map[string]Tenant{}
		for _, name := range tenants {
			next.Tenants[name] = n.app.cfg.Tenants[name]
		}
		refused := r.refused.Load()
		if r.reload(t.Context(), "test"); r.refused.Load() != refused {
			t.Fatalf("it was not reloaded: %s", n.log.text())
		}
	}
}

// TestFolderBesideReload: while tenants come, one after the other, what lies in the folder
// for them is not deployed over what they have.
func TestFolderBesideReload(t *testing.T) {
	t.Parallel()
	n := serve(t, append(patient(), "tenants.third.auth.keys=[{id: k1, algorithm: HS256, secret: "+secrets["acme"]+"}]",
		"tenants.globex.plugins.limits.timeout=10s", "tenants.globex.plugins.limits.start=60s")...)
	h, dir := n.app.plugins.host, t.TempDir()
	write(t, filepath.Join(dir, "globex"), "pass.zip", []byte(bundle(t, "pass", passing(), askedAlways+"doc: of the folder\n")))
	folder := func() *pluginFolder {
		return newPluginFolder(pluginFolder{cfg: FolderConfig{Path: dir}, host: h, most: n.app.plugins.largest, log: slog.New(slog.DiscardHandler)})
	}
	pass := func() ([]byte, error) { return passing(), nil }
	n.deploy("acme", "first", pass, askedAlways)
	folder().look(t.Context())
	n.deploy("globex", "pass", pass, askedAlways+"doc: two\n")
	n.deploy("globex", "pass", pass, askedAlways+"doc: three\n")
	reload := n.tenanting(func(*reloadDeps) {})
	reload(t, "third")
	eventually(t, "they are gone", func() bool { return h.Find("acme", "first") == nil && h.Find("globex", "pass") == nil })
	f := folder() // of a node that was started without the two
	f.look(t.Context())
	over, watched := make(chan struct{}), make(chan struct{})
	go func() { // ends with over
		defer close(watched)
		for {
			select {
			case <-over:
				return
			default:
			}
			if n.app.plugins.largest("globex") >= 0 && h.Find("globex", "pass") == nil {
				t.Error("something may be deployed to a tenant before its plugins stand")
				<-over
			}
		}
	}()
	reload(t, "acme", "globex", "third")
	close(over)
	<-watched
	for range 3 {
		f.look(t.Context())
	}
	if st, err := h.Status("globex", "pass"); err != nil || st.Live != 3 || len(st.Versions) != 3 {
		t.Errorf("%d is live of %d versions: %v", st.Live, len(st.Versions), err)
	}
	if coming := *n.app.plugins.coming.Load(); len(coming) != 0 {
		t.Errorf("%d tenants still come", len(coming))
	}
}

// kept are the sessions of a node, of which nobody is sent away before something is done.
type kept struct {
	openSessions
	before func()
}

func (h kept) Disconnect(tenant, user string, revoked func(*event.Identity) bool, reason string) {
	h.before()
	h.openSessions.Disconnect(tenant, user, revoked, reason)
}

// TestNothingPassesWhileATenantGoes: its plugins are gone, its users are not yet.
func TestNothingPassesWhileATenantGoes(t *testing.T) {
	t.Parallel()
	n := serve(t, patient()...)
	n.deploy("acme", "wall", func() ([]byte, error) { return guesttest.Refuses("no").Module(), nil }, askedAlways)
	ann, asked := n.open(t, dial{user: "ann"}), false
	ann.do("room:join", "channel:x", "{}")
	reload := n.tenanting(func(d *reloadDeps) {
		d.Sessions = kept{d.Sessions, func() {
			eventually(t, "the plugin is gone", func() bool { return n.app.plugins.host.Find("acme", "wall") == nil })
			ann.text(envelope("message:send", "channel:x", "m1", `{"text":"x"}`))
			if e := ann.answer("m1"); e.Type != "error" {
				t.Errorf("it passes: %s", e.js)
			}
			ann.text(envelope("room:join", "channel:y", "j1", "{}"))
			if e := ann.answer("j1"); e.Type != "error" || !strings.Contains(e.js, "plugin_failed") {
				t.Errorf("it joins: %s", e.js)
			}
			asked = true
		}}
	})
	reload(t, "globex")
	if len(n.records("acme", "channel:x")) != 0 || !asked {
		t.Error("a message got past the plugin that refuses all")
	}
	reload(t, "acme", "globex")
	ann = n.open(t, dial{user: "ann"})
	ann.do("room:join", "channel:x", "{}")
	ann.text(envelope("message:send", "channel:x", "m2", `{"text":"x"}`))
	if e := ann.answer("m2"); e.Type != "error" || strings.Contains(e.js, "plugin_failed") {
		t.Errorf("the plugin itself: %s", e.js)
	}
}
