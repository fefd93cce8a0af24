package plugin

import (
	"encoding/binary"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/wasm"
)

// tiny is a module made by hand, so that tests of the tool need no toolchain. It lets
// every event pass, or refuses the first of each batch, or imports what no node has.
func tiny(what string) []byte {
	const in, out, capacity = 1024, 32768, 16384
	i32, i64 := []wasm.ValType{wasm.I32}, []wasm.ValType{wasm.I64}
	m := &wasm.Module{
		Types:    []wasm.FuncType{{Results: i32}, {Results: i64}, {Params: i32, Results: i32}, {Params: []wasm.ValType{wasm.I32, wasm.I32}, Results: i32}},
		Funcs:    []uint32{0, 1, 2, 3},
		Memories: []wasm.Size{{Min: 1}},
	}
	drop := hostapi.Action{Kind: hostapi.Drop, Code: uint32(hostapi.DropForbidden), A: []byte("never")}
	said := make([]byte, drop.Size())
	drop.Put(said)
	wrote := 0
	if what == "drop" {
		wrote = len(said)
	}
	first := uint32(0)
	if what == "http" {
		m.Imports, first = []wasm.Import{{Module: "env", Name: "fetch", Func: 0}}, 1
	}
	m.Exports = []wasm.Export{{Name: hostapi.ExportMemory, Kind: wasm.KindMemory}}
	for i, name := range []string{hostapi.ExportABI, hostapi.ExportBuffers, hostapi.ExportInit, hostapi.ExportBatch} {
		m.Exports = append(m.Exports, wasm.Export{Name: name, Kind: wasm.KindFunc, Index: first + uint32(i)})
	}
	const end, i32const, i64const = 0x0b, 0x41, 0x42
	for _, body := range [][]byte{
		constant(i32const, hostapi.Version), constant(i64const, in|out<<32), constant(i32const, 0), constant(i32const, int64(wrote)),
	} {
		m.Codes = append(m.Codes, wasm.Code{Body: append(body, end)})
	}
	header := binary.LittleEndian.AppendUint64(nil, capacity)
	for _, at := range []struct {
		offset int64
		bytes  []byte
	}{{in, header}, {out, header}, {out + 8, said}} {
		m.Datas = append(m.Datas, wasm.Data{Offset: wasm.Const{Op: wasm.OpI32Const, Raw: constant(i32const, at.offset)}, Bytes: at.bytes})
	}
	return m.Append(nil)
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
