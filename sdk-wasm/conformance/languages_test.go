package conformance

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// language is one that has an SDK.
type language struct {
	name   string
	sdk    string // folder with build.sh
	source string // of the guest
	tools  func() error
	build  func() ([]byte, error) // once
}

// languages lists them all.
var languages = func() []*language {
	list := []*language{
		{name: "go", sdk: "../go", source: "guest/go", tools: inPath("go")},
		{name: "c", sdk: "../c", source: "../c/conformance.c", tools: inPath("clang", "wasm-ld")},
		{name: "rust", sdk: "../rust", source: "../rust/conformance", tools: rustc},
		{name: "as", sdk: "../as", source: "../as/conformance.ts", tools: asc},
	}
	for _, l := range list {
		l.build = sync.OnceValues(func() ([]byte, error) { return l.run(l.source) })
	}
	return list
}()

// missing says that a language cannot be built here.
type missing struct{ error }

// run builds a guest.
func (l *language) run(source string) ([]byte, error) {
	for _, path := range []string{filepath.Join(l.sdk, "build.sh"), source} {
		if _, err := os.Stat(path); err != nil {
			return nil, missing{err}
		}
		if err := visit(filepath.Dir(path)); err != nil {
			return nil, err
		}
	}
	if err := l.tools(); err != nil {
		return nil, missing{err}
	}
	dir, err := os.MkdirTemp("", "conformance")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, l.name+".wasm")
	if text, err := exec.Command(filepath.Join(l.sdk, "build.sh"), source, out).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s/build.sh %s: %w\n%s", l.sdk, source, err, text)
	}
	return os.ReadFile(out)
}

// visit looks at all files of a folder, so that the go command knows what a test's
// result depends on: or else it would take it from its cache.
func visit(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.Name() == "node_modules" || d.Name() == "target":
			return filepath.SkipDir
		}
		_, err = os.Stat(path)
		return err
	})
}

// inPath wants programs.
func inPath(names ...string) func() error {
	return func() error {
		for _, name := range names {
			if _, err := exec.LookPath(name); err != nil {
				return err
			}
		}
		return nil
	}
}

// rustc wants a compiler with a library for wasm32: $RUSTC, or else that of the path or
// Debian's, as build.sh does.
func rustc() error {
	candidates := []string{"rustc", "/usr/bin/rustc"}
	if name := os.Getenv("RUSTC"); name != "" {
		candidates = []string{name}
	}
	for _, name := range candidates {
		dir, err := exec.Command(name, "--print", "target-libdir", "--target", "wasm32-unknown-unknown").Output()
		if err != nil {
			continue
		}
		if core, _ := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "libcore-*.rlib")); len(core) > 0 {
			return nil
		}
	}
	return fmt.Errorf("no rustc of %q has a library for wasm32-unknown-unknown", candidates)
}

// asc wants AssemblyScript's compiler where npm has put it.
func asc() error {
	if err := inPath("node")(); err != nil {
		return err
	}
	_, err := os.Stat("../as/node_modules/.bin/asc")
	return err
}

// required are the languages that must be there.
func required(name string) bool {
	return slices.Contains(strings.Split(os.Getenv("HEDDLE_SDKS"), ","), name)
}

// code is the language's guest; the test is skipped if it cannot be built here.
func (l *language) code(t testing.TB) []byte {
	t.Helper()
	code, err := l.build()
	var gone missing
	switch {
	case errors.As(err, &gone) && !required(l.name):
		t.Skipf("no SDK of %s here: %v", l.name, err)
	case err != nil:
		t.Fatal(err)
	}
	return code
}

// everywhere runs a test for each language.
func everywhere(t *testing.T, test func(t *testing.T, l *language)) {
	for _, l := range languages {
		t.Run(l.name, func(t *testing.T) { test(t, l) })
	}
}
