package meter

import (
	"errors"
	stdruntime "runtime"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/heddle-rt/heddle/plugins/wasm"
	"github.com/heddle-rt/heddle/runtime/config"
)

// recursion are modules whose "run" calls itself without end.
func recursion() map[string][]byte {
	modules := map[string][]byte{
		"direct":   run(1, 0, asm(nil).with(wasm.OpCall, 0)),
		"twice":    run(1, 0, asm(nil).with(wasm.OpCall, 0).with(wasm.OpCall, 0)),
		"in loops": run(1, 0, forever(asm(nil).with(wasm.OpCall, 0))),
	}
	b := newBuilder(1)
	b.function("run", 0, 0, 0, asm(nil).with(wasm.OpCall, 1))
	b.function("", 0, 0, 3, asm(nil).with(wasm.OpCall, 2))
	b.function("", 0, 0, 0, asm(nil).with(wasm.OpCall, 0))
	modules["mutual"] = b.bytes()

	b = newBuilder(1)
	b.table(1, 0)
	b.function("run", 0, 0, 0, append(asm(nil).i32(0).with(wasm.OpCallIndirect, 0), 0))
	modules["indirect"] = b.bytes()

	b = newBuilder(1)
	b.function("run", 0, 1, 0, times(200, asm(nil).with(wasm.OpCall, 0)).join(times(199, asm(nil).op(wasm.OpI32Add))))
	modules["with many operands"] = b.bytes()

	// Each call has to keep a value that is in the local no more.
	const kept = 2000
	b = newBuilder(1)
	deep := asm(nil)
	for i := range kept {
		deep = deep.get(0).i32(int32(i)).op(wasm.OpI32Mul).tee(0)
	}
	deep = deep.get(0).with(wasm.OpCall, 0)
	b.function("recurse", 1, 1, 0, deep.join(times(kept, asm(nil).op(wasm.OpI32Add))))
	b.function("run", 0, 0, 0, asm(nil).i32(3).with(wasm.OpCall, 0).op(wasm.OpDrop))
	modules["with values kept as operands"] = b.bytes()

	b = newBuilder(1)
	b.function("recurse", 1, 1, 0, sequence(kept))
	b.function("run", 0, 0, 0, asm(nil).i32(3).with(wasm.OpCall, 0).op(wasm.OpDrop))
	modules["with values kept in passing"] = b.bytes()
	return modules
}

// sequence calls its function first, and then keeps n values in one local after
// the other, each of them as long as a call takes that is made on one way only.
func sequence(n int) asm {
	a := asm(nil).get(0).with(wasm.OpCall, 0)
	for i := range n {
		a = a.get(0).i32(int32(i)).op(wasm.OpI32Add).set(0).
			get(0).open(wasm.OpIf, wasm.NoResult).get(0).with(wasm.OpCall, 0).set(0).op(wasm.OpEnd).
			get(0).op(wasm.OpI32Add)
	}
	return a
}

// TestRecursion recurses until the stack is used up: the host's overflow is called,
// and wazero's stack, which grows in the host's memory, has stayed small.
func TestRecursion(t *testing.T) {
	const most = 64 << 20 // of 1 MiB that is counted, times 16, and what growing by doubling leaves behind
	for name, module := range recursion() {
		t.Run(name, func(t *testing.T) {
			m := mustRewrite(t, module, nil)
			r := compiler(t, features)
			(&host{slice: Slice}).install(t, r)
			in, err := r.InstantiateWithConfig(t.Context(), m.Code, wazero.NewModuleConfig().WithName(""))
			if err != nil {
				t.Fatal(err)
			}
			var before, after stdruntime.MemStats
			stdruntime.ReadMemStats(&before)
			_, err = in.ExportedFunction("run").Call(t.Context())
			stdruntime.ReadMemStats(&after)
			if !errors.Is(err, errOverflow) {
				t.Errorf("it ended with %v", err)
			}
			used := after.TotalAlloc - before.TotalAlloc
			t.Logf("%d KiB were allocated", used>>10)
			if used > most {
				t.Errorf("%d MiB were allocated", used>>20)
			}
		})
	}
}

// TestUnwind returns through nearly as many frames as there can be, with as much
// code behind each call as runs without a charge.
func TestUnwind(t *testing.T) {
	for _, depth := range []config.Size{1 << 20, 16 << 20} {
		t.Run(depth.String(), func(t *testing.T) {
			stdruntime.LockOSThread()
			defer stdruntime.UnlockOSThread()
			b := newBuilder(1)
			b.function("recurse", 1, 0, 0, asm(nil). // as often as its parameter says
									get(0).op(wasm.OpI32Eqz).open(wasm.OpIf, wasm.NoResult).op(wasm.OpReturn, wasm.OpEnd).
									get(0).i32(1).op(wasm.OpI32Sub).with(wasm.OpCall, 0).
									join(times(200, asm(nil).get(0).i32(7).op(wasm.OpI32Mul).set(0))))
			m := mustRewrite(t, b.bytes(), func(c *Config) { c.Depth = depth })
			r := compiler(t, features)
			h := &host{slice: Slice, timed: true}
			h.install(t, r)
			in, err := r.InstantiateWithConfig(t.Context(), m.Code, wazero.NewModuleConfig().WithName(""))
			if err != nil {
				t.Fatal(err)
			}
			h.begin(in)
			const frame = 96 // bytes, as estimated
			if _, err := in.ExportedFunction("recurse").Call(t.Context(), uint64(depth/frame-2)); err != nil {
				t.Fatal(err)
			}
			h.end()
			t.Logf("at most %v between two ticks", h.worst)
			if h.worst > patience {
				t.Errorf("%v passed between two ticks", h.worst)
			}
			if _, err := in.ExportedFunction("recurse").Call(t.Context(), uint64(depth/frame+2)); !errors.Is(err, errOverflow) {
				t.Errorf("one call more ended with %v", err)
			}
		})
	}
}
