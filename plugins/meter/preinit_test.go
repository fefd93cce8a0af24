package meter

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/heddle-rt/heddle/plugins/wasm"
)

// counterModule counts in a global of each type and in memory; its start function
// counts once.
func counterModule() *builder {
	b := newBuilder(1)
	b.Memories[0] = wasm.Size{Min: 1, Max: 9, HasMax: true}
	one := []wasm.Const{
		{Op: wasm.OpI32Const, Raw: asm(nil).i32(-1)},
		{Op: wasm.OpI64Const, Raw: asm(nil).i64(math.MinInt64)},
		{Op: wasm.OpF32Const, Raw: append(asm(nil).op(wasm.OpF32Const), 0, 0, 0x80, 0x3f)},
		{Op: wasm.OpF64Const, Raw: append(asm(nil).op(wasm.OpF64Const), 0, 0, 0, 0, 0, 0, 0xf0, 0x3f)},
	}
	for i, t := range []wasm.ValType{wasm.I32, wasm.I64, wasm.F32, wasm.F64} {
		b.Globals = append(b.Globals,
			wasm.Global{GlobalType: wasm.GlobalType{Type: t}, Init: one[i]}, // they stay
			wasm.Global{GlobalType: wasm.GlobalType{Type: t, Mutable: true}, Init: one[i]})
	}
	b.Datas = []wasm.Data{{Offset: constant(0), Bytes: []byte{5}}, {Offset: constant(100), Bytes: []byte("hello")}}
	bump := asm(nil)
	for i, add := range []wasm.Op{wasm.OpI32Add, wasm.OpI64Add, 0x92, 0xa0} {
		g := uint32(2*i + 1)
		bump = bump.with(wasm.OpGlobalGet, g).with(wasm.OpGlobalGet, g-1).op(add).with(wasm.OpGlobalSet, g)
	}
	bump = append(bump.i32(0).i32(0), 0x28, 2, 0).i32(1).op(wasm.OpI32Add)
	bump = append(bump, 0x36, 2, 0)
	b.Start, b.HasStart = b.function("bump", 0, 0, 0, bump), true
	b.function("grow", 0, 0, 0, asm(nil).i32(2).memory(wasm.OpMemoryGrow, 1).op(wasm.OpDrop))
	return b
}

// state is all that can be seen of an instance.
func state(in instance, info *Info) (values []uint64, memory []byte) {
	for _, g := range info.Globals {
		values = append(values, in.ExportedGlobal(g.Export).Get())
	}
	memory, _ = in.Memory().Read(0, in.Memory().Size())
	return values, slices.Clone(memory)
}

// TestPreinit continues from a snapshot: globals as they were, nothing is started,
// nothing is copied into memory but the image.
func TestPreinit(t *testing.T) {
	for _, named := range []bool{false, true} {
		b := counterModule()
		if named { // an instruction names a segment
			b.HasCount = true
			b.function("init", 0, 0, 0, append(asm(nil).i32(0).i32(0).i32(0).with(wasm.OpMemoryInit, 1), 0))
		}
		m := mustRewrite(t, b.bytes(), nil)
		r := compiler(t, features)
		first := start(t, r, m.Code, &host{slice: Slice})
		for _, f := range []string{"bump", "grow", "bump"} {
			if _, err := first.ExportedFunction(f).Call(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		globals, image := state(first, &m.Info)
		if image[0] != 8 || len(image) != 3*PageSize {
			t.Fatalf("the first instance counted to %d in %d bytes", image[0], len(image))
		}
		code, err := m.Preinit(3, globals)
		if err != nil {
			t.Fatal(err)
		}
		again, err := wasm.Parse(code, wasm.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if want := map[bool]int{false: 0, true: 2}[named]; len(again.Datas) != want {
			t.Errorf("%d segments are left, not %d", len(again.Datas), want)
		}
		in, err := r.InstantiateWithConfig(t.Context(), code, wazero.NewModuleConfig().WithName(""))
		if err != nil {
			t.Fatal(err)
		}
		second := instance{Module: in}
		values, memory := state(second, &m.Info)
		if !slices.Equal(values, globals) {
			t.Errorf("the globals are %x, not %x", values, globals)
		}
		if len(memory) != len(image) || slices.ContainsFunc(memory, func(b byte) bool { return b != 0 }) {
			t.Error("the memory is not empty, or has another size")
		}
		second.Memory().Write(0, image)
		for _, in := range []instance{first, second} {
			if _, err := in.ExportedFunction("bump").Call(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		want, wantMemory := state(first, &m.Info)
		got, gotMemory := state(second, &m.Info)
		if !slices.Equal(got, want) || !slices.Equal(gotMemory, wantMemory) {
			t.Errorf("it goes on differently: %x, not %x", got, want)
		}
	}
}

// TestNoSnapshot lists modules that cannot be continued from an image.
func TestNoSnapshot(t *testing.T) {
	null := wasm.Const{Op: wasm.OpRefNull, Raw: asm(nil).with(wasm.OpRefNull, 0x70)}
	vector := wasm.Const{Op: wasm.OpV128Const, Raw: append(asm(nil).op(wasm.OpV128Const), make([]byte, 16)...)}
	for name, c := range map[string]struct {
		change func(b *builder)
		says   string
	}{
		"a table is changed": {func(b *builder) {
			b.table(1)
			b.function("", 0, 0, 0, asm(nil).i32(0).with(wasm.OpRefNull, 0x70).with(wasm.OpTableSet, 0))
		}, "changes its tables"},
		"a segment is dropped": {func(b *builder) {
			b.HasCount = true
			b.function("", 0, 0, 0, asm(nil).with(wasm.OpDataDrop, 0))
		}, "drops segments"},
		"a mutable vector": {func(b *builder) {
			b.Globals = append(b.Globals, wasm.Global{GlobalType: wasm.GlobalType{Type: wasm.V128, Mutable: true}, Init: vector})
		}, "global 8 is a mutable v128"},
		"a mutable reference": {func(b *builder) {
			b.Globals = append(b.Globals, wasm.Global{GlobalType: wasm.GlobalType{Type: wasm.FuncRef, Mutable: true}, Init: null})
		}, "global 8 is a mutable funcref"},
	} {
		t.Run(name, func(t *testing.T) {
			b := counterModule()
			c.change(b)
			m := mustRewrite(t, b.bytes(), nil)
			for _, err := range []error{m.Info.Snapshot(), func() error { _, err := m.Preinit(1, nil); return err }()} {
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("it says %v", err)
				}
			}
		})
	}
	m := mustRewrite(t, counterModule().bytes(), nil)
	for name, c := range map[string]struct {
		pages   uint32
		globals []uint64
	}{"globals are missing": {1, nil}, "the image is too small": {0, make([]uint64, 4)}, "the image is too large": {10, make([]uint64, 4)}} {
		if _, err := m.Preinit(c.pages, c.globals); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
}
