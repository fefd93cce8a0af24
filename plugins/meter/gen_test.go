package meter

import (
	"math/rand/v2"

	"github.com/heddle-rt/heddle/plugins/wasm"
)

// generator makes random valid modules whose functions end: loops count down, and
// functions call only those behind them.
type generator struct {
	*rand.Rand
	m     *wasm.Module
	calls bool
	bulk  bool

	// Of the function at hand.
	self   int
	sig    wasm.FuncType
	locals []wasm.ValType
	labels [][]wasm.ValType // what a branch to each carries, the innermost last
	code   asm
	budget int
}

var numbers = []wasm.ValType{wasm.I32, wasm.I64, wasm.F64}

const (
	genFuncs   = 5
	genPages   = 4
	genGlobals = 3
)

// genSegment is the size of the passive data segment.
const genSegment = 70000

// generate makes a module with functions f0 to f4, a memory, a table of all
// functions and some globals.
func generate(seed uint64, calls, bulk bool) []byte {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 17)), calls: calls, bulk: bulk}
	m := &wasm.Module{
		Memories: []wasm.Size{{Min: genPages, Max: genPages + 2, HasMax: true}},
		Tables:   []wasm.Table{{Elem: wasm.FuncRef, Size: wasm.Size{Min: genFuncs}}},
		HasCount: true,
	}
	g.m = m
	elem := wasm.Elem{Type: wasm.FuncRef, Offset: wasm.Const{Op: wasm.OpI32Const, Raw: asm(nil).i32(0)}}
	for i := range genFuncs {
		sig := wasm.FuncType{Params: g.types(3), Results: g.types(2)}
		m.Types = append(m.Types, sig)
		m.Funcs = append(m.Funcs, uint32(i))
		m.Exports = append(m.Exports, wasm.Export{Name: "f" + string(rune('0'+i)), Kind: wasm.KindFunc, Index: uint32(i)})
		elem.Funcs = append(elem.Funcs, uint32(i))
	}
	m.Exports = append(m.Exports, wasm.Export{Name: "memory", Kind: wasm.KindMemory})
	m.Elems = []wasm.Elem{elem}
	for i := range genGlobals {
		m.Exports = append(m.Exports, wasm.Export{Name: "g" + string(rune('0'+i)), Kind: wasm.KindGlobal, Index: uint32(i)})
		zero := wasm.Const{Op: wasm.OpI32Const, Raw: asm(nil).i32(int32(g.Uint32()))}
		m.Globals = append(m.Globals, wasm.Global{GlobalType: wasm.GlobalType{Type: wasm.I32, Mutable: true}, Init: zero})
	}
	segment := make([]byte, genSegment)
	for i := range segment {
		segment[i] = byte(g.Uint32())
	}
	m.Datas = []wasm.Data{{Mode: wasm.Passive, Bytes: segment}, {Offset: elem.Offset, Bytes: segment[:1000]}}
	for i := range genFuncs {
		m.Codes = append(m.Codes, g.function(i))
	}
	return m.Append(nil)
}

func (g *generator) types(most int) []wasm.ValType {
	ts := make([]wasm.ValType, g.IntN(most+1))
	for i := range ts {
		ts[i] = numbers[g.IntN(len(numbers))]
	}
	return ts
}

func (g *generator) function(i int) wasm.Code {
	g.self, g.sig, g.code, g.budget = i, g.m.Types[i], nil, 20+g.IntN(150)
	g.locals = append([]wasm.ValType{}, g.sig.Params...)
	var runs []wasm.Locals
	for _, t := range append([]wasm.ValType{wasm.I32, wasm.I64, wasm.F64}, g.types(4)...) {
		g.locals = append(g.locals, t)
		runs = append(runs, wasm.Locals{N: 1, Type: t})
	}
	g.labels = [][]wasm.ValType{g.sig.Results}
	before := len(g.locals)
	g.statements(3)
	g.values(g.sig.Results, 2)
	g.code = g.code.op(wasm.OpEnd)
	for _, t := range g.locals[before:] { // counters of loops
		runs = append(runs, wasm.Locals{N: 1, Type: t})
	}
	return wasm.Code{Locals: runs, Body: g.code}
}

func (g *generator) values(ts []wasm.ValType, depth int) {
	for _, t := range ts {
		g.value(t, depth)
	}
}

// statements leave the stack as it was.
func (g *generator) statements(depth int) {
	for range 1 + g.IntN(4) {
		if g.budget--; g.budget < 0 {
			return
		}
		g.statement(depth)
	}
}

func (g *generator) statement(depth int) {
	kind := g.IntN(12)
	if depth <= 0 {
		kind = g.IntN(5)
	}
	switch kind {
	case 0, 1:
		i := g.IntN(len(g.sig.Params) + 3)
		g.value(g.locals[i], 2)
		g.code = g.code.set(uint32(i))
	case 2:
		g.value(wasm.I32, 2)
		g.code = g.code.with(wasm.OpGlobalSet, uint32(g.IntN(len(g.m.Globals))))
	case 3:
		g.store()
	case 4:
		t := numbers[g.IntN(len(numbers))]
		g.value(t, 3)
		g.code = g.code.op(wasm.OpDrop)
	case 5, 6:
		g.block(depth)
	case 7:
		g.loop(depth)
	case 8, 9:
		g.conditional(depth)
	case 10:
		g.branch()
	case 11:
		g.effect()
	}
}

// address leaves an address that is within memory, mostly.
func (g *generator) address() {
	g.value(wasm.I32, 1)
	if g.IntN(200) > 0 {
		g.code = g.code.i32(genPages*PageSize/2 - 1).op(0x71) // and
	}
}

func (g *generator) store() {
	g.address()
	g.value(wasm.I64, 2)
	g.code = append(g.code, 0x37, 0, byte(g.IntN(100)))
}

func (g *generator) block(depth int) {
	results := g.types(1)
	g.code = g.code.open(wasm.OpBlock, wasm.ResultType(results))
	g.inside(results, results, depth)
	g.drop(len(results))
}

// inside is a block's body and end.
func (g *generator) inside(label, results []wasm.ValType, depth int) {
	g.labels = append(g.labels, label)
	g.statements(depth - 1)
	g.values(results, 1)
	g.labels = g.labels[:len(g.labels)-1]
	g.code = g.code.op(wasm.OpEnd)
}

func (g *generator) drop(n int) {
	for range n {
		g.code = g.code.op(wasm.OpDrop)
	}
}

// loop repeats up to three times, from its end and from anywhere within: each
// time it takes one off a counter, and leaves if nothing remains.
func (g *generator) loop(depth int) {
	counter := uint32(len(g.locals))
	g.locals = append(g.locals, wasm.I32)
	g.code = g.code.i32(int32(1 + g.IntN(3))).set(counter)
	g.code = g.code.open(wasm.OpBlock, wasm.NoResult).open(wasm.OpLoop, wasm.NoResult)
	g.code = g.code.get(counter).op(wasm.OpI32Eqz).with(wasm.OpBrIf, 1)
	g.code = g.code.get(counter).i32(1).op(wasm.OpI32Sub).set(counter)
	g.labels = append(g.labels, nil, nil)
	g.statements(depth - 1)
	if g.IntN(4) > 0 {
		g.code = g.code.with(wasm.OpBr, 0)
	}
	g.labels = g.labels[:len(g.labels)-2]
	g.code = g.code.op(wasm.OpEnd, wasm.OpEnd)
}

func (g *generator) conditional(depth int) {
	results := g.types(1)
	g.value(wasm.I32, 2)
	g.code = g.code.open(wasm.OpIf, wasm.ResultType(results))
	if len(results) == 0 && g.IntN(2) == 0 {
		g.inside(nil, nil, depth)
		return
	}
	g.labels = append(g.labels, results)
	g.statements(depth - 1)
	g.values(results, 1)
	g.labels = g.labels[:len(g.labels)-1]
	g.code = g.code.op(wasm.OpElse)
	g.inside(results, results, depth)
	g.drop(len(results))
}

// branch leaves the stack as it was, and what follows is dead or not.
func (g *generator) branch() {
	to := g.IntN(len(g.labels))
	carried := g.labels[len(g.labels)-1-to]
	g.values(carried, 1)
	switch g.IntN(6) {
	case 0:
		g.code = g.code.with(wasm.OpBr, uint32(to))
		g.values(carried, 0)
		g.drop(len(carried))
		return
	case 1:
		if to == len(g.labels)-1 {
			g.code = g.code.op(wasm.OpReturn)
			return
		}
	case 2:
		g.table(uint32(to), carried)
		return
	}
	g.value(wasm.I32, 1)
	g.code = g.code.with(wasm.OpBrIf, uint32(to))
	g.drop(len(carried))
}

// table is a br_table to labels that carry the same values.
func (g *generator) table(to uint32, carried []wasm.ValType) {
	g.value(wasm.I32, 1)
	n := g.IntN(5)
	g.code = g.code.i32(7).op(0x71)
	g.code = g.code.with(wasm.OpBrTable, uint32(n))
	for range n {
		other := g.IntN(len(g.labels))
		if string(asTypes(g.labels[len(g.labels)-1-other])) == string(asTypes(carried)) {
			g.code = wasm.AppendU32(g.code, uint32(other))
		} else {
			g.code = wasm.AppendU32(g.code, to)
		}
	}
	g.code = wasm.AppendU32(g.code, to)
}

func asTypes(ts []wasm.ValType) []byte {
	var b []byte
	for _, t := range ts {
		b = append(b, byte(t))
	}
	return b
}
