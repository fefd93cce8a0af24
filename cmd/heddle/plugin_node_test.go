package main_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/clients/go/wire"
	"github.com/heddle-rt/heddle/plugins/guest/guesttest"
)

const plugged = "channel:plugged"

// TestPluginLife goes through the life of a plugin with the developer's tool, and looks
// at each step what becomes of a message.
func TestPluginLife(t *testing.T) {
	n := serve(t, pluginConfig(t), filepath.Join(t.TempDir(), "data"))
	c := newTool(t, n, devKey)
	ann := speak(t, n.url(), "ann", plugged)
	expect := func(want string) {
		t.Helper()
		if got := ann.deliver(plugged, "as ever"); got != want {
			t.Fatalf("a message comes as %q, want %q", got, want)
		}
	}
	expect("as ever")
	c.does(`^PLUGIN +LIVE`, "list")
	c.fails(`not_found, plugin: there is no plugin "tiny"`, "status", "tiny")
	c.write("p", guesttest.Says("one"))
	c.fails(`conflict, as: the first version of a plugin can only be live`, "deploy", "p", "--shadow")
	c.does(`^tiny 1.0 is live, as number 1 \(`, "deploy", "p")
	for range 5 {
		expect("one")
	}
	if s := c.status(); s.Stats["live"].Number != 1 || s.Stats["live"].Events != 5 || len(s.Stats["live"].Failed) != 0 || s.Stats["live"].P99 <= 0 || s.Stats["live"].Fuel <= 0 || s.Versions[0].By != "dev" {
		t.Errorf("%+v", s)
	}

	c.write("p", guesttest.Says("two"))
	c.does(`^tiny 1.0 is canary, as number 2`, "deploy", "p", "--canary", "100%")
	expect("two")
	c.does(`^2 +1.0 +canary 100%`, "status", "tiny")
	c.does(`^tiny +1 +1.0 +0 +2 +-`, "list")
	c.does(`^tiny 1.0 is live now, as number 2; before it was number 1$`, "promote", "tiny")
	c.fails(`conflict: there is no canary`, "promote", "tiny")
	expect("two")
	c.does(`^tiny 1.0 is live now, as number 1; before it was number 2$`, "rollback", "tiny")
	expect("one")
	c.does(`^tiny 1.0 is live now, as number 2`, "rollback", "tiny", "--to", "2")
	expect("two")
	c.fails(`not_found, number: version 9 is not kept`, "rollback", "tiny", "--to", "9")

	c.write("p", guesttest.Refuses("never"))
	c.does(`^tiny 1.0 is shadow, as number 3`, "deploy", "p", "--shadow")
	expect("two")
	eventually(t, "the shadow has seen it", func() bool { return c.status().Stats["shadow"].Events == 1 })
	c.does(`^  live +\{"do":"replace","data":\{"text":"two"\}\}\n  shadow +\{"do":"drop","code":"forbidden","text":"never"\}$`, "diffs", "tiny")
	replayed := c.does(`of these (\d+) are decided otherwise by tiny 1.0 than by tiny 1.0, which is live$`, "replay", "tiny", "--room", plugged)
	if all := strings.Count(replayed, `{"do":"drop"`); all != 11 {
		t.Errorf("%d of 11 messages are replayed\n%s", all, replayed)
	}
	c.does(`; the shadow, number 3, was ended by it`, "stop", "tiny")
	expect("two")
}

// status is what the tool tells as JSON.
type status struct {
	Live, Previous, Canary, Shadow, Last int
	Share                                float64
	Versions                             []struct {
		Number              int
		Version, Digest, By string
		Deployed            int64
	}
	Stats map[string]struct {
		Number int
		Events int
		Failed map[string]int
		P99    float64 `json:"p99_ms"`
		Fuel   float64 `json:"fuel_per_event"`
	}
}

func (c *tool) status() (s status) {
	c.t.Helper()
	out := c.does(`"live"`, "status", "tiny", "--json")
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		c.t.Fatalf("%v in %s", err, out)
	}
	return s
}

// TestPluginLog: who follows the log reads what comes later, also why the plugin fails.
func TestPluginLog(t *testing.T) {
	n := serve(t, pluginConfig(t), filepath.Join(t.TempDir(), "data"))
	c := newTool(t, n, devKey)
	c.fails(`there is no plugin "tiny"`, "logs", "tiny", "-f")
	c.write("p", guesttest.Plugin{Logs: "hello there"})
	c.does(`as number 1`, "deploy", "p")
	follow := c.begin("logs", "tiny", "-f")
	ann := speak(t, n.url(), "ann", plugged)
	if got := ann.deliver(plugged, "x"); got != "x" {
		t.Errorf("%q", got)
	}
	follow.says(`#1 info  hello there$`)
	c.write("p", guesttest.Plugin{Logs: "and again"})
	c.does(`as number 2`, "deploy", "p")
	ann.deliver(plugged, "x")
	follow.says(`#2 info  and again$`)
	c.write("p", guesttest.Plugin{Traps: true})
	c.does(`as number 3`, "deploy", "p")
	if got := ann.deliver(plugged, "x"); got != "" {
		t.Errorf("a plugin that fails lets %q pass", got)
	}
	follow.says(`#3 error .*unreachable`)
	follow.interrupt()
	if lines := strings.Count(follow.text(), "hello there"); lines != 1 {
		t.Errorf("%d times\n%s", lines, follow.text())
	}
	c.does(`hello there`, "logs", "tiny")
	c.does(`is removed`, "remove", "tiny")
	c.fails(`there is no plugin "tiny"`, "logs", "tiny")
	if got := ann.deliver(plugged, "free"); got != "free" {
		t.Errorf("a plugin that was removed makes %q of it", got)
	}
}

// TestPluginOutlivesKill: after a kill -9 the versions are there under their numbers,
// and what was live, canary and shadow is.
func TestPluginOutlivesKill(t *testing.T) {
	config, data := pluginConfig(t), filepath.Join(t.TempDir(), "data")
	n := serve(t, config, data)
	c := newTool(t, n, devKey)
	for i, word := range []string{"one", "two", "three"} {
		c.write("p", guesttest.Says(word))
		c.does(fmt.Sprint(`as number `, i+1), "deploy", "p")
	}
	c.does(`^tiny 1.0 is live now, as number 2`, "rollback", "tiny", "--to", "2")
	c.write("p", guesttest.Says("never"))
	c.does(`as number 4`, "deploy", "p", "--canary", "0.0001")
	c.does(`as number 5`, "deploy", "p", "--shadow")
	before := c.status()
	n.kill()
	n = serve(t, config, data)
	c.env = newTool(t, n, devKey).env
	after := c.status()
	before.Stats, after.Stats = nil, nil
	if fmt.Sprint(before) != fmt.Sprint(after) || after.Live != 2 || after.Canary != 4 || after.Shadow != 5 || len(after.Versions) != 5 {
		t.Errorf("before %+v\nafter  %+v", before, after)
	}
	c.does(`^tiny 1.0 stays live, as number 2; the canary, number 4, was ended by it; the shadow, number 5, was ended by it$`, "stop", "tiny")
	ann := speak(t, n.url(), "ann", plugged)
	if got := ann.deliver(plugged, "x"); got != "two" {
		t.Errorf("it is %q", got)
	}
	c.does(`^tiny 1.0 is live now, as number 1`, "rollback", "tiny", "--to", "1") // of what is on disk
	if got := ann.deliver(plugged, "x"); got != "one" {
		t.Errorf("it is %q", got)
	}
	c.write("p", guesttest.Says("six"))
	c.does(`as number 6`, "deploy", "p")
}

// TestPluginRefusals are told to the developer as the node says them.
func TestPluginRefusals(t *testing.T) {
	n := serve(t, pluginConfig(t), filepath.Join(t.TempDir(), "data"))
	c := newTool(t, n, devKey)
	c.write("p", guesttest.Plugin{})
	c.does(`as number 1`, "deploy", "p")
	for _, x := range []struct{ name, key, says string }{
		{"an unknown key", "dev." + strings.ToUpper(keySecret), `unauthenticated, Authorization: no such API key\n.*api_keys of the tenant`},
		{"no key", "", `no API key: --key ID.SECRET`},
		{"a key without the scope", narrowKey, `forbidden, Authorization: the key has not the scope "plugins"`},
	} {
		other := &tool{t, c.dir, []string{c.env[0], "HEDDLE_KEY=" + x.key}}
		for _, args := range [][]string{{"list"}, {"deploy", "p"}, {"remove", "tiny"}, {"logs", "tiny"}, {"dev", "p"}} {
			other.fails(x.says, args...)
		}
	}
	stranger := &tool{t, c.dir, []string{c.env[0], "HEDDLE_KEY=" + strangerKey}}
	if out := stranger.does(`PLUGIN`, "list"); strings.Contains(out, "tiny") {
		t.Errorf("another tenant sees %s", out)
	}
	for _, args := range [][]string{{"status", "tiny"}, {"remove", "tiny"}, {"promote", "tiny"}, {"replay", "p", "--room", plugged}} {
		stranger.fails(`there is no plugin "tiny"`, args...)
	}
	stranger.fails(`limits.* more than the operator permits`, "deploy", "p")
	c.does(`^tiny`, "list")

	noise := make([]byte, 2<<20) // which no archive makes smaller
	rand.NewChaCha8([32]byte{1}).Read(noise)
	c.write("large", guesttest.Plugin{Ballast: noise})
	stranger.fails(`too_large, bundle: a body has at most 1114112 bytes`, "deploy", "large")
	brokenBundles(t, n)
}

// brokenBundles are those that the tool would not send.
func brokenBundles(t *testing.T, n *node) {
	t.Helper()
	const manifest = "name: tiny\nversion: '2'\nbindings: [{}]\nlimits: {timeout: 10s, start: 60s}\n"
	for name, x := range map[string]struct {
		files map[string]string
		says  string
	}{
		"no module":         {map[string]string{"heddle-plugin.yaml": manifest}, `plugin.wasm is missing`},
		"no manifest":       {map[string]string{"plugin.wasm": "x"}, `heddle-plugin.yaml is missing`},
		"a broken manifest": {map[string]string{"heddle-plugin.yaml": "name: [", "plugin.wasm": "x"}, `heddle-plugin.yaml:1:`},
		"what is no module": {map[string]string{"heddle-plugin.yaml": manifest, "plugin.wasm": "x"}, `is not a WebAssembly module`},
		"half a module":     {map[string]string{"heddle-plugin.yaml": manifest, "plugin.wasm": string(guesttest.Plugin{}.Module()[:90])}, `module`},
		"an import":         {map[string]string{"heddle-plugin.yaml": manifest, "plugin.wasm": string(guesttest.Plugin{Imports: "fetch"}.Module())}, `fetch`},
		"a fixture that fails": {map[string]string{
			"heddle-plugin.yaml": manifest, "plugin.wasm": string(guesttest.Refuses("no").Module()),
			"fixtures/a.json": `{"name":"all pass","steps":[{"event":{"action":"message:send"},"expect":[]}]}`,
		}, `fixtures/a.json: \"all pass\", step 1`},
		"a file too many": {map[string]string{"heddle-plugin.yaml": manifest, "plugin.wasm": "x", "../x": "y"}, `does not belong there`},
	} {
		var packed bytes.Buffer
		w := zip.NewWriter(&packed)
		for file, text := range x.files {
			f, err := w.Create(file)
			if err == nil {
				_, err = f.Write([]byte(text))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		status, body := upload(t, n, devKey, "", packed.Bytes())
		if status != 400 || !strings.Contains(body, `"field":"bundle"`) || !strings.Contains(body, x.says) {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	if status, body := upload(t, n, devKey, "", []byte("PK no archive")); status != 400 || !strings.Contains(body, "not a zip archive") {
		t.Errorf("no archive: %d %s", status, body)
	}
}

// TestPluginDevSwapsWhileEventsFlow: heddle plugin dev deploys each change, and a sender
// who never pauses has each message seen by one version, and by none that was replaced.
func TestPluginDevSwapsWhileEventsFlow(t *testing.T) {
	n := serve(t, pluginConfig(t), filepath.Join(t.TempDir(), "data"))
	c := newTool(t, n, devKey)
	c.write("p", guesttest.Says("v1"))
	dev := c.begin("dev", "p", "--every", "10ms")
	dev.says(`tiny 1.0 is live, as number 1 `)
	ann := speak(t, n.url(), "ann", plugged)
	var seen []string
	talkUntil := func(said string) {
		t.Helper()
		for late := time.Now().Add(patience); !strings.Contains(dev.text(), said); {
			if seen = append(seen, ann.deliver(plugged, "raw")); time.Now().After(late) {
				t.Fatalf("it does not write %q\n%s", said, dev.text())
			}
		}
	}
	for v := 2; v <= 4; v++ {
		c.module("p", guesttest.Says(fmt.Sprint("v", v)).Module())
		talkUntil(fmt.Sprintf("as number %d ", v))
	}
	c.module("p", []byte("what does not build"))
	talkUntil("is not a WebAssembly module")
	c.module("p", guesttest.Says("v5").Module())
	talkUntil("as number 5 ")
	if got := ann.deliver(plugged, "raw"); got != "v5" {
		t.Errorf("the last version makes %q of it", got)
	}
	dev.interrupt()
	count, before := map[string]int{}, ""
	for i, got := range seen {
		if got < before || !strings.HasPrefix(got, "v") {
			t.Fatalf("message %d comes as %q, behind %q", i, got, before)
		}
		before = got
		count[got]++
	}
	t.Logf("%d messages: %v", len(seen), count)
	if len(count) < 4 {
		t.Errorf("messages were seen by %v", count)
	}
	if got := ann.deliver(plugged, "raw"); got != "v5" {
		t.Errorf("the plugin does not stay: %q", got)
	}
}

// TestPluginDevOutlivesTheNode: a change that the node could not be told of is deployed
// once it is back; what is no other bundle is not deployed again.
func TestPluginDevOutlivesTheNode(t *testing.T) {
	ports := freePorts(t, 1)
	config, data, at := pluginConfig(t), filepath.Join(t.TempDir(), "data"), fmt.Sprint("socket.listen=127.0.0.1:", ports[0])
	n := serve(t, config, data, at)
	c := newTool(t, n, devKey)
	c.write("p", guesttest.Says("v1"))
	dev := c.begin("dev", "p", "--every", "10ms")
	dev.says(`as number 1 `)
	c.file("p/README.md", "Nothing that goes into the bundle.")
	dev.says(`the change makes no other bundle$`)
	n.kill()
	c.module("p", guesttest.Says("v2").Module())
	dev.says(`no node answers`)
	n = serve(t, config, data, at)
	dev.says(`as number 2 `)
	if got := speak(t, n.url(), "ann", plugged).deliver(plugged, "raw"); got != "v2" {
		t.Errorf("%q", got)
	}
	c.write("p", guesttest.Plugin{Logs: "still followed"})
	dev.says(`as number 3 `)
	speak(t, n.url(), "ben", plugged).deliver(plugged, "raw")
	dev.says(`#3 info  still followed$`)
	dev.interrupt()
	if said := strings.Count(dev.text(), "no node answers"); said != 1 {
		t.Errorf("%d times\n%s", said, dev.text())
	}
}

// TestPluginInFiveMinutes is a newcomer's: heddle dev, the lines that it prints, a new
// plugin in Go, a message, a change of the source.
func TestPluginInFiveMinutes(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		if strings.Contains(os.Getenv("HEDDLE_SDKS"), "go") {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	// A machine that does other things too must not be what the test fails of.
	t.Setenv("HEDDLE_TENANTS", `{dev: {plugins: {limits: {timeout: 10s, start: 60s}}}}`)
	n := dev(t, filepath.Join(t.TempDir(), "data"))
	c := &tool{t: t, dir: t.TempDir(), env: []string{"GOPROXY=off", "GOFLAGS="}}
	eventually(t, "it prints what to export", func() bool { return len(exports(n)) == 2 })
	c.env = append(c.env, exports(n)...)
	c.does(`^links is a plugin in Go now`, "new", "--lang", "go", "links")
	manifest := filepath.Join(c.dir, "links", "heddle-plugin.yaml")
	yaml, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	c.file("links/heddle-plugin.yaml", string(yaml)+"\nlimits: {timeout: 10s, start: 60s}\n")
	work := c.begin("dev", "links")
	work.says(`links 0.1.0 is live, as number 1 `)

	ann := dial(t, n.url(), devToken(t, n, "ann"))
	if a := ann.ask("session:open", "", map[string]any{"rooms": []string{"channel:x"}}); a.Type != wire.TypeAck {
		t.Fatalf("session:open: %s", a.Data)
	}
	if a := ann.ask("message:send", "channel:x", text{Text: "see https://a.example"}); a.Type != wire.TypeAck {
		t.Errorf("%s", a.Data)
	}
	unsafe := func(want string) {
		t.Helper()
		a := ann.ask("message:send", "channel:x", text{Text: "see http://a.example"})
		var why refusal
		if decode(t, a.Data, &why); a.Type != wire.TypeError || why.Code != "invalid" || why.Message != want {
			t.Errorf("%+v, want %q", why, want)
		}
	}
	unsafe("links need https")
	work.says(`#1 info  an unsafe link in channel:x$`)
	source, err := os.ReadFile(filepath.Join(c.dir, "links", "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	c.file("links/main.go", strings.Replace(string(source), "return nil", "retrun nil", 1))
	work.says(`main.go:\d+:\d+: syntax error`)
	fixtures := filepath.Join("links", "fixtures", "links.json")
	c.file("links/main.go", strings.Replace(string(source), "links need https", "no such links", 1))
	work.says(`its fixtures fail`)
	expected, err := os.ReadFile(filepath.Join(c.dir, fixtures))
	if err != nil {
		t.Fatal(err)
	}
	unsafe("links need https")
	c.file(fixtures, strings.ReplaceAll(string(expected), "links need https", "no such links"))
	work.says(`links 0.1.0 is live, as number 2 `)
	unsafe("no such links")
	work.interrupt()
}

// exports are the lines of heddle dev for a developer's shell.
func exports(n *node) (out []string) {
	for _, m := range regexp.MustCompile(`(?m)^ +export (HEDDLE_(?:URL|KEY)=\S+)$`).FindAllStringSubmatch(n.text(), -1) {
		out = append(out, m[1])
	}
	return out
}
