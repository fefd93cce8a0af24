package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/manifest"
)

// TestPluginFolder: bundles of the folder become live at the start, and when they
// change; a broken one is told of and changes nothing; what was rolled back stays so.
func TestPluginFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	code := raw{Actions: []hostapi.Action{{Kind: hostapi.Reply, A: []byte(`{"ok":true}`)}}}.Module()
	var err error
	put := func(tenant, file, version string) {
		b := &manifest.Bundle{Module: code, Text: []byte("name: cases\nversion: '" + version + "'\nlimits: {timeout: 10s, start: 60s}\ncapabilities: [emit, http, kv, lookup, secrets, timers]\nhosts: [api.example.com]\nactions: [{name: \"case:reply\"}]\n")}
		if b.Manifest, err = manifest.Read(manifest.FileName, b.Text); err != nil {
			t.Fatal(err)
		}
		text, err := b.Pack()
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, tenant), file, text)
	}
	put("acme", "cases.zip", "1")
	put("nobody", "cases.zip", "1")
	write(t, filepath.Join(dir, "globex"), "cases.zip", []byte("no archive"))
	n := serve(t, "tenants.acme.plugins.limits.timeout=10s", "tenants.acme.plugins.limits.start=60s", "plugins.folder.path="+dir, "plugins.folder.watch=10ms")
	live := func() string {
		st, err := n.app.plugins.host.Status("acme", "cases")
		if err != nil {
			return ""
		}
		for _, m := range st.Versions {
			if m.Number == st.Live {
				return m.Version
			}
		}
		return "?"
	}
	if v := live(); v != "1" {
		t.Errorf("the node is ready, and version %q is live", v)
	}
	ann := n.open(t, dial{user: "ann"})
	ann.do("room:join", "channel:x", "{}")
	if e := ann.says("case:reply", "r1", "{}"); !strings.Contains(e.js, `"ok":true`) {
		t.Errorf("the plugin: %s", e.js)
	}
	put("acme", "cases.zip", "22")
	eventually(t, "the second version is live", func() bool { return live() == "22" })
	for _, want := range []string{`globex/cases.zip`, `there is no tenant \"nobody\"`} {
		eventually(t, "the log has "+want, func() bool { return strings.Contains(n.log.text(), want) })
	}
	if _, err := n.app.plugins.host.Switch(context.Background(), "acme", "cases", 1); err != nil {
		t.Fatal(err)
	}
	n.stop()
	n.start()
	put("acme", "other.zip", "22") // the same under another name: it is looked at, and that is all
	eventually(t, "the folder was looked at", func() bool { return strings.Count(n.log.text(), "globex/cases.zip") >= 2 })
	if v := live(); v != "1" {
		t.Errorf("version %s is live after a rollback and a restart", v)
	}
	for i := range 11 { // more than are kept
		n.deploy("acme", "cases", func() ([]byte, error) { return passing(), nil }, askedAlways+fmt.Sprintf("doc: bundle %d\n", i))
	}
	st, _ := n.app.plugins.host.Status("acme", "cases")
	n.stop()
	n.start()
	if after, _ := n.app.plugins.host.Status("acme", "cases"); after.Live != st.Live || after.Last != st.Last {
		t.Errorf("version %d is live after the restart, it was %d", after.Live, st.Live)
	}
}

// TestRemovedFromTheFolder: what the API has removed stays away, also over restarts, until
// its file is another.
func TestRemovedFromTheFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put := func(doc string) {
		write(t, filepath.Join(dir, "acme"), "pass.zip", []byte(bundle(t, "pass", passing(), askedAlways+"doc: "+doc+"\n")))
	}
	put("one")
	n, b := apiNode(t, append(patient(), "plugins.folder.path="+dir)...)
	if s := b.must("GET", "plugins/pass", ""); s.Live != 1 {
		t.Fatal(s.js)
	}
	b.must("DELETE", "plugins/pass", "")
	for range 2 {
		n.stop()
		n.start()
		if s := b.ask("GET", "plugins/pass", ""); s.status != 404 {
			t.Errorf("it is back: %s", s.js)
		}
	}
	put("another")
	n.stop()
	n.start()
	if s := b.must("GET", "plugins/pass", ""); s.Live != 1 {
		t.Errorf("the other one: %s", s.js)
	}
}

// TestPluginFolderTriesAgain what failed by no fault of the bundle's, and tells that once.
func TestPluginFolderTriesAgain(t *testing.T) {
	t.Parallel()
	n := serve(t, patient()...)
	dir, log, most := t.TempDir(), &lines{}, int64(-1)
	write(t, filepath.Join(dir, "acme"), "pass.zip", []byte(bundle(t, "pass", passing(), askedAlways)))
	write(t, filepath.Join(dir, "acme"), "bad.zip", []byte("no archive"))
	f := newPluginFolder(pluginFolder{
		cfg: FolderConfig{Path: dir}, host: n.app.plugins.host, most: func(string) int64 { return most }, log: slog.New(slog.NewTextHandler(log, nil)),
	})
	for range 3 {
		f.look(t.Context())
	}
	if text := log.text(); strings.Count(text, "there is no tenant") != 2 || strings.Count(text, "\n") != 2 {
		t.Errorf("the log has %s", text)
	}
	most = 1 << 20
	for range 3 {
		f.look(t.Context())
	}
	if st, err := n.app.plugins.host.Status("acme", "pass"); err != nil || st.Last != 1 {
		t.Errorf("%+v, %v", st, err)
	}
	if text := log.text(); strings.Count(text, "not a zip archive") != 1 {
		t.Errorf("the log has %s", text)
	}
}

// TestPluginFolderHasOneFileForEach plugin: of several the first by name counts, at each start
// and at each look; the log tells of the others. When the first goes the next one comes.
func TestPluginFolderHasOneFileForEach(t *testing.T) {
	t.Parallel()
	n := serve(t, patient()...)
	dir, log := t.TempDir(), &lines{}
	file := func(name, plugin, doc string) {
		write(t, filepath.Join(dir, "acme"), name, []byte(bundle(t, plugin, passing(), askedAlways+"doc: "+doc+"\n")))
	}
	start := func() *pluginFolder {
		return newPluginFolder(pluginFolder{
			cfg: FolderConfig{Path: dir}, host: n.app.plugins.host, most: func(string) int64 { return 1 << 20 }, log: slog.New(slog.NewTextHandler(log, nil)),
		})
	}
	last := func(plugin string, want int) {
		t.Helper()
		if st, err := n.app.plugins.host.Status("acme", plugin); err != nil || st.Last != want || st.Live != want {
			t.Errorf("version %d of %s is live of %d, want %d: %v", st.Live, plugin, st.Last, want, err)
		}
	}
	file("v1.zip", "pass", "one")
	file("v2.zip", "pass", "two")
	file("v3.zip", "other", "one")
	var f *pluginFolder
	for range 3 { // starts
		f = start()
		for range 3 {
			f.look(t.Context())
		}
	}
	last("pass", 1)
	last("other", 1)
	const told = "the plugin pass comes from v1.zip already"
	if text := log.text(); strings.Count(text, told) != 3 || strings.Count(text, "\n") != 3 || !strings.Contains(text, "v2.zip") {
		t.Errorf("the log of three starts has %s", text)
	}
	if err := os.Remove(filepath.Join(dir, "acme", "v1.zip")); err != nil {
		t.Fatal(err)
	}
	f.look(t.Context())
	f.look(t.Context())
	last("pass", 2)
	file("v1.zip", "pass", "three")
	for range 3 { // it is seen, looks the same, and that is all
		f.look(t.Context())
	}
	last("pass", 3)
	if text := log.text(); strings.Count(text, told) != 4 {
		t.Errorf("the log has %s", text)
	}
}

// write puts a file in place, whole.
func write(t *testing.T, dir, name string, text []byte) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".new"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, name+".new"), filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}
