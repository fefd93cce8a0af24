package meter

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/heddle-rt/heddle/plugins/wasm"
)

// Info tells the host of a module what it has to know besides its code. All of it
// is about the original: what the rewriter adds is not in it, and functions have
// the indices of the original.
type Info struct {
	Imports   []Import
	Exports   []Export
	Functions int // that the module defines
	HasStart  bool
	Start     uint32
	HasMemory bool
	Memory    wasm.Size // pages of 64 KiB; the maximum as it was cut to the limit
	Tables    []wasm.Table
	Globals   []Global // the mutable ones

	ActiveData, PassiveData, Elements int // segments

	ChangesTables bool // some instruction does
	DropsSegments bool // likewise
}

// Import is a function that the host must provide.
type Import struct {
	Module, Name string
	Type         wasm.FuncType
}

// Export is something that the host may use.
type Export struct {
	Name  string
	Kind  wasm.Kind
	Index uint32
	Type  wasm.FuncType // of a function
}

// Global is a mutable global. Export is the name by which it can be read and set
// in the rewritten module.
type Global struct {
	Index  uint32
	Type   wasm.ValType
	Export string
}

// Snapshot is nil if the module can be continued from an image of its memory and
// globals alone (Module.Preinit), or says why not.
func (i *Info) Snapshot() error {
	switch {
	case i.ChangesTables:
		return errors.New("the module changes its tables, which are no part of a snapshot")
	case i.DropsSegments:
		return errors.New("the module drops segments, which a snapshot would bring back")
	}
	for _, g := range i.Globals {
		switch g.Type {
		case wasm.I32, wasm.I64, wasm.F32, wasm.F64:
		default:
			return fmt.Errorf("global %d is a mutable %s, which cannot be captured", g.Index, g.Type)
		}
	}
	return nil
}

// info is taken before the module is changed.
func (r *rewriter) info() Info {
	m := r.m
	info := Info{
		Functions: len(m.Funcs), HasStart: m.HasStart, Start: m.Start, Tables: m.Tables, Elements: len(m.Elems),
		ChangesTables: r.uses.changesTables, DropsSegments: r.uses.dropsSegments,
	}
	if info.HasMemory = len(m.Memories) > 0; info.HasMemory {
		info.Memory = m.Memories[0]
	}
	for i := range m.Imports {
		im := &m.Imports[i]
		info.Imports = append(info.Imports, Import{im.Module, im.Name, m.Types[im.Func]})
	}
	for _, e := range m.Exports {
		export := Export{Name: e.Name, Kind: e.Kind, Index: e.Index}
		if e.Kind == wasm.KindFunc {
			export.Type = r.funcTypeOf(e.Index)
		}
		info.Exports = append(info.Exports, export)
	}
	for i := range m.Globals {
		if g := &m.Globals[i]; g.Mutable {
			info.Globals = append(info.Globals, Global{uint32(i), g.Type, exportGlobal + strconv.Itoa(i)})
		}
	}
	for i := range m.Datas {
		if m.Datas[i].Mode == wasm.Active {
			info.ActiveData++
		} else {
			info.PassiveData++
		}
	}
	return info
}

// funcTypeOf is the type of function i, which is there: see admit.
func (r *rewriter) funcTypeOf(i uint32) wasm.FuncType {
	if n := uint32(len(r.m.Imports)); i >= n { // all of them functions
		return r.m.Types[r.m.Funcs[i-n]]
	}
	return r.m.Types[r.m.Imports[i].Func]
}
