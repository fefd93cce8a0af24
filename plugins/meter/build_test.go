package meter

import (
	"slices"
	"testing"

	"github.com/heddle-rt/heddle/plugins/wasm"
)

// builder makes modules by hand, one function at a time.
type builder struct{ wasm.Module }

// newBuilder begins a module with a memory, which is exported.
func newBuilder(pages uint32) *builder {
	b := &builder{}
	b.Memories = []wasm.Size{{Min: pages}}
	b.Exports = []wasm.Export{{Name: "memory", Kind: wasm.KindMemory}}
	return b
}

// typ is a type, all of whose values are i32.
func (b *builder) typ(params, results int) uint32 {
	many := func(n int) (ts []wasm.ValType) {
		for range n {
			ts = append(ts, wasm.I32)
		}
		return ts
	}
	t := wasm.FuncType{Params: many(params), Results: many(results)}
	for i, have := range b.Types {
		if slices.Equal(have.Params, t.Params) && slices.Equal(have.Results, t.Results) {
			return uint32(i)
		}
	}
	b.Types = append(b.Types, t)
	return uint32(len(b.Types) - 1)
}

// function adds a function with a body, to which the end is added, and n locals of
// type i64. If it has a name, it is exported.
func (b *builder) function(name string, params, results, n int, body asm) uint32 {
	index := uint32(b.ImportedFuncs() + len(b.Funcs))
	b.Funcs = append(b.Funcs, b.typ(params, results))
	code := wasm.Code{Body: body.op(wasm.OpEnd)}
	if n > 0 {
		code.Locals = []wasm.Locals{{N: uint32(n), Type: wasm.I64}}
	}
	b.Codes = append(b.Codes, code)
	if name != "" {
		b.Exports = append(b.Exports, wasm.Export{Name: name, Kind: wasm.KindFunc, Index: index})
	}
	return index
}

// table adds a table of n entries, the first of which are the functions.
func (b *builder) table(n uint32, functions ...uint32) {
	b.Tables = append(b.Tables, wasm.Table{Elem: wasm.FuncRef, Size: wasm.Size{Min: n}})
	b.Elems = append(b.Elems, wasm.Elem{Type: wasm.FuncRef, Offset: constant(0), Funcs: functions})
}

func (b *builder) bytes() []byte { return b.Append(nil) }

func constant(v int32) wasm.Const { return wasm.Const{Op: wasm.OpI32Const, Raw: asm(nil).i32(v)} }

// forever is a loop without end around body.
func forever(body asm) asm {
	return append(asm(nil).open(wasm.OpLoop, wasm.NoResult), body...).with(wasm.OpBr, 0).op(wasm.OpEnd)
}

// times is body, n times in a row.
func times(n int, body asm) asm {
	a := make(asm, 0, n*len(body))
	for range n {
		a = append(a, body...)
	}
	return a
}

// run is a module with one function, "run", without parameters and results.
func run(pages uint32, locals int, body asm) []byte {
	b := newBuilder(pages)
	b.function("run", 0, 0, locals, body)
	return b.bytes()
}

// mustRewrite rewrites with a configuration that adjust may have changed.
func mustRewrite(t testing.TB, module []byte, adjust func(*Config)) *Module {
	t.Helper()
	cfg := Default(validator(t, features))
	if adjust != nil {
		adjust(&cfg)
	}
	m, err := Rewrite(module, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}
