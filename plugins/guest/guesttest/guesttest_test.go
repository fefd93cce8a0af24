package guesttest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/wasm"
)

// TestModules: what is made is a module with what the contract asks for, whatever was
// asked beside it.
func TestModules(t *testing.T) {
	changed := false
	for name, g := range map[string]interface{ Module() []byte }{
		"nothing": Guest{}, "a plugin": Plugin{}, "that refuses": Refuses("no"), "that says": Says("x"), "all": Plugin{Logs: "x", Traps: true, Imports: "fetch", Ballast: []byte("heavy")},
		"a guest": Guest{Imports: []string{"now", WASI + "random_get"}, Pages: 2, Most: 3, Text: "x", Repeat: 2, Actions: []hostapi.Action{{Kind: hostapi.Pass}},
			Start: Code{}.Forever(nil), More: []Function{{Name: hostapi.ExportSeed, Params: []wasm.ValType{wasm.I64}}, {Body: Code{}.Call(7)}}, Change: func(*wasm.Module) { changed = true }},
	} {
		for range 10 {
			if !bytes.Equal(g.Module(), g.Module()) {
				t.Fatalf("%s: two modules of one guest differ, as their digests do", name)
			}
		}
		m, err := wasm.Parse(g.Module(), wasm.Limits{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var exports []string
		for _, e := range m.Exports {
			exports = append(exports, e.Name)
		}
		for _, want := range []string{hostapi.ExportMemory, hostapi.ExportABI, hostapi.ExportBuffers, hostapi.ExportInit, hostapi.ExportBatch} {
			if !slices.Contains(exports, want) {
				t.Errorf("%s: exports %v, want %s", name, exports, want)
			}
		}
		if name == "a guest" && (!changed || len(m.Funcs) != 7 || !m.HasStart || m.Start != 8 || len(m.Imports) != 2 || m.Exports[5].Index != 6) {
			t.Errorf("%+v", m)
		}
	}
	g := Guest{Imports: []string{"now"}}
	if g.Index(1) != 6 {
		t.Errorf("the second of its own is function %d", g.Index(1))
	}
}

// TestGo builds what the sources say now, by several at once, and leaves nothing beside.
func TestGo(t *testing.T) {
	cache, source := t.TempDir(), t.TempDir()
	t.Setenv("GOCACHE", goCache(t)) // which would be in this folder too
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("HOME", cache)
	t.Setenv("LocalAppData", cache)
	write := func(word string) {
		for name, text := range map[string]string{
			"go.mod":  "module guest\n\ngo 1.24\n",
			"main.go": "package main\n\n//go:wasmexport word\nfunc word() int32 { println(\"" + word + "\"); return 1 }\n\nfunc main() {}\n",
		} {
			if err := os.WriteFile(filepath.Join(source, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, word := range []string{"heard first", "heard then"} {
		write(word)
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				code, err := Go(source)
				if err != nil || !bytes.HasPrefix(code, []byte("\x00asm")) || !bytes.Contains(code, []byte(word)) {
					t.Errorf("%s: %d bytes, %v", word, len(code), err)
				}
			})
		}
		all.Wait()
	}
	dir, err := Cache("built")
	if err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 || !strings.HasPrefix(dir, cache) {
		t.Errorf("%s: %v, %v", dir, left, err)
	}
	write("\" nonsense")
	if _, err := Go(source); err == nil || !strings.Contains(err.Error(), "main.go:4") {
		t.Errorf("what cannot be built: %v", err)
	}
}

// goCache is where the go command keeps what it has compiled.
func goCache(t *testing.T) string {
	t.Helper()
	if dir := os.Getenv("GOCACHE"); dir != "" {
		return dir
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return t.TempDir()
	}
	return filepath.Join(base, "go-build")
}

// TestTrim: what is old goes, and the oldest of too much; not what is new.
func TestTrim(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		bytes int64
		age   time.Duration
		left  string
	}{
		"all fits":      {1000, 1000 * time.Hour, "0 1 2 3 4 5 6 7 8 9 build-1.part"},
		"just":          {1000, 9*time.Hour + 30*time.Minute, "0 1 2 3 4 5 6 7 8 9 build-1.part"},
		"too old":       {1000, 5*time.Hour + 30*time.Minute, "0 1 2 3 4 5 build-1.part"},
		"too much":      {320, 1000 * time.Hour, "0 1 2 build-1.part"},
		"new is spared": {0, time.Nanosecond, "0 1 build-1.part"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for i := range 10 { // hours old
				touch(t, filepath.Join(dir, "deep", fmt.Sprint(i)), now.Add(-time.Duration(i)*time.Hour))
			}
			for i := range 2 {
				part := filepath.Join(dir, "deep", fmt.Sprintf("build-%d.part", 2-i))
				touch(t, filepath.Join(part, "guest.wasm"), now)
				if err := os.Chtimes(part, now, now.Add(-time.Duration(61-30*i)*time.Minute)); err != nil {
					t.Fatal(err)
				}
			}
			if err := trim(dir, c.bytes, c.age, now); err != nil {
				t.Fatal(err)
			}
			var left []string
			all, _ := os.ReadDir(filepath.Join(dir, "deep"))
			for _, e := range all {
				left = append(left, e.Name())
			}
			if got := strings.Join(left, " "); got != c.left {
				t.Errorf("left: %s, want %s", got, c.left)
			}
		})
	}
	if err := trim(filepath.Join(t.TempDir(), "none"), 0, 0, now); err != nil {
		t.Error(err)
	}
}

// touch makes a file of 100 bytes.
func touch(t *testing.T, name string, made time.Time) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, make([]byte, 100), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(name, made, made); err != nil {
		t.Fatal(err)
	}
}
