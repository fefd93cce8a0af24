package guest

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest/guesttest"
	"github.com/heddle-rt/heddle/plugins/memory"
	"github.com/heddle-rt/heddle/plugins/meter"
	"github.com/heddle-rt/heddle/plugins/wasm"
)

// slow is a host that takes its time, and keeps what it was asked.
type slow struct {
	recorder
	takes   time.Duration
	asked   int
	longest int
}

func (s *slow) work(n int) {
	s.asked++
	s.longest = max(s.longest, n)
	for began := time.Now(); time.Since(began) < s.takes; {
		runtime.Gosched()
	}
}

func (s *slow) Log(_ int, text string) { s.work(len(text)) }
func (s *slow) Metric(_ int, name string, _ float64) hostapi.Status {
	s.work(len(name))
	return hostapi.OK
}
func (s *slow) Secret(name string) ([]byte, hostapi.Status) {
	s.work(len(name))
	return make([]byte, 4096), hostapi.OK
}
func (s *slow) Lookup(_ hostapi.Lookup, name string) ([]byte, hostapi.Status) {
	s.work(len(name))
	return make([]byte, 4096), hostapi.OK
}
func (s *slow) Get(key []byte) ([]byte, hostapi.Status) {
	s.work(len(key))
	return make([]byte, 4096), hostapi.OK
}
func (s *slow) Put(key, _ []byte, _ time.Duration) hostapi.Status {
	s.work(len(key))
	return hostapi.OK
}
func (s *slow) Delete(key []byte) hostapi.Status { s.work(len(key)); return hostapi.OK }
func (s *slow) Swap(key, _, _ []byte, _ time.Duration) hostapi.Status {
	s.work(len(key))
	return hostapi.OK
}
func (s *slow) Add(key []byte, _ int64, _ time.Duration) (int64, hostapi.Status) {
	s.work(len(key))
	return 1, hostapi.OK
}

// reaching are functions that reach the host, with arguments in bounds; name and n stand
// for a name that long.
func reaching(n int64) map[string]wat {
	at := func() wat { return wat{}.I32(guesttest.FreeAt, n) }
	return map[string]wat{
		"log":       wat{}.I32(1, guesttest.FreeAt, n),
		"metric":    wat{}.I32(0, guesttest.FreeAt, n).F64(0),
		"secret":    at().I32(guesttest.FreeAt, 64),
		"lookup":    wat{}.I32(1, guesttest.FreeAt, n, guesttest.FreeAt, 64),
		"kv_get":    at().I32(guesttest.FreeAt, 64),
		"kv_put":    at().I32(guesttest.FreeAt, 64).I64(0),
		"kv_delete": at(),
		"kv_swap":   at().I32(guesttest.FreeAt, 64, guesttest.FreeAt, 64).I64(0),
		"kv_add":    at().I64(1).I64(0).I32(guesttest.FreeAt),
	}
}

// asks is a batch that calls import 0 so often.
func asks(name string, args wat, times int) wat {
	var a wat
	for range times {
		a = append(a, args...)
		if a = a.Call(0); name != "log" {
			a = a.Op(wasm.OpDrop)
		}
	}
	return a.I32(0)
}

func event() []hostapi.Record { return []hostapi.Record{record("x", "")} }

// TestHostsTimeIsTheGuests has a host that takes long for each call: the guest's time is
// over behind the one that has overdrawn it.
func TestHostsTimeIsTheGuests(t *testing.T) {
	for name, args := range reaching(8) {
		t.Run(name, func(t *testing.T) {
			const takes, times = 10 * time.Millisecond, 20
			i := started(t, small{Imports: []string{name}, Batch: asks(name, args, times)}, func(p *Plan) { p.Limits.Timeout = 3 * takes })
			h := &slow{takes: takes}
			var out Output
			var trap *Trap
			err := i.Run(&Call{Host: h, Records: event()}, &out)
			if !errors.As(err, &trap) || trap.Reason != TrapDeadline || h.asked > 3 {
				t.Errorf("%v, after %d calls of %v", err, h.asked, takes)
			}
		})
	}
}

// TestLinesAreTheGuestsTime has one write of very many lines.
func TestLinesAreTheGuestsTime(t *testing.T) {
	i := started(t, small{}, func(p *Plan) { p.Limits.Logs = 64 << 10 })
	h := &slow{takes: time.Millisecond}
	i.host = h
	i.begin(20*time.Millisecond, 1e9, 0)
	defer func() {
		if recover() == nil || i.trap == nil || i.trap.Reason != TrapDeadline || h.asked > 25 {
			t.Errorf("%v, after %d lines of 1 ms", i.trap, h.asked)
		}
	}()
	i.print(1, []byte(strings.Repeat("a\n", 200)))
}

// TestLongNamesAreNotLookedAt has names that no name is as long as.
func TestLongNamesAreNotLookedAt(t *testing.T) {
	for name, args := range reaching(64 << 10) {
		if name == "log" {
			continue // it is cut
		}
		t.Run(name, func(t *testing.T) {
			i := started(t, small{Imports: []string{name}, Batch: asks(name, args, 1)}, nil)
			h := &slow{}
			var out Output
			if err := i.Run(&Call{Host: h, Records: event()}, &out); err != nil || h.asked != 0 {
				t.Errorf("%v; a name of %d bytes has reached the host", err, h.longest)
			}
		})
	}
}

// TestCopiesAreCharged holds what goes to the host and what comes from it.
func TestCopiesAreCharged(t *testing.T) {
	fuel := func(name string, args wat) int64 {
		i := started(t, small{Imports: []string{name}, Batch: asks(name, args, 1)}, nil)
		var out Output
		if err := i.Run(&Call{Host: &slow{}, Records: event()}, &out); err != nil {
			t.Fatal(name, err)
		}
		return out.Usage.Fuel
	}
	put := func(n int64) wat { return wat{}.I32(guesttest.FreeAt, 8, guesttest.FreeAt, n).I64(0) }
	swap := func(n int64) wat {
		return wat{}.I32(guesttest.FreeAt, 8, guesttest.FreeAt, n, guesttest.FreeAt, n).I64(0)
	}
	for name, c := range map[string]struct {
		fn           string
		little, much wat
		bytes        int64
	}{
		"a value":               {"kv_put", put(0), put(64 << 10), 64 << 10},
		"two values":            {"kv_swap", swap(0), swap(64 << 10), 128 << 10},
		"a key":                 {"kv_delete", wat{}.I32(guesttest.FreeAt, 8), wat{}.I32(guesttest.FreeAt, 256), 192},
		"a line":                {"log", wat{}.I32(1, guesttest.FreeAt, 8), wat{}.I32(1, guesttest.FreeAt, 4096), 4096 - 64},
		"one that does not fit": {"kv_get", wat{}.I32(guesttest.FreeAt, 8, guesttest.FreeAt, -1), wat{}.I32(guesttest.FreeAt, 8, guesttest.FreeAt, 0), 4096},
	} {
		if d := fuel(c.fn, c.much) - fuel(c.fn, c.little); d < c.bytes/copyBytes {
			t.Errorf("%s: %d bytes more cost %d more", name, c.bytes, d)
		}
	}
}

// TestBadVectorIsCharged has a write that fails behind much that was read.
func TestBadVectorIsCharged(t *testing.T) {
	i := started(t, small{}, nil)
	i.host = &recorder{}
	i.begin(time.Minute, 1e9, 0)
	const n = 32 << 10
	for k, v := range []uint32{guesttest.FreeAt, n, 0xfffffff0, 64} {
		i.mem.WriteUint32Le(guesttest.InAt+8+4*uint32(k), v)
	}
	before := i.fuel()
	stack := []uint64{1, guesttest.InAt + 8, 2, guesttest.OutAt}
	fdWrite(i, stack)
	if spent := before - i.fuel(); stack[0] != errnoFault || spent < n/drawnBytes {
		t.Errorf("error %d for %d of fuel", stack[0], spent)
	}
}

// reserved is how many bytes of addresses the process has.
func reserved(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip(err)
	}
	pages := 0
	for _, c := range text {
		if c < '0' || c > '9' {
			break
		}
		pages = 10*pages + int(c-'0')
	}
	return pages * os.Getpagesize()
}

// forgetful takes its memory from a module.
func forgetful(m *wasm.Module) { m.Memories, m.Datas, m.Exports = nil, nil, m.Exports[1:] }

// hidden has a module keep its memory to itself.
func hidden(m *wasm.Module) { m.Exports = m.Exports[1:] }

// TestModuleWithoutMemory is refused in words, and leaves nothing.
func TestModuleWithoutMemory(t *testing.T) {
	const each, times = 1 << 30, 16
	for name, s := range map[string]small{"none": {Change: forgetful}, "hidden": {Change: hidden}, "none, that begins": {Change: forgetful, Start: wat{}}} {
		t.Run(name, func(t *testing.T) {
			before := reserved(t)
			for range times {
				_, err := compile(t, s, func(p *Plan) { p.Limits.Memory = each })
				if err == nil || !strings.Contains(err.Error(), "does not export memory") {
					t.Fatal(err)
				}
			}
			if after := reserved(t); after-before > each*times/2 {
				t.Errorf("%d MiB of addresses are left", (after-before)>>20)
			}
		})
	}
}

// TestCloseFreesTheSpace also of an instance for which wazero has not taken it.
func TestCloseFreesTheSpace(t *testing.T) {
	p, err := compile(t, small{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	i, err := p.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := i.module.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if i.space, err = memory.New(memory.PageSize, nil); err != nil { // as if it had another one
		t.Fatal(err)
	}
	i.Close()
	i.Close()
	if i.space.Limit() != 0 || p.Instances() != 0 {
		t.Errorf("%d bytes are reserved, %d instances are left", i.space.Limit(), p.Instances())
	}
}

// TestStartFunction calls the host, which nobody has introduced it to.
func TestStartFunction(t *testing.T) {
	for name, args := range reaching(8) {
		t.Run(name, func(t *testing.T) {
			start := args.Call(0)
			if name != "log" {
				start = start.Op(wasm.OpDrop)
			}
			h := &slow{}
			s := small{Imports: []string{name}, Start: start}
			if started(t, s, func(p *Plan) { p.Host = h }); h.asked != 1 {
				t.Errorf("the host was asked %d times", h.asked)
			}
		})
	}
	t.Run("payload", func(t *testing.T) {
		started(t, small{Imports: []string{"payload"}, Start: wat{}.I32(0, 0, guesttest.FreeAt, 8).Call(0).Op(wasm.OpDrop)}, nil)
	})
	t.Run("fails", func(t *testing.T) {
		_, err := compile(t, small{Start: wat{}.Op(wasm.OpUnreachable)}, nil)
		var trap *Trap
		if !errors.As(err, &trap) || trap.Reason != TrapCode || !strings.Contains(err.Error(), "unreachable: the code gave up") {
			t.Error(err)
		}
	})
	t.Run("spins", func(t *testing.T) {
		forever := append(wat{byte(wasm.OpLoop), 0x40, byte(wasm.OpBr), 0}, byte(wasm.OpEnd))
		_, err := compile(t, small{Imports: []string{"now"}, Start: append(wat{}.Call(0).Op(wasm.OpDrop), forever...)}, func(p *Plan) { p.Limits.Start = 20 * time.Millisecond })
		var trap *Trap
		if !errors.As(err, &trap) || trap.Reason != TrapDeadline {
			t.Error(err)
		}
	})
}

// broken is a host that fails as only the node's own code does.
type broken struct{ recorder }

func (*broken) Log(int, string) {
	var nothing *slow
	nothing.asked++
}

// TestNodesFaultIsTheNodes has a host that panics: the developer reads nothing of the
// node's inside.
func TestNodesFaultIsTheNodes(t *testing.T) {
	args := wat{}.I32(1, guesttest.FreeAt, 8)
	look := func(t *testing.T, err error) {
		var trap *Trap
		if !errors.As(err, &trap) || trap.Reason != TrapHost {
			t.Fatal(err)
		}
		if told := err.Error() + trap.Why + trap.Stack; strings.Contains(told, ".go:") || strings.Contains(told, "goroutine") || strings.Contains(told, "nil pointer") {
			t.Errorf("it is told %s", told)
		}
		if !strings.Contains(trap.Node, "nil pointer") || !strings.Contains(trap.Node, "hostile_test.go:") {
			t.Errorf("the operator is told %q", trap.Node)
		}
	}
	t.Run("call", func(t *testing.T) {
		i := started(t, small{Imports: []string{"log"}, Batch: args.Call(0).I32(0)}, nil)
		var out Output
		look(t, i.Run(&Call{Host: &broken{}, Records: event()}, &out))
	})
	t.Run("start", func(t *testing.T) {
		_, err := compile(t, small{Imports: []string{"log"}, Start: args.Call(0)}, func(p *Plan) { p.Host = &broken{} })
		look(t, err)
	})
}

// TestSeedIsCounted finds what the seed has cost in the usage of the next call, once.
func TestSeedIsCounted(t *testing.T) {
	draw := wat{}.I32(guesttest.FreeAt, 64<<10).Call(0).Op(wasm.OpDrop)
	i := started(t, small{Imports: []string{"random"}, More: []guesttest.Function{{Name: hostapi.ExportSeed, Params: []wasm.ValType{wasm.I64}, Body: draw}}}, nil)
	const least = 64 << 10 / drawnBytes
	var out Output
	for n, seeded := range []bool{true, true, false} { // by the start, and by the reset behind the first call
		if err := i.Run(&Call{Host: &recorder{}, Records: event()}, &out); err != nil {
			t.Fatal(err)
		}
		if u := out.Usage; (u.SeedFuel >= least) != seeded || (u.SeedTime > 0) != seeded || u.Fuel >= least {
			t.Errorf("call %d: %+v", n, u)
		}
		if n == 0 {
			if err := i.Reset(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestUntold: what an instance has used beside its calls is told once, be it of its seed or
// because it has initialised itself.
func TestUntold(t *testing.T) {
	draw := wat{}.I32(guesttest.FreeAt, 64<<10).Call(0).Op(wasm.OpDrop)
	const least = 64 << 10 / drawnBytes
	seed := []guesttest.Function{{Name: hostapi.ExportSeed, Params: []wasm.ValType{wasm.I64}, Body: draw}}
	null := wasm.Const{Op: wasm.OpRefNull, Raw: wasm.OpRefNull.Append(nil)}
	null.Raw = append(null.Raw, 0x70)
	for name, s := range map[string]small{
		"a seed": {Imports: []string{"random"}, More: seed},
		"it is initialised": {Imports: []string{"random"}, Init: draw.I32(0), Change: func(m *wasm.Module) { // it cannot be captured
			m.Globals = append(m.Globals, wasm.Global{GlobalType: wasm.GlobalType{Type: wasm.FuncRef, Mutable: true}, Init: null})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			i := started(t, s, nil)
			if captured := name == "a seed"; i.program.Captured() != captured {
				t.Fatalf("captured: %v", !captured)
			}
			if took, fuel := i.Untold(); took <= 0 || fuel < least || fuel > 1000*least {
				t.Errorf("%v, %d of fuel", took, fuel)
			}
			if took, fuel := i.Untold(); took != 0 || fuel != 0 {
				t.Errorf("again: %v, %d of fuel", took, fuel)
			}
		})
	}
}

// TestResetForgetsTime has an instance sleep in a time that was given: the next event
// does not see it.
func TestResetForgetsTime(t *testing.T) {
	at := time.UnixMilli(1767225600000)
	i := instance(t, program(t, "", nil))
	text(t, i, at, "clocks", "")
	fresh := i.clock.steady
	text(t, i, at, "clocks", "10h")
	text(t, i, at.Add(10*time.Hour), "clocks", "10h")
	if err := i.Reset(); err != nil {
		t.Fatal(err)
	}
	if text(t, i, at, "clocks", ""); i.clock.steady-fresh > time.Hour {
		t.Errorf("its clock has gone on by %v", i.clock.steady-fresh)
	}
}

// TestMemoryOfPartsOfPages is rounded down, for all alike.
func TestMemoryOfPartsOfPages(t *testing.T) {
	i := started(t, small{}, func(p *Plan) { p.Limits.Memory = 5*meter.PageSize + 1 })
	if got := i.space.Limit(); got != 5*meter.PageSize {
		t.Errorf("it may have %d bytes", got)
	}
	l := Limits{Memory: 2*meter.PageSize - 1}
	if c := l.meter(nil); c.Memory != meter.PageSize {
		t.Errorf("the module may have %d bytes", c.Memory)
	}
}

// TestStackIsGivenBack has one call nest deep, which no other one does.
func TestStackIsGivenBack(t *testing.T) {
	s, i32 := small{}, []wasm.ValType{wasm.I32}
	nested := s.Index(0)
	deep := append(wat{}.With(wasm.OpLocalGet, 0).Op(wasm.OpIf), 0x7f)
	deep = deep.With(wasm.OpLocalGet, 0).I32(1).Op(wasm.OpI32Sub).Call(nested).With(wasm.OpLocalGet, 0).Op(wasm.OpI32Add).Op(wasm.OpElse).I32(0).Op(wasm.OpEnd)
	s.More = []guesttest.Function{{Params: i32, Results: i32, Body: deep}}
	for name, c := range map[string]struct {
		levels int64
		grown  bool
	}{"shallow": {10, false}, "deep": {10000, true}} {
		t.Run(name, func(t *testing.T) {
			s.Batch = wat{}.I32(c.levels).Call(nested).Op(wasm.OpDrop).I32(0)
			i := started(t, s, nil)
			began := i.batch.kept()
			if began < 1<<10 {
				t.Fatalf("the stack begins with %d bytes: wazero keeps it elsewhere", began)
			}
			before := i.batch
			if _, err := i.run(i.batch.f, 1, 0); err != nil {
				t.Fatal(err)
			}
			if grown := before.kept() > maxStack; grown != c.grown {
				t.Fatalf("%d levels take %d bytes", c.levels, before.kept())
			}
			var out Output
			for range 3 {
				if err := i.Run(&Call{Host: &recorder{}, Records: event()}, &out); err != nil {
					t.Fatal(err)
				}
				if n := i.batch.kept(); n > maxStack || c.grown != (i.batch.f != before.f) {
					t.Errorf("%d bytes of stack are kept", n)
				}
			}
		})
	}
}
