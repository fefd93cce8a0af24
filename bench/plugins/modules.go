package plugins

import (
	"encoding/binary"
	"math"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/wasm"
)

// Instructions, as far as modules are made by hand.
const (
	opEnd      = 0x0b
	opDrop     = 0x1a
	opI32Const = 0x41
	opI64Const = 0x42
)

// smallModule is a plugin that lets everything pass, made by hand. Each n gives another
// one.
func smallModule(n int) []byte {
	const in, out, capacity = 1024, 32768, 16384
	i32, i64 := []wasm.ValType{wasm.I32}, []wasm.ValType{wasm.I64}
	m := &wasm.Module{
		Types:    []wasm.FuncType{{Results: i32}, {Results: i64}, {Params: i32, Results: i32}, {Params: []wasm.ValType{wasm.I32, wasm.I32}, Results: i32}},
		Funcs:    []uint32{0, 1, 2, 3},
		Memories: []wasm.Size{{Min: 1}},
		Exports:  []wasm.Export{{Name: hostapi.ExportMemory, Kind: wasm.KindMemory}},
	}
	for i, name := range []string{hostapi.ExportABI, hostapi.ExportBuffers, hostapi.ExportInit, hostapi.ExportBatch} {
		m.Exports = append(m.Exports, wasm.Export{Name: name, Kind: wasm.KindFunc, Index: uint32(i)})
	}
	pass := append(constant(opI32Const, int64(n)), opDrop)
	for _, body := range [][]byte{
		constant(opI32Const, hostapi.Version), constant(opI64Const, in|out<<32), constant(opI32Const, 0), append(pass, constant(opI32Const, 0)...),
	} {
		m.Codes = append(m.Codes, wasm.Code{Body: append(body, opEnd)})
	}
	header := binary.LittleEndian.AppendUint64(nil, capacity)
	for _, at := range []int64{in, out} {
		m.Datas = append(m.Datas, wasm.Data{Offset: wasm.Const{Op: wasm.OpI32Const, Raw: constant(opI32Const, at)}, Bytes: header})
	}
	return m.Append(nil)
}

// variant is a module with one function more, which nobody calls: each n gives another
// one.
func variant(code []byte, n int) ([]byte, error) {
	const most = math.MaxInt32
	m, err := wasm.Parse(code, wasm.Limits{
		Types: most, Arity: most, Imports: most, Functions: most, Tables: most, Globals: most, Exports: most, Segments: most, Elements: most,
		Locals: most, Body: most,
	})
	if err != nil {
		return nil, err
	}
	m.Funcs = append(m.Funcs, uint32(len(m.Types)))
	m.Types = append(m.Types, wasm.FuncType{})
	m.Codes = append(m.Codes, wasm.Code{Body: append(constant(opI32Const, int64(n)), opDrop, opEnd)})
	return m.Append(nil), nil
}

// constant is an instruction with a signed LEB128 number.
func constant(op byte, n int64) []byte {
	b := []byte{op}
	for {
		c := byte(n & 0x7f)
		n >>= 7
		if n == 0 && c&0x40 == 0 || n == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}
