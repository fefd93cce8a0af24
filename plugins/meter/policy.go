package meter

import (
	"fmt"
	"sort"
	"strings"

	"github.com/heddle-rt/heddle/plugins/wasm"
)

// prefix begins the names that only the rewriter may use: the module of the
// functions that it imports, and the exports that it adds.
const prefix = "heddle:"

// nameOf is the name of function i, or empty.
func nameOf(m *wasm.Module, i uint32) string {
	at := sort.Search(len(m.Names), func(k int) bool { return m.Names[k].Index >= i })
	if at < len(m.Names) && m.Names[at].Index == i {
		return m.Names[at].Name
	}
	return ""
}

func refuse(section, format string, args ...any) error {
	return &wasm.Error{Section: section, Func: wasm.NoFunc, Offset: -1, Msg: fmt.Sprintf(format, args...)}
}

// admit holds a module to what the host permits, beyond the numbers that the
// reader has held already, and cuts its memory and tables to their limits.
func admit(m *wasm.Module, cfg *Config) error {
	for i := range m.Imports {
		if err := admitImport(&m.Imports[i]); err != nil {
			return err
		}
	}
	funcs := m.ImportedFuncs() + len(m.Funcs)
	for i := range m.Exports {
		e := &m.Exports[i]
		if strings.HasPrefix(e.Name, prefix) {
			return refuse("export", "exports %q: names that begin with %q are the host's: rename it", e.Name, prefix)
		}
		n := [...]int{wasm.KindFunc: funcs, wasm.KindTable: len(m.Tables), wasm.KindMemory: len(m.Memories), wasm.KindGlobal: len(m.Globals)}
		if uint64(e.Index) >= uint64(n[e.Kind]) {
			return refuse("export", "exports %q: %s %d is not there", e.Name, e.Kind, e.Index)
		}
	}
	if m.HasStart && uint64(m.Start) >= uint64(funcs) {
		return refuse("start", "function %d is not there", m.Start)
	}
	if err := admitConstants(m, funcs); err != nil {
		return err
	}
	return admitSizes(m, cfg)
}

func admitImport(im *wasm.Import) error {
	switch {
	case strings.HasPrefix(im.Module, prefix):
		return refuse("import", "imports %q from %q: modules that begin with %q are the host's own: "+
			"a plugin imports host functions from \"heddle\"", im.Name, im.Module, prefix)
	case im.Kind == wasm.KindMemory:
		return refuse("import", "imports its memory (%s.%s): define and export it instead (clang: drop --import-memory)", im.Module, im.Name)
	case im.Kind != wasm.KindFunc:
		return refuse("import", "imports a %s (%s.%s): only functions can be imported (clang: drop --import-table and -fPIC)", im.Kind, im.Module, im.Name)
	}
	return nil
}

// admitConstants checks the indices outside of code.
func admitConstants(m *wasm.Module, funcs int) error {
	ok := func(c *wasm.Const) bool {
		// A global.get would need an imported global, and there are none.
		return c.Op != wasm.OpGlobalGet && (c.Op != wasm.OpRefFunc || uint64(c.Index) < uint64(funcs))
	}
	for i := range m.Globals {
		if !ok(&m.Globals[i].Init) {
			return refuse("global", "global %d begins with a function or global that is not there", i)
		}
	}
	for i := range m.Elems {
		e := &m.Elems[i]
		if e.Mode == wasm.Active && (!ok(&e.Offset) || uint64(e.Table) >= uint64(len(m.Tables))) {
			return refuse("element", "segment %d has a place that is not there", i)
		}
		for k := range e.Exprs {
			if !ok(&e.Exprs[k]) {
				return refuse("element", "segment %d names a function or global that is not there", i)
			}
		}
		for _, f := range e.Funcs {
			if uint64(f) >= uint64(funcs) {
				return refuse("element", "segment %d names function %d, which is not there", i, f)
			}
		}
	}
	for i := range m.Datas {
		if d := &m.Datas[i]; d.Mode == wasm.Active && !ok(&d.Offset) {
			return refuse("data", "segment %d has a place that is not there", i)
		}
	}
	return nil
}

// admitSizes refuses what starts too large, and lowers how far it may grow.
func admitSizes(m *wasm.Module, cfg *Config) error {
	const most = 1 << 16 // pages of a 32-bit memory
	pages := uint32(cfg.Memory / PageSize)
	for i := range m.Memories {
		s := &m.Memories[i]
		switch {
		case s.Min > most || s.HasMax && (s.Max > most || s.Max < s.Min):
			return refuse("memory", "has a minimum of %d and a maximum of %d pages, which is not valid", s.Min, s.Max)
		case s.Min > pages:
			return refuse("memory", "starts with %d pages of 64 KiB, the limit is %d (%s): use less, or ask for a larger limit "+
				"(clang: -Wl,--initial-memory, -z stack-size; large static arrays count too)", s.Min, pages, cfg.Memory)
		}
		s.Max = least(s, pages)
		s.HasMax = true
	}
	for i := range m.Tables {
		s := &m.Tables[i].Size
		switch {
		case s.HasMax && s.Max < s.Min:
			return refuse("table", "table %d has a maximum below its minimum", i)
		case s.Min > uint32(cfg.Table):
			return refuse("table", "table %d starts with %d elements, the limit is %d: use fewer indirect functions", i, s.Min, cfg.Table)
		}
		s.Max = least(s, uint32(cfg.Table))
		s.HasMax = true
	}
	return nil
}

// least is the smaller one of the size's own maximum, if it has one, and limit.
func least(s *wasm.Size, limit uint32) uint32 {
	if s.HasMax {
		return min(s.Max, limit)
	}
	return limit
}
