package test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest"
)

// need skips the test if a program is missing.
func need(t testing.TB, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("no toolchain for C here: %v", err)
		}
	}
}

// watched looks at all files of the SDK, so that the go command knows what a result depends
// on: or else it would take that from its cache.
func watched(t testing.TB) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.Name() == "node_modules" || d.Name() == "target":
			return filepath.SkipDir
		}
		_, err = os.Stat(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func run(t testing.TB, program string, args ...string) {
	t.Helper()
	watched(t)
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
}

// build makes a module of a source.
func build(t testing.TB, source string, options ...string) []byte {
	t.Helper()
	need(t, "clang", "wasm-ld")
	out := filepath.Join(t.TempDir(), "plugin.wasm")
	run(t, "../build.sh", append([]string{source, out, "-Werror"}, options...)...)
	code, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func TestUnits(t *testing.T) {
	need(t, "clang")
	for _, level := range []string{"-O0", "-O3"} {
		program := filepath.Join(t.TempDir(), "units")
		run(t, "clang", "-std=c11", level, "-Wall", "-Wextra", "-Werror", "-fsanitize=undefined", "-fsanitize-trap=undefined", "testdata/units.c", "-o", program)
		run(t, program, "../../../hostapi/testdata/records.bin", "../../../hostapi/testdata/actions.bin")
	}
}

// host answers what the guests here ask for.
type host struct {
	guest.Host
	lines []string
}

func (h *host) Log(_ int, text string) { h.lines = append(h.lines, text) }

func (h *host) Metric(int, string, float64) hostapi.Status { return hostapi.OK }

// instance starts a guest.
func instance(t testing.TB, code []byte, config string) *guest.Instance {
	t.Helper()
	e, err := guest.New(guest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Compile(context.Background(), code, guest.Plan{
		Host: &host{}, Config: []byte(config), Limits: guest.Limits{
			Memory: 4 << 20, Fuel: 20e6, Timeout: time.Second, Start: 10 * time.Second, Stack: 1 << 20, Output: 256 << 10,
			HostCalls: 100, Logs: 4 << 10, Module: 1 << 20,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	i, err := p.New(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		i.Close()
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return i
}

func message(payload string) hostapi.Record {
	return hostapi.Record{
		Hook: hostapi.HookBefore, Codec: hostapi.CodecJSON, Tenant: "acme", User: "ann", Device: "phone", Room: "conv:42",
		Action: "message:send", ID: "m-1", Payload: []byte(payload), Whole: len(payload),
	}
}

func TestExample(t *testing.T) {
	i := instance(t, build(t, "../example/filter.c"), `{"max":12}`)
	for payload, want := range map[string]string{
		`{"text":"hello"}`:                 "",
		`{"text":"no caps"}`:               "",
		`{"text":"hello hello hello"}`:     "data.text: too long",
		`{"te\u0078t":"hello hello hell"}`: "data.text: too long",
		`{"text":1}`:                       "data.text: must be a string",
	} {
		var out guest.Output
		if err := i.Run(&guest.Call{Host: &host{}, Records: []hostapi.Record{message(payload)}}, &out); err != nil {
			t.Fatal(err)
		}
		got := ""
		if len(out.Actions) > 0 {
			got = string(out.Actions[0].A)
		}
		if got != want {
			t.Errorf("%s: %q, not %q", payload, got, want)
		}
	}
}

// TestReadme builds the program of the README, in all ways that build.sh offers.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```c\n(.*?)```").FindSubmatch(text)
	if found == nil {
		t.Fatal("there is no program in README.md")
	}
	source := filepath.Join(t.TempDir(), "plugin.c")
	if err := os.WriteFile(source, found[1], 0o600); err != nil {
		t.Fatal(err)
	}
	for _, options := range [][]string{nil, {"-msimd128"}, {"-DHEDDLE_INPUT=65536", "-DHEDDLE_OUTPUT=4096"}} {
		code := build(t, source, options...)
		if len(code) > 8<<10 {
			t.Errorf("a small plugin has %d bytes", len(code))
		}
		i := instance(t, code, "{}")
		var out guest.Output
		if err := i.Run(&guest.Call{Host: &host{}, Records: []hostapi.Record{message(`{"text":"hello"}`)}}, &out); err != nil {
			t.Fatal(err)
		}
		if len(out.Actions) != 0 {
			t.Errorf("%+v", out.Actions)
		}
	}
}

// BenchmarkPass is what the example's filter costs: an event of another action, and a
// message whose text it looks at.
func BenchmarkPass(b *testing.B) {
	code := build(b, "../example/filter.c")
	other := message("{}")
	other.Action = "message:edit"
	for name, record := range map[string]hostapi.Record{"other": other, "message": message(`{"text":"hello hello hello hello","to":["ann","bob"]}`)} {
		for _, n := range []int{1, hostapi.MaxBatch} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				i := instance(b, code, `{"max":2000}`)
				call := guest.Call{Host: &host{}}
				for range n {
					call.Records = append(call.Records, record)
				}
				var out guest.Output
				b.ReportAllocs()
				for b.Loop() {
					if err := i.Run(&call, &out); err != nil {
						b.Fatal(err)
					}
				}
				private, _ := i.Private() // for information: 0 where it is not known
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/event")
				b.ReportMetric(float64(private)/1024, "private-KiB")
				b.ReportMetric(float64(len(code)), "module-bytes")
			})
		}
	}
}
