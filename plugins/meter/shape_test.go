package meter

import (
	"bytes"
	"testing"

	"github.com/heddle-rt/heddle/plugins/wasm"
	"github.com/heddle-rt/heddle/runtime/config"
)

// work is n instructions in a row.
func work(n int) asm { return times(n, asm(nil).op(wasm.OpNop)) }

// param is the function's parameter, and a branch of it would be unforeseen.
func param() asm { return asm(nil).get(0) }

// rounds is a loop around body that runs ten times; its counter is local 1.
func rounds(body asm) asm {
	a := asm(nil).i32(10).set(1).open(wasm.OpLoop, wasm.NoResult).join(body)
	return a.get(1).i32(1).op(wasm.OpI32Sub).tee(1).with(wasm.OpBrIf, 0).op(wasm.OpEnd)
}

// shapes are functions for each rule that says where charge points are. Function 1 is
// a leaf with a loop.
func shapes() map[string]asm {
	block := func(body asm) asm { return asm(nil).open(wasm.OpBlock, wasm.NoResult).join(body).op(wasm.OpEnd) }
	when := func(then asm) asm { return param().open(wasm.OpIf, wasm.NoResult).join(then).op(wasm.OpEnd) }
	either := func(then, other asm) asm {
		return param().open(wasm.OpIf, wasm.NoResult).join(then).op(wasm.OpElse).join(other).op(wasm.OpEnd)
	}
	call := asm(nil).with(wasm.OpCall, 1)
	return map[string]asm{
		"nothing":                       nil,
		"straight-line":                 work(1000),
		"a loop":                        rounds(work(30)).join(work(50)),
		"loops within loops":            rounds(work(5).join(block(rounds2(work(3)))).join(work(5))).join(work(9)),
		"an if":                         when(work(20)).join(work(100)),
		"an if around a loop":           when(rounds(work(9))).join(work(100)),
		"an if around much":             when(work(900)).join(work(100)),
		"an if in a loop":               rounds(when(work(40)).join(work(30))),
		"an else behind a loop":         either(rounds(work(9)), work(100)).join(work(100)),
		"a loop in an else":             either(work(100), rounds(work(9))).join(work(100)),
		"two loops":                     either(rounds(work(9)), rounds(work(7))).join(work(100)),
		"ifs in a row":                  times(30, when(rounds(work(2)))),
		"ifs around loops with calls":   times(30, when(rounds(asm(nil).with(wasm.OpCall, 1)))),
		"a jump over a loop":            block(param().with(wasm.OpBrIf, 0).join(rounds(work(9)))).join(work(100)),
		"a jump over much":              block(param().with(wasm.OpBrIf, 0).join(work(900))).join(work(100)),
		"jumps out of a loop":           block(rounds(work(9).join(param()).with(wasm.OpBrIf, 1))).join(work(100)),
		"a br_table over loops":         block(block(param().with(wasm.OpBrTable, 1).join(asm{0, 1})).join(rounds(work(9)))).join(work(100)),
		"a return from a loop":          rounds(work(9).join(when(asm(nil).op(wasm.OpReturn)))).join(work(100)),
		"calls":                         call.join(work(100)).join(call).join(work(3)),
		"a call in a loop":              rounds(work(3).join(asm(nil).with(wasm.OpCall, 1)).join(work(40))),
		"a loop and then a call":        rounds(work(9)).join(asm(nil).with(wasm.OpCall, 1)).join(work(9)),
		"a call between loops":          rounds(work(9)).join(asm(nil).with(wasm.OpCall, 1)).join(rounds(work(9))),
		"little, and a loop":            work(3).join(rounds(work(1))).join(work(3)),
		"little, and a loop with calls": work(3).join(rounds(asm(nil).with(wasm.OpCall, 1))),
		"the end of an if":              when(asm(nil).with(wasm.OpBr, 1)).join(work(100)),
	}
}

// rounds2 is rounds with local 2 for its counter.
func rounds2(body asm) asm {
	a := asm(nil).i32(4).set(2).open(wasm.OpLoop, wasm.NoResult).join(body)
	return a.get(2).i32(1).op(wasm.OpI32Sub).tee(2).with(wasm.OpBrIf, 0).op(wasm.OpEnd)
}

func shape(body asm) []byte {
	b := newBuilder(1)
	locals := []wasm.Locals{{N: 2, Type: wasm.I32}}
	b.function("run", 1, 0, 0, body)
	b.function("", 0, 0, 0, rounds(work(7)))
	b.Codes[0].Locals = locals
	b.Codes[1].Locals = locals
	return b.bytes()
}

// TestShapes holds each shape of code to what is promised: what is charged is no less
// than what runs, and not much more if all of it runs; and between two ticks no more runs than the
// limit, and what is owed.
func TestShapes(t *testing.T) {
	validate := validator(t, features)
	for name, body := range shapes() {
		t.Run(name, func(t *testing.T) {
			code := shape(body)
			count := start(t, interpreter(t), rewriteWith(t, code, 1, exact(), validate).Code, &host{})
			for _, limit := range []int{8, 40, 256} {
				metered := start(t, interpreter(t), rewriteWith(t, code, limit, exact(), validate).Code, &host{slice: 1000})
				for arg := range uint64(3) {
					var used [2]int64
					for i, in := range []instance{count, metered} {
						in.host.begin(in.Module)
						if _, err := in.ExportedFunction("run").Call(t.Context(), arg); err != nil {
							t.Fatal(err)
						}
						used[i] = in.host.end()
					}
					ran, charged := used[0], used[1]
					all := !bytes.Contains(body, param()) // nothing is left out
					if charged < ran || all && charged > ran+ran/2+60 {
						t.Errorf("limit %d, run(%d): %d was charged, %d ran", limit, arg, charged, ran)
					}
				}
				inner := rewriteWith(t, code, limit, ones(), validate).Code
				inner = bytes.ReplaceAll(inner, []byte(prefix), []byte("second:"))
				bound := limit + min(mostCarry, limit/8) + 24
				if bytes.Contains(body, asm(nil).with(wasm.OpCall, 1)) {
					bound += limit/tailShare + 30 // of the callee
				}
				if got := between(t, rewriteWith(t, inner, 1, ones(), validate).Code, []uint64{0, 1, 2}, "run"); got > bound {
					t.Errorf("limit %d: %d instructions between two ticks", limit, got)
				}
			}
		})
	}
}

// TestTails returns through frames without a charge: of each, a bounded part runs.
func TestTails(t *testing.T) {
	less := asm(nil).get(0).i32(1).op(wasm.OpI32Sub)
	again := append(asm(nil), less...).with(wasm.OpCall, 0)
	indirect := append(append(asm(nil), less...).i32(0).with(wasm.OpCallIndirect, 0), 0)
	when := func(then asm) asm { return param().open(wasm.OpIf, wasm.NoResult).join(then) }
	validate := validator(t, features)
	const frames, limit, epilogue = 50, 256, 8
	for name, body := range map[string]asm{ // each calls itself as often as its parameter says
		"behind a call":           when(append(again, work(55)...)).op(wasm.OpEnd),
		"behind an indirect call": when(append(indirect, work(55)...)).op(wasm.OpEnd),
		"behind an arm":           when(again).op(wasm.OpEnd).join(work(55)),
		"behind two arms":         when(append(again, work(35)...)).op(wasm.OpElse).get(0).with(wasm.OpCall, 1).op(wasm.OpEnd).join(work(55)),
	} {
		for _, depth := range []config.Size{1 << 20, 16 << 20} {
			b := newBuilder(1)
			b.function("run", 1, 0, 0, body)
			b.function("", 1, 0, 0, nil)
			b.table(1, 0)
			inner := mustRewrite(t, b.bytes(), func(c *Config) { c.Depth, c.Limit = depth, limit }).Code
			inner = bytes.ReplaceAll(inner, []byte(prefix), []byte("second:"))
			tail := limit / tailShare / int(depth>>20)
			bound := frames*(tail+epilogue) + limit
			if tail < 10 { // a charge stands behind each call
				bound = 2*tail + limit
			}
			got := between(t, rewriteWith(t, inner, 1, ones(), validate).Code, []uint64{frames}, "run")
			t.Logf("%s, depth %v: %d instructions between two ticks", name, depth, got)
			if got > bound {
				t.Errorf("%s, depth %v: %d instructions between two ticks, not %d", name, depth, got, bound)
			}
		}
	}
}

// TestLengths charges operations on tables, and growing, by their length.
func TestLengths(t *testing.T) {
	b := newBuilder(1)
	b.table(5000)
	null := asm(nil).with(wasm.OpRefNull, 0x70)
	b.Elems = append(b.Elems, wasm.Elem{Type: wasm.FuncRef, Mode: wasm.Passive, Funcs: make([]uint32, 1000)})
	for name, body := range map[string]asm{
		"table.fill":  asm(nil).i32(0).join(null).i32(1000).with(wasm.OpTableFill, 0),
		"table.copy":  append(asm(nil).i32(0).i32(9).i32(1000).with(wasm.OpTableCopy, 0), 0),
		"table.init":  append(asm(nil).i32(0).i32(0).i32(1000).with(wasm.OpTableInit, 1), 0),
		"table.grow":  null.join(asm(nil).i32(1000)).with(wasm.OpTableGrow, 0).op(wasm.OpDrop),
		"memory.grow": asm(nil).i32(3).memory(wasm.OpMemoryGrow, 1).op(wasm.OpDrop),
	} {
		b.function(name, 0, 0, 0, body)
	}
	in := start(t, interpreter(t), mustRewrite(t, b.bytes(), nil).Code, &host{slice: 1 << 30})
	for _, e := range b.Exports[1:] {
		in.host.begin(in.Module)
		if _, err := in.ExportedFunction(e.Name).Call(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := int64(1000)
		if e.Name == "memory.grow" {
			want = 3 * pageWeight
		}
		if got := in.host.end(); got < want || got > want+200 {
			t.Errorf("%s: %d was charged, not %d and a little", e.Name, got, want)
		}
	}
}
