package meter

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/heddle-rt/heddle/plugins/wasm"
)

// exact are weights that count what runs, and nothing else.
func exact() *weights {
	w := newWeights()
	w.move = 0
	return w
}

// ones counts instructions: all but blocks, loops and ends, which are no code.
func ones() *weights {
	w := &weights{}
	for i := range w.ops {
		w.ops[i] = 1
	}
	w.ops[wasm.OpBlock], w.ops[wasm.OpLoop], w.ops[wasm.OpEnd] = 0, 0, 0
	return w
}

// instance is a module, ready to be called.
type instance struct {
	api.Module
	host *host
}

func start(t *testing.T, r wazero.Runtime, code []byte, hosts ...*host) instance {
	t.Helper()
	for _, h := range hosts {
		h.install(t, r)
	}
	m, err := r.InstantiateWithConfig(t.Context(), code, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		t.Fatal(err)
	}
	in := instance{Module: m}
	if len(hosts) > 0 {
		in.host = hosts[0]
	}
	return in
}

// outcome is all that a call of every function did.
type outcome struct {
	results []string
	memory  []byte
	globals []uint64
	used    []int64 // of fuel; -1 where a function trapped
}

// exercise calls f0 to f4, each with some arguments.
func (in instance) exercise(t *testing.T, seed uint64) (o outcome) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 3))
	for i := range genFuncs {
		f := in.ExportedFunction(fmt.Sprintf("f%d", i))
		args := make([]uint64, len(f.Definition().ParamTypes()))
		for k := range args {
			if args[k] = random.Uint64() >> random.IntN(64); f.Definition().ParamTypes()[k] == api.ValueTypeI32 {
				args[k] = uint64(uint32(args[k]))
			}
		}
		if in.host != nil {
			in.host.begin(in.Module)
		}
		res, err := f.Call(t.Context(), args...)
		o.results = append(o.results, fmt.Sprint(res, firstLine(err)))
		switch {
		case in.host == nil:
		case err != nil:
			o.used = append(o.used, -1)
		default:
			o.used = append(o.used, in.host.end())
			if d := global(in.Module, ExportDepth).Get(); d != 0 {
				t.Errorf("f%d: the depth is %d after the call", i, d)
			}
		}
	}
	b, _ := in.Memory().Read(0, in.Memory().Size())
	o.memory = bytes.Clone(b)
	for i := range genGlobals {
		o.globals = append(o.globals, in.ExportedGlobal(fmt.Sprintf("g%d", i)).Get())
	}
	return o
}

func rewriteWith(t *testing.T, code []byte, limit int, w *weights, validate func([]byte) error) *Module {
	t.Helper()
	cfg := Default(validate)
	cfg.Limit = limit
	m, err := rewrite(code, &cfg, w)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestRandom compares random modules with their rewrites: the same results, traps
// and memory, and never less charged than what ran.
func TestRandom(t *testing.T) {
	validate := validator(t, features)
	n := uint64(100)
	if quick() {
		n = 20
	}
	var returned atomic.Int64
	t.Cleanup(func() { // when all seeds are done
		if got := returned.Load(); got < int64(n) {
			t.Errorf("only %d calls returned", got)
		}
	})
	for seed := range n {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			code := generate(seed, true, true)
			want := start(t, compiler(t, features), code).exercise(t, seed)
			count := start(t, interpreter(t), rewriteWith(t, code, 1, exact(), validate).Code, &host{}).exercise(t, seed)
			for _, limit := range []int{7, 50, 256} {
				m := rewriteWith(t, code, limit, newWeights(), validate)
				got := start(t, compiler(t, features), m.Code, &host{slice: int32(seed%7) * 50}).exercise(t, seed)
				if !slices.Equal(want.results, got.results) {
					t.Fatalf("limit %d:\n%v\n%v", limit, got.results, want.results)
				}
				if !bytes.Equal(want.memory, got.memory) || !slices.Equal(want.globals, got.globals) {
					t.Fatalf("limit %d: memory or globals differ", limit)
				}
				for i, used := range got.used {
					if used >= 0 && used < count.used[i] {
						t.Errorf("limit %d: f%d: %d was charged, %d ran", limit, i, used, count.used[i])
					}
					if used > 0 {
						returned.Add(1)
					}
				}
			}
		})
	}
}

// TestBetweenTicks counts the instructions that run between two ticks: it rewrites
// a rewritten module again, so that each of its instructions ticks.
func TestBetweenTicks(t *testing.T) {
	validate := validator(t, features)
	n := uint64(60)
	if quick() {
		n = 20
	}
	var most [2]atomic.Int64
	t.Cleanup(func() {
		t.Logf("most instructions between two ticks: %d without calls, %d with", most[0].Load(), most[1].Load())
	})
	for seed := range n {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			for i, calls := range []bool{false, true} {
				for _, limit := range []int{8, 64, 256} {
					inner := rewriteWith(t, generate(seed, calls, false), limit, newWeights(), validate).Code
					// The names of the inner one must not look like the outer's.
					inner = bytes.ReplaceAll(inner, []byte(prefix), []byte("second:"))
					outer := rewriteWith(t, inner, 1, ones(), validate)
					// What is owed runs, and what the rewriter adds: a charge, and with calls a prologue
					// and, in each frame that is left, the way to the next charge and an epilogue.
					bound := limit + min(mostCarry, limit/8) + 24
					if calls {
						bound += 64 + genFuncs*(limit/tailShare+24)
					}
					got := between(t, outer.Code, []uint64{0}, "f0", "f1", "f2", "f3", "f4")
					if got > bound {
						t.Errorf("calls %t: %d instructions between two ticks, the limit is %d", calls, got, limit)
					}
					for old := most[i].Load(); int64(got) > old && !most[i].CompareAndSwap(old, int64(got)); old = most[i].Load() {
					}
				}
			}
		})
	}
}

// between is the most instructions that ran between two ticks of the inner rewrite,
// in a call of each of the functions with each of the arguments.
func between(t *testing.T, code []byte, arguments []uint64, functions ...string) int {
	t.Helper()
	outer, began, most := &host{}, int64(0), int64(0)
	outer.onTick = func() { most = max(most, outer.used-began) }
	r := interpreter(t)
	outer.install(t, r)
	_, err := r.NewHostModuleBuilder("second:meter").
		NewFunctionBuilder().WithFunc(func() int32 { began = outer.used; return 0 }).Export(ImportTick).
		NewFunctionBuilder().WithFunc(func() {}).Export(ImportOverflow).
		Instantiate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m, err := r.InstantiateWithConfig(t.Context(), code, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range functions {
		for _, arg := range arguments {
			outer.begin(m)
			began = 0
			f := m.ExportedFunction(name)
			_, _ = f.Call(t.Context(), slices.Repeat([]uint64{arg}, len(f.Definition().ParamTypes()))...)
		}
	}
	return int(most)
}
