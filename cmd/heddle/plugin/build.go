package plugin

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/heddle-rt/heddle/builtin"
	"github.com/heddle-rt/heddle/plugins/fixture"
	"github.com/heddle-rt/heddle/plugins/guest"
	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/plugins/meter"
	"github.com/heddle-rt/heddle/plugins/wasm"
	route "github.com/heddle-rt/heddle/runtime/plugin"
	"github.com/heddle-rt/heddle/runtime/session"
)

// folder is the argument of commands on a plugin's folder.
type folder struct {
	Dir string `arg:"" optional:"" default:"." help:"The plugin's folder."`
}

type buildCmd struct {
	folder
	Out string `short:"o" placeholder:"FILE" help:"The bundle; NAME.zip in the folder if it is left out."`
}

// Help shows examples.
func (*buildCmd) Help() string {
	return `Runs the language's own tools (go; cargo; asc; clang and wasm-ld), or the command that the manifest names
under build, with the file to write in $OUT. Then the module is checked, compiled and started as a
node does it, and the fixtures are run.

Examples:
  heddle plugin build
  heddle plugin build links -o links.zip`
}

// Run builds, and prints what was built.
func (c *buildCmd) Run() error {
	ctx, cancel := interruptible()
	defer cancel()
	w, err := assemble(ctx, c.Dir)
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.passes(ctx); err != nil {
		return err
	}
	packed, err := w.pack()
	if err != nil {
		return err
	}
	m := w.bundle.Manifest
	out := c.Out
	if out == "" {
		out = filepath.Join(c.Dir, m.Name+".zip")
	}
	if err := os.WriteFile(out, packed, 0o644); err != nil {
		return err
	}
	module, err := wasm.Parse(w.bundle.Module, wasm.Limits{})
	if err != nil {
		return err
	}
	fmt.Printf("%s is %v\n", out, m)
	fmt.Printf("  bundle    %d bytes, with %d files of fixtures\n", len(packed), len(w.bundle.Fixtures))
	fmt.Printf("  module    %d bytes, %d functions, compiled and started in %v\n", len(w.bundle.Module), len(module.Funcs), w.took.Round(time.Millisecond))
	fmt.Printf("  imports   %s\n", strings.Join(imports(module), ", "))
	fmt.Printf("  capture   %s\n", captured(w.program, w.bundle))
	return nil
}

// work is a bundle that a node would take, compiled.
type work struct {
	engine  *guest.Engine
	bundle  *manifest.Bundle
	program *guest.Program
	took    time.Duration // to compile and start it
}

func (w *work) close() {
	if w.program != nil {
		_ = w.program.Close() // nobody uses it any more; likewise below
	}
	_ = w.engine.Close()
}

// passes runs the fixtures.
func (w *work) passes(ctx context.Context) error {
	if err := fixture.RunOn(w.engine)(ctx, w.program, w.bundle); err != nil {
		return fmt.Errorf("its fixtures fail, and so no node would take it:\n%w", err)
	}
	for _, text := range unasked(w.bundle) {
		fmt.Fprintln(os.Stderr, text)
	}
	return nil
}

// pack is the bundle as it travels, and as a node can read it.
func (w *work) pack() ([]byte, error) {
	packed, err := w.bundle.Pack()
	if err != nil {
		return nil, err
	}
	_, err = manifest.Unpack(packed, manifest.MaxBundle)
	return packed, err
}

// assemble builds a folder's bundle, and compiles it.
func assemble(ctx context.Context, dir string) (*work, error) {
	p, err := open(dir)
	if err != nil {
		return nil, err
	}
	made, err := os.MkdirTemp("", "heddle-build-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(made) }()
	out := filepath.Join(made, manifest.ModuleName)
	if err := p.module(ctx, out); err != nil {
		return nil, err
	}
	module, err := os.ReadFile(out)
	if err != nil {
		return nil, fmt.Errorf("the build has not written a module: %w", err)
	}
	return compile(ctx, &manifest.Bundle{Manifest: p.manifest, Text: p.text, Module: module, Fixtures: p.fixtures})
}

// compile compiles a bundle and starts an instance, as a deploy does.
func compile(ctx context.Context, b *manifest.Bundle) (*work, error) {
	engine, err := guest.New(guest.Config{Cache: cacheDir()})
	if err != nil {
		return nil, err
	}
	w := &work{engine: engine, bundle: b}
	if err := w.start(ctx); err != nil {
		w.close()
		return nil, fmt.Errorf("%v is not accepted: %w", b.Manifest, err)
	}
	return w, nil
}

func (w *work) start(ctx context.Context) (err error) {
	if err := owned(w.bundle.Manifest); err != nil {
		return err
	}
	began := time.Now()
	if w.program, err = fixture.Compile(ctx, w.engine, w.bundle, nil); err != nil {
		return err
	}
	i, err := w.program.New(ctx)
	if err != nil {
		return err
	}
	i.Close()
	w.took = time.Since(began)
	return nil
}

// cacheDir is where compiled code is kept from run to run: the user's own folder,
// since it is run as it is found there. "" if there is none.
func cacheDir() string {
	base, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	dir := filepath.Join(base, "heddle", "compiled")
	if os.MkdirAll(dir, 0o700) != nil {
		return ""
	}
	return dir
}

// load reads a bundle's file, or builds a folder.
func load(ctx context.Context, path string) (*work, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return assemble(ctx, path)
	}
	packed, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	b, err := manifest.Unpack(packed, manifest.MaxBundle)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return compile(ctx, b)
}

// owned refuses actions that no plugin can own.
func owned(m *manifest.Manifest) error {
	known := route.New(route.Deps{Actions: append(session.Actions(), builtin.All(builtin.Deps{})...)})
	for i := range m.Actions {
		if name := m.Actions[i].Name; known.Taken(name) {
			return fmt.Errorf("the action %s is a builtin's, or one of its nouns: choose another noun", name)
		}
	}
	return nil
}

// imports are what a module imports, by where from.
func imports(m *wasm.Module) []string {
	by := map[string][]string{}
	for i := range m.Imports {
		by[m.Imports[i].Module] = append(by[m.Imports[i].Module], m.Imports[i].Name)
	}
	var out []string
	for module, names := range by {
		slices.Sort(names)
		out = append(out, module+" ("+strings.Join(names, " ")+")")
	}
	slices.Sort(out)
	if len(out) == 0 {
		return []string{"none"}
	}
	return out
}

// captured says whether instances begin from an image, of a bundle that was compiled.
func captured(p *guest.Program, b *manifest.Bundle) string {
	if p.Captured() {
		return "yes: instances begin from an image of the initialised guest"
	}
	const no = "no, each instance is initialised anew"
	// It was validated when it was compiled, and is not run.
	cfg := meter.Default(func([]byte) error { return nil })
	cfg.Memory, cfg.Depth, cfg.Module, cfg.Segments = 4<<30, b.Manifest.Limits.Stack, b.Manifest.Limits.Module, 1e6
	m, err := meter.Rewrite(b.Module, cfg)
	if err != nil {
		return no
	}
	return fmt.Sprintf("%s: %v", no, m.Info.Snapshot())
}
