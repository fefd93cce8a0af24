package meter

import (
	"reflect"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/heddle-rt/heddle/plugins/wasm"
)

// TestInfo says of a module what the host asks.
func TestInfo(t *testing.T) {
	b := counterModule()
	b.Imports = []wasm.Import{{Module: "heddle", Name: "log", Func: b.typ(2, 1)}}
	b.table(3, 1)
	b.Datas = append(b.Datas, wasm.Data{Mode: wasm.Passive})
	b.Exports[1].Index, b.Exports[2].Index, b.Start = 1, 2, 1
	b.Memories[0].Max = 5000
	info := mustRewrite(t, b.bytes(), nil).Info
	two := []wasm.ValType{wasm.I32, wasm.I32}
	want := Info{
		Imports:   []Import{{"heddle", "log", wasm.FuncType{Params: two, Results: two[:1]}}},
		Exports:   []Export{{Name: "memory", Kind: wasm.KindMemory}, {Name: "bump", Index: 1}, {Name: "grow", Index: 2}},
		Functions: 2, HasStart: true, Start: 1,
		HasMemory: true, Memory: wasm.Size{Min: 1, Max: 1024, HasMax: true},
		Tables: []wasm.Table{{Elem: wasm.FuncRef, Size: wasm.Size{Min: 3, Max: 131072, HasMax: true}}},
		Globals: []Global{
			{1, wasm.I32, "heddle:g1"}, {3, wasm.I64, "heddle:g3"}, {5, wasm.F32, "heddle:g5"}, {7, wasm.F64, "heddle:g7"},
		},
		ActiveData: 2, PassiveData: 1, Elements: 1,
	}
	if !reflect.DeepEqual(info, want) {
		t.Errorf("it is\n%+v, not\n%+v", info, want)
	}
}

// TestIndices shifts every kind of index of functions: what is called, referred to,
// exported, started and in tables is what it was in the original.
func TestIndices(t *testing.T) {
	b := newBuilder(1)
	b.Imports = []wasm.Import{{Module: "heddle", Name: "seven", Func: b.typ(0, 1)}}
	eight := b.function("eight", 0, 1, 0, asm(nil).i32(8))
	ref := func(f uint32) []wasm.Const { return []wasm.Const{{Op: wasm.OpRefFunc, Index: f}} }
	b.Tables = []wasm.Table{{Elem: wasm.FuncRef, Size: wasm.Size{Min: 20}}, {Elem: wasm.FuncRef, Size: wasm.Size{Min: 20}}}
	b.Elems = []wasm.Elem{ // all eight forms
		{Type: wasm.FuncRef, Offset: constant(0), Funcs: []uint32{0, eight}},
		{Type: wasm.FuncRef, Mode: wasm.Passive, Funcs: []uint32{eight}},
		{Type: wasm.FuncRef, Table: 1, Offset: constant(2), Funcs: []uint32{eight, 0}},
		{Type: wasm.FuncRef, Mode: wasm.Declared, Funcs: []uint32{eight, 0}},
		{Type: wasm.FuncRef, Offset: constant(4), Exprs: ref(eight)},
		{Type: wasm.FuncRef, Mode: wasm.Passive, Exprs: ref(eight)},
		{Type: wasm.FuncRef, Table: 1, Offset: constant(6), Exprs: ref(eight)},
		{Type: wasm.FuncRef, Mode: wasm.Declared, Exprs: ref(0)},
	}
	b.Globals = []wasm.Global{{GlobalType: wasm.GlobalType{Type: wasm.FuncRef}, Init: ref(eight)[0]}}
	for name, body := range map[string]asm{
		"0 at 0":        append(asm(nil).i32(0).with(wasm.OpCallIndirect, 0), 0),
		"8 at 1":        append(asm(nil).i32(1).with(wasm.OpCallIndirect, 0), 0),
		"8 at 2 of 1":   append(asm(nil).i32(2).with(wasm.OpCallIndirect, 0), 1),
		"0 at 3 of 1":   append(asm(nil).i32(3).with(wasm.OpCallIndirect, 0), 1),
		"8 at 4":        append(asm(nil).i32(4).with(wasm.OpCallIndirect, 0), 0),
		"8 at 6 of 1":   append(asm(nil).i32(6).with(wasm.OpCallIndirect, 0), 1),
		"8 called":      asm(nil).with(wasm.OpCall, eight),
		"0 called":      asm(nil).with(wasm.OpCall, 0),
		"8 referred":    append(asm(nil).i32(9).with(wasm.OpRefFunc, eight).with(wasm.OpTableSet, 0).i32(9).with(wasm.OpCallIndirect, 0), 0),
		"8 in a global": append(asm(nil).i32(9).with(wasm.OpGlobalGet, 0).with(wasm.OpTableSet, 0).i32(9).with(wasm.OpCallIndirect, 0), 0),
		"8 from 1":      append(append(asm(nil).i32(9).i32(0).i32(1).with(wasm.OpTableInit, 1), 0).i32(9).with(wasm.OpCallIndirect, 0), 0),
		"8 from 5":      append(append(asm(nil).i32(9).i32(0).i32(1).with(wasm.OpTableInit, 5), 0).i32(9).with(wasm.OpCallIndirect, 0), 0),
	} {
		b.function(name, 0, 1, 0, body)
	}
	m := mustRewrite(t, b.bytes(), nil)
	r := compiler(t, features)
	_, err := r.NewHostModuleBuilder("heddle").NewFunctionBuilder().WithFunc(func() int32 { return 7 }).Export("seven").Instantiate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	in := start(t, r, m.Code, &host{})
	for _, e := range b.Exports[1:] {
		want := uint64(8)
		if strings.HasPrefix(e.Name, "0") {
			want = 7
		}
		if got, err := in.ExportedFunction(e.Name).Call(t.Context()); err != nil || got[0] != want {
			t.Errorf("%s: it gives %v, %v", e.Name, got, err)
		}
	}
}

// TestNames keeps the names of functions, for stack traces.
func TestNames(t *testing.T) {
	b := newBuilder(1)
	b.Imports = []wasm.Import{{Module: "heddle", Name: "log", Func: b.typ(0, 0)}}
	inner := b.function("", 0, 0, 0, asm(nil).i32(0).i32(0).i32(-1).memory(wasm.OpMemoryFill, 1))
	b.function("run", 0, 0, 0, asm(nil).with(wasm.OpCall, inner))
	b.Names = []wasm.FuncName{{Index: 0, Name: "host.log"}, {Index: 1, Name: "guest.inner"}, {Index: 2, Name: "guest.outer"}}
	m := mustRewrite(t, b.bytes(), nil)
	r := compiler(t, features)
	if _, err := r.NewHostModuleBuilder("heddle").NewFunctionBuilder().WithFunc(func() {}).Export("log").Instantiate(t.Context()); err != nil {
		t.Fatal(err)
	}
	(&host{}).install(t, r)
	in, err := r.InstantiateWithConfig(t.Context(), m.Code, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		t.Fatal(err)
	}
	_, err = in.ExportedFunction("run").Call(t.Context())
	if err == nil {
		t.Fatal("it did not trap")
	}
	for _, name := range []string{"heddle:memory.fill", "guest.inner", "guest.outer"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("the trace does not name %s: %v", name, err)
		}
	}
}
