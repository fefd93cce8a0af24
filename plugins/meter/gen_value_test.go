package meter

import (
	"encoding/binary"

	"github.com/heddle-rt/heddle/plugins/wasm"
)

// effect is a call, a bulk operation or a memory.grow.
func (g *generator) effect() {
	switch kind := g.IntN(5); {
	case kind < 2 && g.calls && g.self < genFuncs-1:
		f := g.self + 1 + g.IntN(genFuncs-1-g.self)
		g.values(g.m.Types[f].Params, 1)
		if g.IntN(3) == 0 {
			g.code = g.code.i32(int32(f))
			g.code = append(g.code.with(wasm.OpCallIndirect, uint32(f)), 0)
		} else {
			g.code = g.code.with(wasm.OpCall, uint32(f))
		}
		g.drop(len(g.m.Types[f].Results))
	case kind < 4 && g.bulk:
		g.move()
	case kind == 4 && g.bulk:
		g.code = g.code.i32(int32(g.IntN(3)))
		g.code = append(g.code, 0x40, 0).op(wasm.OpDrop)
	}
}

func (g *generator) move() {
	g.address()
	switch g.IntN(3) {
	case 0:
		g.value(wasm.I32, 1)
		g.size()
		g.code = g.code.memory(wasm.OpMemoryFill, 1)
	case 1:
		g.address()
		g.size()
		g.code = g.code.memory(wasm.OpMemoryCopy, 2)
	case 2:
		g.code = g.code.i32(int32(g.IntN(2000)))
		g.code = g.code.i32(int32(g.IntN(68200)))
		g.code = append(g.code.with(wasm.OpMemoryInit, 0), 0)
	}
}

// size leaves a length, small or over a chunk.
func (g *generator) size() {
	g.code = g.code.i32(int32([...]int{g.IntN(100), g.IntN(1000), chunk, g.IntN(3 * chunk / 2)}[g.IntN(4)]))
}

// value leaves a value of type t.
func (g *generator) value(t wasm.ValType, depth int) {
	if depth > 0 && g.IntN(3) > 0 {
		g.operation(t, depth)
		return
	}
	for i, l := range g.locals {
		if l == t && g.IntN(2) == 0 {
			g.code = g.code.get(uint32(i))
			return
		}
	}
	switch t {
	case wasm.I32:
		g.code = g.code.i32(int32(g.Uint32()) >> g.IntN(32))
	case wasm.I64:
		g.code = g.code.i64(int64(g.Uint64()) >> g.IntN(64))
	default:
		g.code = binary.LittleEndian.AppendUint64(g.code.op(wasm.OpF64Const), uint64(g.Uint32())<<30)
	}
}

func (g *generator) operation(t wasm.ValType, depth int) {
	switch g.IntN(6) {
	case 0: // load
		g.address()
		op := map[wasm.ValType]byte{wasm.I32: 0x2d, wasm.I64: 0x29, wasm.F64: 0x2b}[t]
		g.code = append(g.code, op, 0, byte(g.IntN(64)))
	case 1: // a block with a result
		results := []wasm.ValType{t}
		g.code = g.code.open(wasm.OpBlock, wasm.ResultType(results))
		g.inside(results, results, 1)
	case 2:
		g.value(t, depth-1)
		g.value(t, depth-1)
		g.value(wasm.I32, depth-1)
		g.code = g.code.op(wasm.OpSelect)
	default:
		g.value(t, depth-1)
		g.value(t, depth-1)
		ops := map[wasm.ValType][]wasm.Op{
			wasm.I32: {0x6a, 0x6b, 0x6c, 0x71, 0x72, 0x73, 0x74, 0x77, 0x46, 0x48, 0x6e, 0x4b},
			wasm.I64: {0x7c, 0x7d, 0x7e, 0x83, 0x84, 0x85, 0x86},
			wasm.F64: {0xa0, 0xa1, 0xa2},
		}[t]
		g.code = g.code.op(ops[g.IntN(len(ops))])
	}
}
