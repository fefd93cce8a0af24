package plugins

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestMain keeps what the tests build, and the code that heddle compiles, for one run.
func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "heddle-examples-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	cache, err := exec.Command("go", "env", "GOCACHE").Output() // it would follow XDG_CACHE_HOME
	for name, value := range map[string]string{"GOCACHE": strings.TrimSpace(string(cache)), "GOPROXY": "off", cacheHome: dir} {
		err = errors.Join(err, os.Setenv(name, value))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

const cacheHome = "XDG_CACHE_HOME"

// heddle builds the binary, without the race detector even if the tests have it: to
// compile modules takes ten times as long with it.
var heddle = sync.OnceValues(func() (path string, err error) {
	path = filepath.Join(os.Getenv(cacheHome), "bin")
	if out, err := exec.Command("go", "build", "-race=false", "-o", path, "../../cmd/heddle").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ../../cmd/heddle: %w\n%s", err, out)
	}
	return path, nil
})

// languages say of each what is missing here to build it.
var languages = map[string]func() error{"go": inPath("go"), "c": inPath("clang", "wasm-ld"), "rust": rustc, "as": asc}

// need skips a test of an example that cannot be built here.
func (e *example) need(t testing.TB) {
	t.Helper()
	language := e.manifest.Language
	missing := languages[language]
	if missing == nil {
		t.Fatalf("%s: there is no language %q", e.dir, language)
	}
	err := missing()
	switch {
	case err != nil && slices.Contains(strings.Split(os.Getenv("HEDDLE_SDKS"), ","), language):
		t.Fatalf("HEDDLE_SDKS wants %s: %v", language, err)
	case err != nil:
		t.Skipf("no toolchain for %s here: %v", language, err)
	}
}

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
// Debian's, as heddle plugin build does.
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
			return inPath("cargo")()
		}
	}
	return fmt.Errorf("no rustc of %q has a library for wasm32-unknown-unknown", candidates)
}

// asc wants AssemblyScript's compiler where npm has put it for the SDK.
func asc() error {
	if err := inPath("node")(); err != nil {
		return err
	}
	_, err := os.Stat("../../sdk-wasm/as/node_modules/assemblyscript")
	return err
}
