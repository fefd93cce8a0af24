// Package as_test runs plugins of the AssemblyScript SDK in the node's own host: what
// is particular to that language. Package sdk-wasm/conformance has what all SDKs have
// in common.
package as_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest"
)

func TestAnswers(t *testing.T) {
	t.Parallel()
	p := begin(t, build(t, "testdata/probe.ts"), `{"name":"W\u00f6rld \ud83d\ude42"}`)
	text := hostapi.Attribute{Name: "t", Type: hostapi.AttrString, Text: []byte("naïve 漢 🙂")}
	for name, tc := range map[string]struct {
		record hostapi.Record
		want   string
	}{
		"a config that start has read": {record("greet", ""), `"hello Wörld 🙂"`},
		"texts":                        {record("same", "{\"a\":1}", hostapi.Attribute{Name: "x", Type: hostapi.AttrInt}, text), `"equal,not,begins,7,decoded,action,user,\"a"`},
		"values of JSON": {
			record("json", ` { "no" : [ {"text":"wrong"}, "}" ] , "data" : {"te\u0078t" : "a\"b\u00e9\n", "float":-1.5e2, "int" : -42, "yes":true, "k\"ey":"é", "list":[1,[2,"]"],{"a":"b"}]} } `),
			`["a\"bé\n",-150.0,-42,true,"é",3,"{\"a\":\"b\"}"]`,
		},
		"values of other types":    {record("json", `{"text":1,"float":"1","int":1.5,"yes":1}`), `["none",-1.0,-1,false,"none",0,""]`},
		"the last one of a key":    {record("json", `{"text":"a","text":"b"}`), `["b",-1.0,-1,false,"none",0,""]`},
		"whole numbers":            {record("json", `{"int":9223372036854775807,"float":12345678901234567890}`), `["none",12345678901234567000.0,9223372036854775807,false,"none",0,""]`},
		"numbers that are too big": {record("json", `{"int":9223372036854775808}`), `["none",-1.0,-1,false,"none",0,""]`},
		"no JSON":                  {record("json", `{"text":"a`), `["none",-1.0,-1,false,"none",0,""]`},
		"JSON that is cut off":     {record("json", `{"data":{"list":[1,2`), `["none",-1.0,-1,false,"none",0,""]`},
		"deep JSON":                {record("json", `{"a":`+strings.Repeat("[", 20000)+strings.Repeat("]", 20000)+`,"int":7}`), `["none",-1.0,7,false,"none",0,""]`},
		"no payload":               {record("json", ""), `["none",-1.0,-1,false,"none",0,""]`},
		"escapes":                  {record("quote", `"\"\\\/\b\f\n\r\t\u0001\u001f\u00e9\ud83d\ude42 é🙂"`), `"\"\\/\b\f\n\r\t\u0001\u001fé🙂 é🙂"`},
		"half a surrogate pair":    {record("quote", `"a\ud83d"`), `"a` + "\ufffd" + `"`},
	} {
		t.Run(name, func(t *testing.T) {
			got := p.run(t, tc.record)
			if len(got) != 1 || got[0].Kind != hostapi.Reply || string(got[0].A) != tc.want {
				t.Errorf("%d actions\n got %s\nwant %s", len(got), got[0].A, tc.want)
			}
		})
	}
}

func TestTraps(t *testing.T) {
	t.Parallel()
	code := build(t, "testdata/probe.ts")
	for name, tc := range map[string]struct{ action, log string }{
		"an index out of bounds": {"index", "3 Index out of range (~lib/array.ts:"},
		"an error with much to say": {
			"throw", "3 é" + strings.Repeat("long ", 99) + "long (probe.ts:",
		},
		"recursion without end": {"deep", "3 stack overflow"},
	} {
		t.Run(name, func(t *testing.T) {
			p := begin(t, code, "")
			trap := p.fail(t, record(tc.action, ""))
			if len(p.host.lines) != 1 || !strings.HasPrefix(p.host.lines[0], tc.log) {
				t.Errorf("%v\n%.600s", trap, p.host.log())
			}
		})
	}
}

func TestStartThatFails(t *testing.T) {
	t.Parallel()
	h := newHost()
	_, err := compile(t, build(t, "testdata/probe.ts"), plan(h, `{"refuse":true}`))
	if err == nil || !strings.Contains(err.Error(), "failed") || h.log() != `3 the config refuses: {"refuse":true}` {
		t.Errorf("%v\n%s", err, h.log())
	}
}

// Not even of an event that goes on as if nothing were.
func TestWhatDoesNotFitFailsTheCall(t *testing.T) {
	p := begin(t, build(t, "testdata/probe.ts"), "")
	for level, batch := range map[string][]hostapi.Record{"3": {record("big", "{}")}, "2": {record("big", "{}"), record("greet", "")}} {
		p.host.lines = nil
		if tr := p.fail(t, batch...); tr.Reason != guest.TrapStatus {
			t.Error(tr)
		}
		if log := p.host.log(); !strings.HasPrefix(log, level+" the output is full") || strings.Count(log, "full") != 1 || !strings.Contains(log, "it was -7 and 0") {
			t.Error(log)
		}
	}
	if got := p.run(t, record("greet", "")); len(got) != 1 {
		t.Errorf("%+v", got)
	}
}

func TestConsole(t *testing.T) {
	p := begin(t, build(t, "testdata/probe.ts"), "")
	p.run(t, record("console", ""))
	if log := p.host.log(); log != "1 said by ann\n0 traced 1.0 2.5" {
		t.Error(log)
	}
}

// Instances begin from one image, and must not draw the same numbers.
func TestRandomNumbers(t *testing.T) {
	p := begin(t, build(t, "testdata/probe.ts"), "")
	if !p.program.Captured() {
		t.Fatal("it was not captured")
	}
	seen := map[string]bool{}
	for range 4 {
		q := another(t, p.program, p.host)
		for range 2 {
			n := string(q.run(t, record("random", ""))[0].A)
			if seen[n] || !strings.HasPrefix(n, "0.") {
				t.Errorf("%s again", n)
			}
			seen[n] = true
			if err := q.Reset(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestGarbage runs events that allocate: what is not in use any more is used again,
// also where the host never has time for heddle_idle, and within one event.
func TestGarbage(t *testing.T) {
	t.Parallel()
	const million = 1000000
	for name, tc := range map[string]struct {
		events int
		idle   bool
	}{"never idle": {million, false}, "idle now and then": {million / 10, true}} {
		t.Run(name, func(t *testing.T) {
			p := begin(t, build(t, "testdata/probe.ts"), "")
			p.host.values["ann"] = strings.Repeat("v", 300)
			batch := make([]hostapi.Record, hostapi.MaxBatch)
			for i := range batch {
				batch[i] = record("garbage", "now is the time for all good men to come to the aid of the party")
			}
			var early int // of memory
			for n := 0; n < tc.events; n += len(batch) {
				if got := p.run(t, batch...); len(got) != len(batch) || string(got[0].B) != "300" {
					t.Fatalf("%+v", got)
				}
				if tc.idle && n%(100*len(batch)) == 0 {
					if err := p.Idle(); err != nil {
						t.Fatal(err)
					}
				}
				if n < million/100 {
					early = p.Memory()
				}
			}
			private, err := p.Private()
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("after %d events: %d KiB of memory, %d KiB private", tc.events, p.Memory()>>10, private>>10)
			if p.Memory() > early {
				t.Errorf("the memory grew from %d to %d KiB", early>>10, p.Memory()>>10)
			}
		})
	}
	t.Run("in one event", func(t *testing.T) {
		p := begin(t, build(t, "testdata/probe.ts"), "")
		if got := p.run(t, record("heap", strings.Repeat("x", 5000))); len(got) != 1 || string(got[0].B) != "5004" {
			t.Errorf("%+v", got)
		}
		t.Logf("%d KiB of memory for 40 MB of strings", p.Memory()>>10)
	})
}

// TestExample is the plugin of the README.
func TestExample(t *testing.T) {
	t.Parallel()
	p := begin(t, build(t, "example/slowmode.ts"), `{"gap_ms": 2000}`)
	at := func(ms int64) hostapi.Record {
		r := record("message:send", `{"text":"hi"}`)
		r.Time = ms
		return r
	}
	got := p.run(t, at(1000), at(1500), at(3000), at(3100))
	if len(got) != 2 || got[0].Record != 1 || got[0].Number != 1500 || got[1].Record != 3 || got[1].Number != 1900 || string(got[1].A) != "slow mode is on" {
		t.Errorf("%+v", got)
	}
}

// The README shows the example as it is.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("example/slowmode.ts")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "```ts\n"+string(example)+"```\n") {
		t.Error("README.md has another text than example/slowmode.ts")
	}
}

// TestCopied builds a project which has the SDK's source as a copy, and assemblyscript
// alone from npm.
func TestCopied(t *testing.T) {
	t.Parallel()
	toolchain(t)
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	project := t.TempDir()
	sdk := filepath.Join(project, "lib", "@heddle-rt", "plugin")
	for _, name := range []string{"assembly", "index.ts", "exports.ts", "asconfig.json"} {
		if err := copyAll(filepath.Join(sdk, name), name); err != nil {
			t.Fatal(err)
		}
	}
	if err := copyAll(filepath.Join(project, "plugin.ts"), "example/slowmode.ts"); err != nil {
		t.Fatal(err)
	}
	config := `{"extends": "./lib/@heddle-rt/plugin/asconfig.json", "entries": ["plugin.ts"], "options": {"path": ["lib"], "outFile": "plugin.wasm"}}`
	if err := os.WriteFile(filepath.Join(project, "asconfig.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(project, "node", filepath.Join(here, "node_modules/assemblyscript/bin/asc.js")); err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile(filepath.Join(project, "plugin.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	p := begin(t, code, "")
	if got := p.run(t, record("message:send", "{}"), record("message:send", "{}")); len(got) != 1 || got[0].Number != 5000 {
		t.Errorf("%+v", got)
	}
}

func copyAll(to, from string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return os.CopyFS(to, os.DirFS(from))
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o600)
}
