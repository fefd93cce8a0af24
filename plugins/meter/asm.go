package meter

import "github.com/heddle-rt/heddle/plugins/wasm"

// asm is code under construction. Its methods append one instruction each and
// give back the whole, so that a sequence reads as in the text format.
type asm []byte

func (a asm) op(ops ...wasm.Op) asm {
	for _, op := range ops {
		a = op.Append(a)
	}
	return a
}

// with appends an instruction whose immediate is an index.
func (a asm) with(op wasm.Op, index uint32) asm { return wasm.AppendU32(op.Append(a), index) }

func (a asm) i32(v int32) asm { return wasm.AppendS64(wasm.OpI32Const.Append(a), int64(v)) }

func (a asm) i64(v int64) asm { return wasm.AppendS64(wasm.OpI64Const.Append(a), v) }

// open appends a block, loop or if.
func (a asm) open(op wasm.Op, t wasm.BlockType) asm { return t.Append(op.Append(a)) }

func (a asm) get(local uint32) asm { return a.with(wasm.OpLocalGet, local) }
func (a asm) set(local uint32) asm { return a.with(wasm.OpLocalSet, local) }
func (a asm) tee(local uint32) asm { return a.with(wasm.OpLocalTee, local) }

// memory appends an instruction on memory, whose n memory indices are zero.
func (a asm) memory(op wasm.Op, n int) asm { return append(op.Append(a), make([]byte, n)...) }
