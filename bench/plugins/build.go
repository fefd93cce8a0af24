package plugins

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// built is a guest, or why there is none.
type built struct {
	code []byte
	err  error
}

// errMissing says that a toolchain is not there.
var errMissing = errors.New("cannot be built here")

// guest builds one by its name, once: go/…, c/… or rust/….
func (b *Bench) guest(ctx context.Context, name string) ([]byte, error) {
	if g, ok := b.built[name]; ok {
		return g.code, g.err
	}
	b.logf("building %s", name)
	language, source, _ := strings.Cut(name, "/")
	out := filepath.Join(b.dir, strings.ReplaceAll(name, "/", "-")+".wasm")
	var err error
	switch language {
	case "go":
		err = b.buildGo(ctx, b.own("guests", source), out)
	case "c":
		err = b.buildC(ctx, b.own("guests", "c", source+".c"), out)
	case "rust":
		err = b.buildRust(ctx, b.own("guests", source), out)
	}
	var g built
	if g.err = err; err == nil {
		g.code, g.err = os.ReadFile(out)
	}
	b.built[name] = g
	return g.code, g.err
}

// buildGo builds a folder as a plugin is built.
func (b *Bench) buildGo(ctx context.Context, dir, out string) error {
	if err := there("go"); err != nil {
		return err
	}
	return run(ctx, dir, []string{"GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0"}, "go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", out, ".")
}

// buildC builds a file as a plugin is built.
func (b *Bench) buildC(ctx context.Context, file, out string) error {
	if err := there("clang", "wasm-ld"); err != nil {
		return err
	}
	return run(ctx, "", nil, b.repository("sdk-wasm", "c", "build.sh"), file, out)
}

// buildRust builds a folder with cargo. Its crates are fetched by the first cargo that can,
// and compiled by the first rustc that has a library for wasm32, with its own cargo.
func (b *Bench) buildRust(ctx context.Context, dir, out string) error {
	const target = "wasm32-unknown-unknown"
	home := filepath.Join(b.dir, "cargo")
	crates := filepath.Join(home, "crates")
	if err := os.MkdirAll(home, 0o755); err != nil {
		return err
	}
	pairs := [][2]string{{"cargo", "rustc"}, {"/usr/bin/cargo", "/usr/bin/rustc"}}
	var errs []error
	for _, p := range pairs {
		err := run(ctx, dir, nil, p[0], "vendor", "--locked", crates)
		if errs = append(errs, err); err == nil {
			break
		}
	}
	if errs[len(errs)-1] != nil {
		return fmt.Errorf("%w: %w", errMissing, errors.Join(errs...))
	}
	config := fmt.Sprintf("[source.crates-io]\nreplace-with = \"vendored\"\n[source.vendored]\ndirectory = %q\n", crates)
	if err := os.WriteFile(filepath.Join(home, "config.toml"), []byte(config), 0o644); err != nil {
		return err
	}
	env := []string{"CARGO_HOME=" + home, "CARGO_TARGET_DIR=" + filepath.Join(home, "target")}
	if there("wasm-ld") == nil {
		env = append(env, "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld")
	}
	for _, p := range pairs {
		lib, err := exec.CommandContext(ctx, p[1], "--print", "target-libdir", "--target", target).Output()
		if err != nil {
			continue
		}
		if core, _ := filepath.Glob(filepath.Join(strings.TrimSpace(string(lib)), "libcore-*.rlib")); len(core) == 0 {
			continue
		}
		if err := run(ctx, dir, append(env, "RUSTC="+p[1]), p[0], "build", "--offline", "--locked", "--release", "--target", target); err != nil {
			return err
		}
		return os.Rename(filepath.Join(home, "target", target, "release", "guest.wasm"), out)
	}
	return fmt.Errorf("%w: no rustc of %v has a library for %s", errMissing, pairs, target)
}

// there wants programs in the path.
func there(programs ...string) error {
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			return fmt.Errorf("%w: %w", errMissing, err)
		}
	}
	return nil
}

// run runs a program to its end.
func run(ctx context.Context, dir string, env []string, args ...string) error {
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	c.Dir, c.Env = dir, append(os.Environ(), env...)
	if text, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, text)
	}
	return nil
}
