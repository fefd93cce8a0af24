package manifest

import (
	"archive/zip"
	"bytes"
	"strings"
	"testing"
)

const good = `
name: profanity
version: 1.0.0
bindings:
  - {actions: ["message:send", "message:edit"], rooms: ["conv:*"], priority: 50}
  - {hooks: [connect]}
actions:
  - {name: "order:created", durable: true}
payload: prefix(256)
attributes:
  - {name: lang, path: meta.lang}
capabilities: [kv, http]
hosts: [api.example.com, "*.example.org:8443"]
limits: {memory: 1MiB}
config: '{"words": ["x"]}'
`

func TestRead(t *testing.T) {
	m, err := Read(FileName, []byte(good))
	if err != nil {
		t.Fatal(err)
	}
	if m.Payload != 256 || m.Bindings[1].Hooks[0] != "connect" || m.Bindings[0].Hooks[0] != "before" || m.Bindings[1].Priority != 100 ||
		string(m.Config) != `{"words": ["x"]}` || m.Limits.Fuel == 0 || m.Mode != Stateless || m.Failure != Closed || m.Recycle.Calls == 0 || m.Actions[0].Permission != "publisher" {
		t.Errorf("%+v", m)
	}
}

func TestFaults(t *testing.T) {
	for name, c := range map[string]struct{ from, to, want string }{
		"unknown option":    {"payload:", "payloads:", "payloads"},
		"name":              {"name: profanity", "name: Profanity", "name: want lower-case"},
		"no name":           {"name: profanity\n", "\n", "name"},
		"payload":           {"prefix(256)", "prefix(0)", "none, full or prefix(N)"},
		"hook":              {"[connect]", "[connects]", `no binding has the hook "connects"`},
		"timer is no hook":  {"[connect]", "[timer]", `no binding has the hook "timer"`},
		"pattern":           {"conv:*", "c*nv", "beginning of one"},
		"action":            {"order:created", "order", "noun:verb"},
		"capability":        {"[kv, http]", "[kv, http, disk]", `no capability "disk"`},
		"hosts without":     {"[kv, http]", "[kv]", "go together"},
		"an address":        {"api.example.com", "127.0.0.1", "want a host name"},
		"an address with 6": {"api.example.com", `"[::1]"`, "no port"},
		"a single label":    {"api.example.com", "localhost", "want a host name"},
		"a port":            {"8443", "0", "no port"},
		"path":              {"meta.lang", "meta..lang", "names with dots"},
		"config":            {`'{"words": ["x"]}'`, `'{"words": }'`, "not JSON"},
		"recycle":           {"limits: {memory: 1MiB}", "limits: {memory: 1MiB}\nrecycle: {memory: 2MiB}", "more than limits.memory"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(good, c.from) {
				t.Fatal("nothing is replaced")
			}
			_, err := Read(FileName, []byte(strings.Replace(good, c.from, c.to, 1)))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), FileName) {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

func TestBundle(t *testing.T) {
	b := &Bundle{Text: []byte(good), Module: []byte("\x00asm"), Fixtures: []Fixture{{"b.json", []byte("{}")}, {"a.json", []byte("[]")}}}
	packed, err := b.Pack()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Unpack(packed, 100)
	if err != nil {
		t.Fatal(err)
	}
	if string(got.Module) != "\x00asm" || got.Manifest.Name != "profanity" || len(got.Fixtures) != 2 || got.Fixtures[0].Name != "a.json" || got.Digest() != b.Digest() {
		t.Errorf("%+v", got)
	}
	if _, err := Unpack(packed, 3); err == nil || !strings.Contains(err.Error(), "plugin.wasm has more than 3 bytes") {
		t.Errorf("%v", err)
	}
	for name, files := range map[string]map[string]string{
		"no manifest":     {ModuleName: "x"},
		"no module":       {FileName: good},
		"a strange file":  {FileName: good, ModuleName: "x", "../../etc/passwd": "x"},
		"a nested one":    {FileName: good, ModuleName: "x", "fixtures/a/b": "x"},
		"a bad manifest":  {FileName: "name: [", ModuleName: "x"},
		"a zip of zeroes": {FileName: strings.Repeat("\n", maxText+1), ModuleName: "x"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			w := zip.NewWriter(&out)
			for name, text := range files {
				f, _ := w.Create(name)
				_, _ = f.Write([]byte(text))
			}
			_ = w.Close()
			if b, err := Unpack(out.Bytes(), 100); err == nil {
				t.Errorf("%+v", b)
			}
		})
	}
}

func FuzzUnpack(f *testing.F) {
	b := &Bundle{Text: []byte(good), Module: []byte("\x00asm")}
	packed, _ := b.Pack()
	f.Add(packed)
	f.Add([]byte("PK"))
	f.Fuzz(func(t *testing.T, archive []byte) {
		if b, err := Unpack(archive, 1000); err == nil && (b.Manifest == nil || len(b.Module) > 1000) {
			t.Errorf("%+v", b)
		}
	})
}
