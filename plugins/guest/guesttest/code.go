package guesttest

import (
	"encoding/binary"
	"slices"

	"github.com/heddle-rt/heddle/plugins/wasm"
)

// Instructions that package wasm has no name for.
const (
	OpI32Eq   wasm.Op = 0x46
	OpI32Ne   wasm.Op = 0x47
	OpI32DivU wasm.Op = 0x6e
)

// Code is code of a function, without its end. Its methods append to it, and give back
// the whole, so that a sequence reads as in the text format.
type Code []byte

// Op appends instructions without immediates.
func (c Code) Op(ops ...wasm.Op) Code {
	for _, op := range ops {
		c = op.Append(c)
	}
	return c
}

// With appends an instruction and its immediates.
func (c Code) With(op wasm.Op, n ...uint32) Code {
	c = op.Append(c)
	for _, x := range n {
		c = wasm.AppendU32(c, x)
	}
	return c
}

// I32 appends constants.
func (c Code) I32(all ...int64) Code {
	for _, n := range all {
		c = wasm.AppendS64(wasm.OpI32Const.Append(c), int64(int32(n)))
	}
	return c
}

// I64 appends a constant.
func (c Code) I64(n int64) Code { return wasm.AppendS64(wasm.OpI64Const.Append(c), n) }

// F64 appends a constant.
func (c Code) F64(bits uint64) Code {
	return binary.LittleEndian.AppendUint64(wasm.OpF64Const.Append(c), bits)
}

// Get appends the value of a local.
func (c Code) Get(local uint32) Code { return c.With(wasm.OpLocalGet, local) }

// Call appends a call.
func (c Code) Call(function uint32) Code { return c.With(wasm.OpCall, function) }

// Join appends other code.
func (c Code) Join(other Code) Code { return append(c, other...) }

// Store32 writes the second constant to the address that is the first one.
func (c Code) Store32(at, n int64) Code { return c.I32(at, n).With(0x36, 2, 0) }

// Forever is body again and again; whatever is to be behind it is there.
func (c Code) Forever(body Code) Code {
	return append(append(c, byte(wasm.OpLoop), 0x40), append(slices.Clone(body), byte(wasm.OpBr), 0, byte(wasm.OpEnd), byte(wasm.OpUnreachable))...)
}

// Times is body so often; it uses a local that is 0 before.
func (c Code) Times(n int64, local uint32, body Code) Code {
	c = append(append(c, byte(wasm.OpLoop), 0x40), body...)
	return c.Get(local).I32(1).Op(wasm.OpI32Add).With(wasm.OpLocalTee, local).I32(n).Op(wasm.OpI32LtU).With(wasm.OpBrIf, 0).Op(wasm.OpEnd)
}

// When has body run if the value on the stack is not zero.
func (c Code) When(body Code) Code {
	return append(append(append(c, byte(wasm.OpIf), 0x40), body...), byte(wasm.OpEnd))
}
