package meter

import (
	"strconv"

	"github.com/heddle-rt/heddle/plugins/wasm"
)

// surroundings changes everything but code: what is added gets its import, type,
// export and name, and what names a function names it where it is now.
func (r *rewriter) surroundings() {
	m, d := r.m, &r.added
	first := len(m.Funcs)
	r.helpers()
	m.Imports = append(m.Imports[:len(m.Imports):len(m.Imports)],
		wasm.Import{Module: ImportModule, Name: ImportTick, Func: r.funcType(wasm.FuncType{Results: []wasm.ValType{wasm.I32}})},
		wasm.Import{Module: ImportModule, Name: ImportOverflow, Func: r.funcType(wasm.FuncType{})})
	for i := range m.Exports {
		if e := &m.Exports[i]; e.Kind == wasm.KindFunc {
			e.Index = d.function(e.Index)
		}
	}
	for i := range m.Globals {
		if m.Globals[i].Mutable {
			r.export(exportGlobal+strconv.Itoa(i), uint32(i))
		}
		r.move(&m.Globals[i].Init)
	}
	zero := wasm.Const{Op: wasm.OpI32Const, Raw: asm(nil).i32(0)}
	counter := wasm.Global{GlobalType: wasm.GlobalType{Type: wasm.I32, Mutable: true}, Init: zero}
	m.Globals = append(m.Globals, counter, counter)
	r.export(ExportSlice, d.slice)
	r.export(ExportDepth, d.depth)
	m.Start = d.function(m.Start)
	for i := range m.Elems {
		for k := range m.Elems[i].Funcs {
			m.Elems[i].Funcs[k] = d.function(m.Elems[i].Funcs[k])
		}
		for k := range m.Elems[i].Exprs {
			r.move(&m.Elems[i].Exprs[k])
		}
	}
	r.names(first)
}

func (r *rewriter) export(name string, global uint32) {
	r.m.Exports = append(r.m.Exports, wasm.Export{Name: name, Kind: wasm.KindGlobal, Index: global})
}

// move lets a constant that names a function name it where it is now.
func (r *rewriter) move(c *wasm.Const) {
	if c.Op == wasm.OpRefFunc {
		c.Index = r.added.function(c.Index)
	}
}

// helpers appends the helper functions, in the order of place.
func (r *rewriter) helpers() {
	for kind := range helpers {
		if !r.uses.help[kind] {
			continue
		}
		if kind != helpInit {
			r.helper(kind, 0)
			continue
		}
		for segment, used := range r.uses.initSegments {
			if used {
				r.helper(kind, uint32(segment))
			}
		}
	}
}

func (r *rewriter) helper(kind int, segment uint32) {
	t := wasm.FuncType{Params: []wasm.ValType{wasm.I32}, Results: []wasm.ValType{wasm.I32}}
	if kind == helpFill || kind == helpCopy || kind == helpInit {
		t = wasm.FuncType{Params: []wasm.ValType{wasm.I32, wasm.I32, wasm.I32}}
	}
	r.m.Funcs = append(r.m.Funcs, r.funcType(t))
	r.m.Codes = append(r.m.Codes, r.added.body(kind, segment, r.cfg))
}

// names moves the names of functions, and adds those of the rewriter's, for stack
// traces. first is the number of functions that the original defines.
func (r *rewriter) names(first int) {
	d := &r.added
	names := make([]wasm.FuncName, 0, len(r.m.Names)+2+len(r.m.Funcs)-first)
	own := r.m.Names
	for len(own) > 0 && own[0].Index < d.imported {
		names, own = append(names, own[0]), own[1:]
	}
	names = append(names, wasm.FuncName{Index: d.tick, Name: prefix + ImportTick}, wasm.FuncName{Index: d.overflow, Name: prefix + ImportOverflow})
	for _, n := range own {
		names = append(names, wasm.FuncName{Index: d.function(n.Index), Name: n.Name})
	}
	for kind, i := range d.helper {
		if i != 0 {
			names = append(names, wasm.FuncName{Index: i, Name: helperNames[kind]})
		}
		if kind != helpInit {
			continue
		}
		for _, i := range d.initHelper {
			if i != 0 {
				names = append(names, wasm.FuncName{Index: i, Name: helperNames[kind]})
			}
		}
	}
	r.m.Names = names
}
