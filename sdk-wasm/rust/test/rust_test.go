package test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest"
)

const target = "wasm32-unknown-unknown"

// compiler is the one that build.sh takes; the test is skipped if there is none.
func compiler(t testing.TB) string {
	t.Helper()
	candidates := []string{"rustc", "/usr/bin/rustc"}
	if name := os.Getenv("RUSTC"); name != "" {
		candidates = []string{name}
	}
	for _, name := range candidates {
		dir, err := exec.Command(name, "--print", "target-libdir", "--target", target).Output()
		if err != nil {
			continue
		}
		if core, _ := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "libcore-*.rlib")); len(core) > 0 { // the pattern is fine
			return name
		}
	}
	t.Skipf("no rustc with a library for %s here", target)
	return ""
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

func run(t testing.TB, env []string, program string, args ...string) {
	t.Helper()
	watched(t)
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
}

// build makes a module of a source.
func build(t testing.TB, source string) []byte {
	t.Helper()
	compiler(t)
	out := filepath.Join(t.TempDir(), "plugin.wasm")
	run(t, nil, "../build.sh", source, out, "-Dwarnings")
	return read(t, out)
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// write makes a source.
func write(t testing.TB, text []byte) string {
	t.Helper()
	source := filepath.Join(t.TempDir(), "plugin.rs")
	if err := os.WriteFile(source, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return source
}

func TestUnits(t *testing.T) {
	t.Parallel()
	rustc, err := exec.LookPath("rustc")
	if err != nil {
		t.Skipf("no toolchain for Rust here: %v", err)
	}
	program := filepath.Join(t.TempDir(), "units")
	run(t, nil, rustc, "--edition", "2021", "--test", "--crate-name", "heddle", "--cfg", `feature="std"`, "--cfg", `feature="alloc"`,
		"-Dwarnings", "-O", "-C", "debug-assertions=yes", "../src/lib.rs", "-o", program)
	run(t, []string{"HEDDLE_GOLDEN=../../../hostapi/testdata"}, program)
}

// host answers what the guests here ask for.
type host struct {
	guest.Host
	lines []string
	sum   int64
}

func (h *host) Log(level int, text string) { h.lines = append(h.lines, fmt.Sprint(level, " ", text)) }

func (h *host) Add(_ []byte, delta int64, _ time.Duration) (int64, hostapi.Status) {
	h.sum += delta
	return h.sum, hostapi.OK
}

// instance starts a guest.
func instance(t testing.TB, code []byte, config string) *guest.Instance {
	t.Helper()
	e, err := guest.New(guest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Compile(context.Background(), code, guest.Plan{
		Host: &host{}, Config: []byte(config), Granted: hostapi.Capabilities(), Limits: guest.Limits{
			Memory: 8 << 20, Fuel: 20e6, Timeout: time.Second, Start: 10 * time.Second, Stack: 1 << 20, Output: 256 << 10,
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
		if err := errors.Join(p.Close(), e.Close()); err != nil {
			t.Error(err)
		}
	})
	return i
}

func event(action, payload string) hostapi.Record {
	return hostapi.Record{
		Hook: hostapi.HookBefore, Codec: hostapi.CodecJSON, Tenant: "acme", User: "ann", Device: "phone", Room: "conv:42",
		Action: action, ID: "m-1", Payload: []byte(payload), Whole: len(payload),
	}
}

// first runs an event, and returns what the first action says.
func first(t testing.TB, i *guest.Instance, h *host, r hostapi.Record) string {
	t.Helper()
	var out guest.Output
	if err := i.Run(&guest.Call{Host: h, Records: []hostapi.Record{r}}, &out); err != nil {
		t.Fatal(err)
	}
	if len(out.Actions) == 0 {
		return ""
	}
	return string(out.Actions[0].A)
}

// check runs the example's cases.
func check(t *testing.T, code []byte) {
	t.Helper()
	i := instance(t, code, `{"max":12}`)
	for payload, want := range map[string]string{
		`{"text":"hello"}`:                "",
		`{"text":"hello hell\u00e9"}`:     "",
		`{"text":"hello hello hello"}`:    "data.text: too long",
		`{"te\u0078t":"hello hello hel"}`: "data.text: too long",
		`{"text":1}`:                      "data.text: must be a string",
	} {
		if got := first(t, i, &host{}, event("message:send", payload)); got != want {
			t.Errorf("%s: %q, not %q", payload, got, want)
		}
	}
}

func TestExample(t *testing.T) {
	t.Parallel()
	check(t, build(t, "../examples/filter.rs"))
}

func TestCargo(t *testing.T) {
	t.Parallel()
	rustc := compiler(t)
	cargo := "cargo"
	if filepath.IsAbs(rustc) { // the one that belongs to it
		cargo = filepath.Join(filepath.Dir(rustc), cargo)
	}
	if _, err := exec.LookPath(cargo); err != nil {
		t.Skipf("no cargo here: %v", err)
	}
	made := t.TempDir()
	env := []string{"RUSTC=" + rustc, "CARGO_TARGET_DIR=" + made, "CARGO_HOME=" + filepath.Join(made, "home"), "RUSTFLAGS=-Dwarnings"}
	if ld, err := exec.LookPath("wasm-ld"); err == nil {
		env = append(env, "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER="+ld)
	}
	for _, features := range [][]string{nil, {"--no-default-features"}} {
		args := []string{"build", "--offline", "--locked", "--manifest-path", "../Cargo.toml", "--release", "--target", target, "--example", "filter"}
		run(t, env, cargo, append(args, features...)...)
		check(t, read(t, filepath.Join(made, target, "release", "examples", "filter.wasm")))
	}
}

// TestReadme builds the program of the README, which has std.
func TestReadme(t *testing.T) {
	t.Parallel()
	found := regexp.MustCompile("(?s)```rust\n(.*?)```").FindSubmatch(read(t, "../README.md"))
	if found == nil {
		t.Fatal("there is no program in README.md")
	}
	code := build(t, write(t, found[1]))
	t.Logf("%d bytes", len(code))
	i := instance(t, code, "{}")
	h := &host{}
	for n := range 102 {
		want := ""
		if n >= 100 {
			want = "that is enough for now"
		}
		if got := first(t, i, h, event("message:send", `{"text":"hello"}`)); got != want {
			t.Fatalf("message %d: %q", n, got)
		}
	}
	if got := first(t, i, h, event("message:send", `{"text":"see http://example.com"}`)); got != "data.text: no links" {
		t.Error(got)
	}
}

// TestModes runs the guest of the conformance cases with the allocators of std and of
// the SDK: a panic's text is in the log, and memory that was at hand is enough to be reset.
func TestModes(t *testing.T) {
	t.Parallel()
	text := read(t, "../conformance/conformance.rs")
	for name, source := range map[string][]byte{"std": bytes.Replace(text, []byte("#![no_std]\n"), nil, 1), "alloc": text} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code := build(t, write(t, source))
			t.Logf("%d bytes", len(code))
			i := instance(t, code, "{}")
			for range 3 {
				payload := strings.Repeat("x", 50<<10)
				if got := first(t, i, &host{}, event("case:replace", payload)); got != `{"was":`+payload+`}` {
					t.Fatalf("%d bytes", len(got))
				}
				if !i.CanReset() {
					t.Fatal("it cannot be reset")
				}
				if err := i.Reset(); err != nil {
					t.Fatal(err)
				}
			}
			h := &host{}
			var out guest.Output
			var trap *guest.Trap
			err := i.Run(&guest.Call{Host: h, Records: []hostapi.Record{event("case:trap", "")}}, &out)
			if !errors.As(err, &trap) || trap.Reason != guest.TrapCode {
				t.Error(err)
			}
			if len(h.lines) != 1 || !strings.HasPrefix(h.lines[0], "3 panicked at") || !strings.Contains(h.lines[0], "as asked for") {
				t.Errorf("%q", h.lines)
			}
			if bytes.Contains(code, []byte(os.TempDir())) {
				t.Error("the module names folders of the machine that built it")
			}
		})
	}
}

// BenchmarkPass is what the example's filter costs: an event of another action, and a
// message whose text it looks at.
func BenchmarkPass(b *testing.B) {
	code := build(b, "../examples/filter.rs")
	for name, record := range map[string]hostapi.Record{
		"other": event("message:edit", "{}"), "message": event("message:send", `{"text":"hello hello hello hello","to":["ann","bob"]}`),
	} {
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
