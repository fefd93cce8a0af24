package plugin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// language is one that heddle plugin build knows the tools of.
type language struct {
	name  string
	sdk   string // folder of the SDK in a project
	build func(ctx context.Context, dir, out string) error
}

var languages = map[string]language{
	"go":   {"Go", "heddle", buildGo},
	"rust": {"Rust", "heddle", buildRust},
	"as":   {"AssemblyScript", "lib/@heddle-rt/plugin", buildAS},
	"c":    {"C", "heddle", buildC},
}

// module builds the project's module to a file.
func (p *project) module(ctx context.Context, out string) error {
	if command := p.manifest.Build; command != "" {
		if err := run(ctx, p.dir, []string{"OUT=" + out}, "sh", "-c", command); err != nil {
			return fmt.Errorf("build of %s: %w", filepath.Join(p.dir, "heddle-plugin.yaml"), err)
		}
		if _, err := os.Stat(out); err != nil {
			return fmt.Errorf("build of %s: the command %q has not written the file that $OUT names", filepath.Join(p.dir, "heddle-plugin.yaml"), command)
		}
		return nil
	}
	l, known := languages[p.manifest.Language]
	if !known {
		return errors.New("the manifest says neither language (go, rust, as or c) nor build, a command that writes the module to $OUT")
	}
	return l.build(ctx, p.dir, out)
}

// run runs a tool in a folder. Its error has what the tool has written.
func run(ctx context.Context, dir string, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	said, err := cmd.CombinedOutput()
	return failed(name, said, err)
}

func failed(tool string, said []byte, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w\n%s", filepath.Base(tool), err, bytes.TrimSpace(said))
}

// missing says how to get a tool.
func missing(tool, how string) error { return fmt.Errorf("there is no %s: %s", tool, how) }

func buildGo(ctx context.Context, dir, out string) error {
	tool, err := exec.LookPath("go")
	if err != nil {
		return missing("go", "install Go 1.24 or later, https://go.dev/dl")
	}
	return run(ctx, dir, []string{"GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOWORK=off"}, tool,
		"build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", out, ".")
}

const rustTarget = "wasm32-unknown-unknown"

// rustc is a compiler with a library for the target: $RUSTC, or else that of the
// path or the system's.
func rustc(ctx context.Context) (string, error) {
	candidates := []string{"rustc", "/usr/bin/rustc"}
	if name := os.Getenv("RUSTC"); name != "" {
		candidates = []string{name}
	}
	for _, name := range candidates {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		dir, err := exec.CommandContext(ctx, path, "--print", "target-libdir", "--target", rustTarget).Output()
		if err != nil {
			continue
		}
		if core, _ := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), "libcore-*.rlib")); len(core) > 0 {
			return path, nil
		}
	}
	return "", missing("rustc with a library for "+rustTarget,
		"rustup target add "+rustTarget+", or on Debian: apt-get install cargo rustc libstd-rust-dev-wasm32 lld. $RUSTC names another compiler")
}

func buildRust(ctx context.Context, dir, out string) error {
	compiler, err := rustc(ctx)
	if err != nil {
		return err
	}
	cargo := filepath.Join(filepath.Dir(compiler), "cargo") // they belong together
	if _, err := os.Stat(cargo); err != nil {
		if cargo, err = exec.LookPath("cargo"); err != nil {
			return missing("cargo", "install Rust, https://rustup.rs, or on Debian: apt-get install cargo")
		}
	}
	env := []string{"RUSTC=" + compiler}
	const prefix = "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_"
	if _, set := os.LookupEnv(prefix + "RUSTFLAGS"); !set {
		env = append(env, prefix+"RUSTFLAGS=-C target-feature=+bulk-memory,+nontrapping-fptoint")
	}
	if linker, err := exec.LookPath("wasm-ld"); err == nil { // Debian's rustc has none of its own
		env = append(env, prefix+"LINKER="+linker)
	}
	cmd := exec.CommandContext(ctx, cargo, "build", "--offline", "--release", "--target", rustTarget, "--message-format=json-render-diagnostics")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var said bytes.Buffer
	cmd.Stderr = &said
	made, err := cmd.Output()
	if err != nil {
		return failed(cargo, said.Bytes(), err)
	}
	module := artifact(made)
	if module == "" {
		return errors.New(`cargo has made no module: Cargo.toml needs [lib] with crate-type = ["cdylib"]`)
	}
	return copyFile(module, out)
}

// artifact is the module among what cargo says that it has made.
func artifact(messages []byte) (module string) {
	lines := bufio.NewScanner(bytes.NewReader(messages))
	lines.Buffer(nil, len(messages)+1)
	for lines.Scan() {
		var m struct {
			Reason    string
			Filenames []string
		}
		if json.Unmarshal(lines.Bytes(), &m) != nil || m.Reason != "compiler-artifact" {
			continue
		}
		for _, file := range m.Filenames {
			if strings.HasSuffix(file, ".wasm") {
				module = file // the project's own comes last
			}
		}
	}
	return module
}

func buildAS(ctx context.Context, dir, out string) error {
	node, err := exec.LookPath("node")
	if err != nil {
		return missing("node", "install Node 20 or later, https://nodejs.org")
	}
	const compiler = "node_modules/assemblyscript/bin/asc.js"
	at, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	for {
		if _, err := os.Stat(filepath.Join(at, compiler)); err == nil {
			return run(ctx, dir, nil, node, filepath.Join(at, compiler), "--outFile", out)
		}
		up := filepath.Dir(at)
		if up == at {
			return missing("assemblyscript", "run npm install in "+dir+"; it brings the compiler, which is all that comes from npm")
		}
		at = up
	}
}

func buildC(ctx context.Context, dir, out string) error {
	clang, err := exec.LookPath(environ("CLANG", "clang"))
	if err != nil {
		return missing("clang", "on Debian: apt-get install clang lld. $CLANG names another one")
	}
	linker, err := exec.LookPath(environ("WASM_LD", "wasm-ld"))
	if err != nil {
		return missing("wasm-ld", "on Debian: apt-get install lld. $WASM_LD names another one")
	}
	sources, err := filepath.Glob(filepath.Join(dir, "*.c"))
	if err != nil || len(sources) == 0 {
		return fmt.Errorf("there is no *.c in %s", dir)
	}
	slices.Sort(sources)
	made, err := os.MkdirTemp("", "heddle-c-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(made) }()
	// In two steps: clang would call wasm-opt if it is there, which may not know bulk
	// memory. The stack comes first, so that an overflow traps.
	link := []string{"--no-entry", "--stack-first", "-z", "stack-size=65536", "--gc-sections", "--strip-all", "-o", out}
	for i, source := range sources {
		object := filepath.Join(made, fmt.Sprintf("%d.o", i))
		if err := run(ctx, dir, nil, clang, "--target=wasm32", "-std=c11", "-O3", "-ffreestanding", "-fvisibility=hidden", "-mbulk-memory",
			"-mnontrapping-fptoint", "-msign-ext", "-Wall", "-Wextra", "-Iheddle", "-c", filepath.Base(source), "-o", object); err != nil {
			return err
		}
		link = append(link, object)
	}
	return run(ctx, dir, nil, linker, link...)
}

func environ(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o644)
}
