package meter

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// pair is one module twice. Both are nil if the host does not permit it.
type pair struct{ original, metered api.Module }

// script is one file of tests.
type script struct {
	dir     string
	cfg     Config
	engine  wazero.RuntimeConfig
	slice   int32
	tally   *tally
	host    *host
	plain   wazero.Runtime
	metered wazero.Runtime
	named   map[string]pair
	last    pair
	as      map[int]string // the name that the module of command i will be registered by
	partial bool           // a module was skipped that may have changed what others see
}

func (s *script) run(t *testing.T, file string) {
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var f struct{ Commands []command }
	if err := json.Unmarshal(raw, &f); err != nil {
		t.Fatal(err)
	}
	s.host, s.named = &host{slice: s.slice}, map[string]pair{}
	s.plain, s.metered = runtime(t, s.engine), runtime(t, s.engine)
	s.host.install(t, s.metered)
	lib, err := os.ReadFile(filepath.Join(s.dir, "..", "..", "testdata", "spectest.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []wazero.Runtime{s.plain, s.metered} {
		if _, err := r.InstantiateWithConfig(t.Context(), lib, wazero.NewModuleConfig().WithName("spectest")); err != nil {
			t.Fatal(err)
		}
	}
	s.register(f.Commands)
	for i := range f.Commands {
		s.command(t, i, &f.Commands[i])
	}
}

// register finds out by which name each module will be imported: wazero wants to
// know when the module is instantiated.
func (s *script) register(cs []command) {
	s.as = map[int]string{}
	last, byName := -1, map[string]int{}
	for i, c := range cs {
		switch c.Type {
		case "module":
			last = i
			byName[c.Name] = i
		case "register":
			at := last
			if c.Name != "" {
				at = byName[c.Name]
			}
			s.as[at] = c.As
		}
	}
}

func (s *script) command(t *testing.T, i int, c *command) {
	switch c.Type {
	case "module":
		p, why := s.load(t, c, s.as[i])
		s.last = p
		if c.Name != "" {
			s.named[c.Name] = p
		}
		if why != "" {
			s.tally.add(s.tally.skipped, "module skipped: "+why)
			s.partial = true
		} else {
			s.tally.add(s.tally.done, "module")
		}
	case "assert_return", "action", "assert_trap", "assert_exhaustion":
		s.compare(t, c)
	case "assert_invalid", "assert_malformed":
		if c.ModuleType == "text" {
			return
		}
		if _, err := Rewrite(s.read(t, c), s.cfg); err == nil {
			t.Errorf("line %d: %s was rewritten", c.Line, c.File)
		}
		s.tally.add(s.tally.done, "refused")
	case "assert_uninstantiable", "assert_unlinkable":
		original := s.read(t, c)
		m, err := Rewrite(original, s.cfg)
		if err != nil {
			s.tally.add(s.tally.skipped, "not instantiable, refused already: "+reason(t, c, err))
			s.partial = true
			return
		}
		if _, err := s.plain.InstantiateWithConfig(t.Context(), original, wazero.NewModuleConfig().WithName("")); err == nil {
			s.tally.add(s.tally.skipped, "not instantiable, but the original is, by wazero")
			return
		}
		if _, err := s.metered.InstantiateWithConfig(t.Context(), m.Code, wazero.NewModuleConfig().WithName("")); err == nil {
			t.Errorf("line %d: %s was instantiated", c.Line, c.File)
		}
		s.tally.add(s.tally.done, "not instantiable")
	}
}

func (s *script) read(t *testing.T, c *command) []byte {
	b, err := os.ReadFile(filepath.Join(s.dir, c.File))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// reasons are the classes of refusals that are right: what the host does not permit.
var reasons = []string{
	"imports its memory",
	"imports a table",
	"imports a global",
	"exceeds min table size", // wazero refuses it as not valid, without bulk memory
}

func reason(t *testing.T, c *command, err error) string {
	for _, r := range reasons {
		if strings.Contains(err.Error(), r) {
			return r
		}
	}
	t.Errorf("line %d: %s: refused for no reason that is known: %v", c.Line, c.File, err)
	return "unknown"
}

// load instantiates the original and its rewrite; why says why not.
func (s *script) load(t *testing.T, c *command, as string) (p pair, why string) {
	original := s.read(t, c)
	m, err := Rewrite(original, s.cfg)
	if err != nil {
		return pair{}, reason(t, c, err)
	}
	config := wazero.NewModuleConfig().WithName(as)
	if p.original, err = s.plain.InstantiateWithConfig(t.Context(), original, config); err != nil {
		if strings.Contains(err.Error(), "not instantiated") {
			return pair{}, "imports from a module that was skipped"
		}
		t.Fatalf("line %d: the original: %v", c.Line, err)
	}
	if p.metered, err = s.metered.InstantiateWithConfig(t.Context(), m.Code, config); err != nil {
		t.Fatalf("line %d: rewritten: %v", c.Line, err)
	}
	return p, ""
}

// compare does the same to both modules and compares what comes out.
func (s *script) compare(t *testing.T, c *command) {
	p := s.last
	if c.Action.Module != "" {
		p = s.named[c.Action.Module]
	}
	if p.original == nil {
		s.tally.add(s.tally.skipped, "command on a skipped module")
		return
	}
	s.host.begin(p.metered)
	want, wantErr := c.do(t.Context(), p.original)
	got, gotErr := c.do(t.Context(), p.metered)
	s.tally.add(s.tally.done, c.Type)
	switch {
	case c.Type == "assert_exhaustion":
		if wantErr == nil || gotErr == nil {
			t.Errorf("line %d: %s: not exhausted: %v, %v", c.Line, c.Action.Field, wantErr, gotErr)
		}
	case (c.Type == "assert_trap") != (gotErr != nil) && !s.partial:
		t.Errorf("line %d: %s: %v", c.Line, c.Action.Field, gotErr)
	case firstLine(wantErr) != firstLine(gotErr):
		t.Errorf("line %d: %s: traps with %q, the original with %q", c.Line, c.Action.Field, firstLine(gotErr), firstLine(wantErr))
	case !slices.Equal(want, got):
		t.Errorf("line %d: %s(%s): %x, the original %x", c.Line, c.Action.Field, c.Action.Args, got, want)
	}
	if gotErr == nil {
		if d := global(p.metered, ExportDepth).Get(); d != 0 {
			t.Errorf("line %d: %s: the depth is %d after the call", c.Line, c.Action.Field, d)
		}
	}
}

func firstLine(err error) string {
	if err == nil {
		return ""
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
