package plugin

import (
	"context"
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/heddle-rt/heddle/plugins/host"
	sdk "github.com/heddle-rt/heddle/sdk-wasm"
)

const tinyManifest = "name: tiny\nversion: \"1\"\nbuild: cp made \"$OUT\"\nbindings: [{}]\n"

// What does not build is said and not sent, and does not end the watch.
func TestDev(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dir, f := t.TempDir(), &fake{}
	write := func(name string, text []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("heddle-plugin.yaml", []byte(tinyManifest))
	write("made", []byte("no module"))
	c := &devCmd{node: node{URL: f.start(), Key: fakeAPIKey}, folder: folder{dir}, Every: 1}
	defer http.DefaultClient.CloseIdleConnections()
	defer f.stop()
	if err := c.once(t.Context()); err == nil || !strings.Contains(err.Error(), "is not a WebAssembly module") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { // ends with ctx
		if err := c.watch(ctx); err != nil {
			t.Error(err)
		}
	})
	running.Go(func() { _ = c.follow(ctx, "tiny", 0, func(*host.Line) bool { return true }, c.bear) }) // likewise
	write("made", tiny("pass"))
	if err := f.until("a deploy", func() bool { return f.deploys == 1 }); err != nil {
		t.Error(err)
	}
	f.say("tiny", "info", "hello")
	if err := f.until("heard", func() bool { return f.plugins["tiny"].heard == 1 }); err != nil {
		t.Error(err)
	}
	write("heddle-plugin.yaml", []byte("name: ["))
	write("heddle-plugin.yaml", []byte(tinyManifest+"doc: another\n"))
	if err := f.until("another deploy", func() bool { return f.deploys >= 2 }); err != nil {
		t.Error(err)
	}
	cancel()
	running.Wait()

	c.Key, c.sent = "another.key", nil // or else there is nothing to ask
	if err := c.watch(t.Context()); err == nil || !strings.Contains(err.Error(), "refuses the key") {
		t.Error(err)
	}
}

// The compiler that a new project asks npm for is the one that the SDK is tested with.
func TestVersionOfAssemblyScript(t *testing.T) {
	source, err := sdk.Source("as")
	if err != nil {
		t.Fatal(err)
	}
	versions := map[string]bool{}
	for tree, name := range map[fs.FS]string{source: "package.json", templates: "templates/as/package.json.tmpl"} {
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			t.Fatal(err)
		}
		var p struct{ DevDependencies map[string]string }
		if err := json.Unmarshal(text, &p); err != nil {
			t.Fatal(err)
		}
		versions[p.DevDependencies["assemblyscript"]] = true
	}
	if len(versions) != 1 || versions[""] {
		t.Errorf("%v", versions)
	}
}
