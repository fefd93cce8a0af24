package plugin

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/plugins/wasm"
	"github.com/heddle-rt/heddle/runtime/config"
)

type inspectCmd struct {
	File string `arg:"" help:"NAME.zip or NAME.wasm."`
}

// Help shows examples.
func (*inspectCmd) Help() string {
	return `Of a module alone nothing is known but what it is: it is looked at as if it asked for everything, with the
limits that a manifest has by default.

Examples:
  heddle plugin inspect links.zip
  heddle plugin inspect plugin.wasm`
}

// bare is a manifest for modules that come without one.
const bare = "name: bare\nversion: \"0\"\nbindings: [{}]\ncapabilities: [emit, http, kv, lookup, secrets, timers]\nhosts: [\"*.example.com\"]\n"

// Run prints what is in the file, and at last whether a node would take it.
func (c *inspectCmd) Run() error {
	ctx, cancel := interruptible()
	defer cancel()
	b, whole, err := readBundle(c.File)
	if err != nil {
		return err
	}
	if whole {
		printManifest(b)
	}
	m, err := wasm.Parse(b.Module, wasm.Limits{})
	if err != nil {
		return fmt.Errorf("it is not accepted: %w", err)
	}
	printSections(b.Module)
	printModule(m)
	return judge(ctx, b)
}

// readBundle reads a bundle, or a module with a manifest that asks for everything.
func readBundle(file string) (b *manifest.Bundle, whole bool, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, false, err
	}
	if bytes.HasPrefix(text, []byte("PK")) {
		if b, err = manifest.Unpack(text, manifest.MaxBundle); err != nil {
			return nil, false, fmt.Errorf("%s: %w", file, err)
		}
		return b, true, nil
	}
	m, err := manifest.Read(manifest.FileName, []byte(bare))
	return &manifest.Bundle{Manifest: m, Module: text}, false, err
}

func printManifest(b *manifest.Bundle) {
	m := b.Manifest
	fmt.Printf("manifest\n  %v: %s\n  digest %s\n", m, m.Doc, b.Digest())
	for _, n := range m.Bindings {
		fmt.Printf("  binding: hooks %v, actions %s, rooms %s, priority %d\n", n.Hooks, all(n.Actions), all(n.Rooms), n.Priority)
	}
	for _, a := range m.Actions {
		fmt.Printf("  its own action: %s\n", a.Name)
	}
	payload, _ := m.Payload.MarshalText() // never fails
	fmt.Printf("  payload %s, %d attributes, mode %s, failure %s\n", payload, len(m.Attributes), m.Mode, m.Failure)
	fmt.Printf("  capabilities %v, hosts %v\n", m.Capabilities, m.Hosts)
	fmt.Printf("  limits: memory %v, fuel %d, timeout %v\n", m.Limits.Memory, m.Limits.Fuel, m.Limits.Timeout)
	for _, f := range b.Fixtures {
		fmt.Printf("  fixtures/%s, %d bytes\n", f.Name, len(f.Text))
	}
}

func all(patterns []string) string {
	if len(patterns) == 0 {
		return "all"
	}
	return strings.Join(patterns, " ")
}

var sectionNames = [...]string{"custom", "type", "import", "function", "table", "memory", "global", "export", "start", "element", "code", "data", "data count"}

// printSections lists the sections of a module that was parsed, as they are in the
// file.
func printSections(module []byte) {
	fmt.Printf("module\n  %d bytes\n", len(module))
	for r := wasm.NewReader(module[8:], 8); r.Len() > 0; {
		id := r.U8()
		body := r.Bytes(r.U32())
		name := ""
		if id == 0 {
			name = fmt.Sprintf(" %q", wasm.NewReader(body, 0).Name())
		}
		fmt.Printf("  section %s%s, %d bytes\n", sectionNames[id], name, len(body))
	}
}

func printModule(m *wasm.Module) {
	for _, im := range imports(m) {
		fmt.Printf("  imports %s\n", im)
	}
	for _, e := range m.Exports {
		fmt.Printf("  exports %v %s%s\n", e.Kind, e.Name, signature(m, e))
	}
	for _, size := range m.Memories {
		most := ""
		if size.HasMax {
			most = fmt.Sprintf(", at most %v", config.Size(size.Max)<<16)
		}
		fmt.Printf("  memory  %v at the start%s\n", config.Size(size.Min)<<16, most)
	}
	fmt.Printf("  %d functions, %d globals, %d tables, %d data segments, %d element segments\n",
		len(m.Funcs), len(m.Globals), len(m.Tables), len(m.Datas), len(m.Elems))
}

// signature is a function's type, in the words of the text format.
func signature(m *wasm.Module, e wasm.Export) string {
	own := int(e.Index) - m.ImportedFuncs()
	if e.Kind != wasm.KindFunc || own < 0 || own >= len(m.Funcs) {
		return ""
	}
	list := func(types []wasm.ValType) string {
		names := make([]string, len(types))
		for i, t := range types {
			names[i] = t.String()
		}
		return "(" + strings.Join(names, " ") + ")"
	}
	t := m.Types[m.Funcs[own]]
	return " " + list(t.Params) + " -> " + list(t.Results)
}

// judge says whether a node would take it.
func judge(ctx context.Context, b *manifest.Bundle) error {
	w, err := compile(ctx, b)
	if err != nil {
		return err
	}
	defer w.close()
	fmt.Printf("  capture %s\n", captured(w.program, b))
	return nil
}
