package meter

import (
	"context"
	"errors"
	stdruntime "runtime"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/heddle-rt/heddle/plugins/wasm"
)

// patience is the longest time between two ticks that a test takes: of a thread's
// time, which a virtual machine's neighbours can lengthen too. What matters is what
// the tests log: it ought to be under 2 ms.
const patience = 50 * time.Millisecond

// hostile are modules that mean ill and are accepted. Each has a function "run"
// that, left alone, runs for seconds or for ever.
func hostile() map[string][]byte {
	nop := asm(nil).op(wasm.OpNop)
	add := asm(nil).get(0).i64(3).op(wasm.OpI64Add).set(0)
	modules := map[string][]byte{
		"an empty loop":                run(1, 0, forever(nil)),
		"a loop of straight-line code": run(1, 1, forever(times(100000, add))),
		"a jump over charge points": run(1, 1, forever(append(asm(nil).open(wasm.OpBlock, wasm.NoResult).i32(1).with(wasm.OpBrIf, 0),
			times(50000, add)...).op(wasm.OpEnd))),
		"a branch to an outer loop": run(1, 0, asm(nil).open(wasm.OpLoop, wasm.NoResult).open(wasm.OpBlock, wasm.NoResult).
			open(wasm.OpBlock, wasm.NoResult).with(wasm.OpBr, 2).op(wasm.OpEnd, wasm.OpEnd, wasm.OpEnd)),
		"loops within loops": run(1, 0, times(300, asm(nil).open(wasm.OpLoop, wasm.NoResult)).
			with(wasm.OpBr, 299).join(times(300, asm(nil).op(wasm.OpEnd)))),
		"filling 64 MiB":     run(1024, 0, forever(asm(nil).i32(0).i32(1).i32(64<<20).memory(wasm.OpMemoryFill, 1))),
		"copying 32 MiB":     run(1024, 0, forever(asm(nil).i32(0).i32(32<<20).i32(32<<20).memory(wasm.OpMemoryCopy, 2))),
		"copying, overlaid":  run(1024, 0, forever(asm(nil).i32(1).i32(0).i32(64<<20-1).memory(wasm.OpMemoryCopy, 2))),
		"growing by nothing": run(1, 0, forever(asm(nil).i32(0).memory(wasm.OpMemoryGrow, 1).op(wasm.OpDrop))),
		"growing too far":    run(1, 0, forever(asm(nil).i32(-1).memory(wasm.OpMemoryGrow, 1).op(wasm.OpDrop))),
	}
	for name, body := range heavyCode() {
		modules["a loop of "+name] = run(1, 1, forever(times(500, body)))
	}

	b := newBuilder(1)
	small := b.function("", 0, 0, 0, nop)
	b.table(1, small)
	b.function("run", 0, 0, 0, forever(append(asm(nil).i32(0).with(wasm.OpCallIndirect, 0), 0)))
	modules["a loop of indirect calls"] = b.bytes()

	b = newBuilder(1)
	b.table(100000)
	b.function("run", 0, 0, 0, forever(asm(nil).i32(0).with(wasm.OpRefNull, 0x70).i32(100000).with(wasm.OpTableFill, 0)))
	modules["filling a table"] = b.bytes()

	b = newBuilder(1)
	b.table(1)
	b.function("run", 0, 0, 0, forever(asm(nil).with(wasm.OpRefNull, 0x70).i32(100).with(wasm.OpTableGrow, 0).op(wasm.OpDrop)))
	modules["growing a table"] = b.bytes()

	b = newBuilder(128)
	b.Datas = []wasm.Data{{Mode: wasm.Passive, Bytes: make([]byte, 4<<20)}}
	b.HasCount = true
	b.function("run", 0, 0, 0, forever(append(asm(nil).i32(0).i32(0).i32(4<<20).with(wasm.OpMemoryInit, 0), 0)))
	modules["copying a segment"] = b.bytes()

	b = newBuilder(1) // 2 to the 60th calls, and no loop
	for i := range uint32(60) {
		b.function([]string{"", "run"}[i/59], 0, 0, 0, times(2, asm(nil).with(wasm.OpCall, max(i, 1)-1)))
	}
	b.Codes[0].Body = asm(nil).op(wasm.OpEnd)
	modules["a tree of calls"] = b.bytes()
	return modules
}

func (a asm) join(b asm) asm { return append(a, b...) }

// heavyCode are instructions that take long, each with operands, and no more on the
// stack than before.
func heavyCode() map[string]asm {
	f64 := asm(nil).get(0).op(0xbf) // reinterpreted
	vector := asm(nil).get(0).op(wasm.OpVector + 18)
	store := asm(nil).op(0xbd).set(0) // reinterpreted
	clone := func(a asm) asm { return a[:len(a):len(a)] }
	lane := func(a asm) asm { return append(a.op(wasm.OpVector+29), 0).set(0) }
	return map[string]asm{
		"divisions":          asm(nil).get(0).i64(3).op(wasm.OpI64DivS).i64(-1).op(wasm.OpI64Add).set(0),
		"remainders":         asm(nil).i64(-1).get(0).i64(3).op(0x84, wasm.OpI64RemU).set(0),
		"roots":              clone(f64).op(wasm.OpF64Sqrt).join(store),
		"roundings":          clone(f64).op(0x9b).join(store),
		"minima":             clone(f64).join(f64).op(0xa4).join(store),
		"vector products":    lane(clone(vector).join(vector).op(wasm.OpVector + 0xd5)),
		"vector shifts":      lane(clone(vector).get(0).op(0xa7, wasm.OpVector+0x6c)),
		"population counts":  lane(clone(vector).op(wasm.OpVector + 0x62)),
		"vector truncations": lane(clone(vector).op(wasm.OpVector + 0xf8)),
		"references":         asm(nil).with(wasm.OpRefNull, 0x70).op(wasm.OpRefIsNull, wasm.OpDrop),
		"wide loads":         append(asm(nil).get(0).op(0xa7).i32(0xffff-8).op(0x71, 0x29), 0, 0).set(0),
	}
}

// TestHostile runs each hostile module until it is out of fuel. It must be stopped,
// and must tick often.
func TestHostile(t *testing.T) {
	fuel := int64(100e6)
	if quick() {
		fuel = 10e6
	}
	for name, module := range hostile() {
		t.Run(name, func(t *testing.T) { stopped(t, mustRewrite(t, module, nil), fuel) })
	}
}

// TestHostileLarge does the same with modules that take seconds to compile: 7 MB of
// straight-line code, and a br_table with more labels than are permitted.
func TestHostileLarge(t *testing.T) {
	if quick() {
		t.Skip("it takes seconds to compile them")
	}
	b := newBuilder(1)
	all := asm(nil)
	for range 7 {
		all = all.with(wasm.OpCall, b.function("", 0, 0, 1, times(149000, asm(nil).get(0).i64(3).op(wasm.OpI64Add).set(0))))
	}
	b.function("run", 0, 0, 0, forever(all))
	t.Run("straight-line code", func(t *testing.T) {
		t.Parallel()
		m := mustRewrite(t, b.bytes(), nil)
		t.Logf("%d bytes", len(m.Code))
		stopped(t, m, 100e6)
	})
	t.Run("a br_table", func(t *testing.T) {
		t.Parallel()
		m := mustRewrite(t, run(1, 1, forever(longTable(100000))), func(c *Config) { c.Compile = 0 })
		stopped(t, m, 100e6)
	})
}

// stopped calls "run", which must run out of fuel.
func stopped(t *testing.T, m *Module, fuel int64) {
	t.Helper()
	stdruntime.LockOSThread()
	defer stdruntime.UnlockOSThread()
	h := &host{slice: Slice, fuel: fuel, timed: true}
	r := compiler(t, features)
	h.install(t, r)
	in, err := r.InstantiateWithConfig(t.Context(), m.Code, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		t.Fatal(err)
	}
	h.begin(in)
	began := cpuTime()
	_, err = in.ExportedFunction("run").Call(t.Context())
	took := cpuTime() - began
	if !errors.Is(err, errFuel) {
		t.Fatalf("it ended with %v", err)
	}
	if h.worst > patience {
		t.Errorf("%v passed between two ticks", h.worst)
	}
	t.Logf("%d ticks; %.2f ns a unit; at most %v between two ticks", h.ticks, float64(took)/float64(h.used), h.worst)
}

// TestStart runs a start function without end.
func TestStart(t *testing.T) {
	b := newBuilder(1)
	b.Start, b.HasStart = b.function("", 0, 0, 0, forever(nil)), true
	m := mustRewrite(t, b.bytes(), nil)
	r := compiler(t, features)
	h := &host{slice: Slice, fuel: 1e6}
	h.install(t, r)
	_, err := r.InstantiateWithConfig(t.Context(), m.Code, wazero.NewModuleConfig().WithName(""))
	if !errors.Is(err, errFuel) {
		t.Errorf("it ended with %v", err)
	}
}

// TestCollector has Go's collector run beside a guest that spins: it must not wait
// for the guest's end.
func TestCollector(t *testing.T) {
	m := mustRewrite(t, run(1, 0, forever(nil)), nil)
	r := compiler(t, features)
	stop, started := make(chan struct{}), make(chan struct{})
	h := &host{slice: Slice}
	first := true
	h.onTick = func() {
		if first {
			close(started)
			first = false
		}
		select {
		case <-stop:
			panic(errFuel)
		default:
		}
	}
	h.install(t, r)
	in, err := r.InstantiateWithConfig(t.Context(), m.Code, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		t.Fatal(err)
	}
	h.begin(in)
	ended := make(chan error)
	go func() { // ends by stop
		_, err := in.ExportedFunction("run").Call(context.Background())
		ended <- err
	}()
	<-started
	worst := collections()
	close(stop)
	if err := <-ended; !errors.Is(err, errFuel) {
		t.Errorf("the guest ended with %v", err)
	}
	t.Logf("at most %v for a collection beside a guest that spins, %v without", worst, collections())
	if worst > time.Second {
		t.Errorf("a collection took %v", worst)
	}
}

// collections is the longest time of some collections.
func collections() (worst time.Duration) {
	for range 20 {
		began := time.Now()
		stdruntime.GC()
		worst = max(worst, time.Since(began))
	}
	return worst
}
