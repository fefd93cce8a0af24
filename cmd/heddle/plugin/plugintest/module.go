// Package plugintest makes plugins by hand, for tests that must do without a
// toolchain: modules of some hundred bytes that do one thing about every event.
package plugintest

import (
	"encoding/binary"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/wasm"
)

// Plugin says what a module does.
type Plugin struct {
	Wants   hostapi.Action // about each event; the zero Action: it passes
	Logs    string         // a line for each call
	Traps   bool           // at each call
	Imports string         // a function that no node has
	Ballast []byte         // that the module carries in vain
}

// Where things are in the module's memory.
const (
	in, out, text = 1024, 24576, 512
	inSize        = 16384
	outSize       = 32768
)

// Refuses is a plugin that lets no event pass.
func Refuses(why string) Plugin {
	return Plugin{Wants: hostapi.Action{Kind: hostapi.Drop, Code: uint32(hostapi.DropForbidden), A: []byte(why)}}
}

// Says is a plugin that gives every event another text.
func Says(word string) Plugin {
	return Plugin{Wants: hostapi.Action{Kind: hostapi.Replace, A: []byte(`{"text":"` + word + `"}`)}}
}

// Module is the plugin in WebAssembly.
func (p Plugin) Module() []byte {
	i32, i64 := []wasm.ValType{wasm.I32}, []wasm.ValType{wasm.I64}
	m := &wasm.Module{
		Types: []wasm.FuncType{
			{Results: i32}, {Results: i64}, {Params: i32, Results: i32}, {Params: []wasm.ValType{wasm.I32, wasm.I32}, Results: i32},
			{Params: []wasm.ValType{wasm.I32, wasm.I32, wasm.I32}},
		},
		Funcs:    []uint32{0, 1, 2, 3},
		Memories: []wasm.Size{{Min: 1}},
		Exports:  []wasm.Export{{Name: hostapi.ExportMemory, Kind: wasm.KindMemory}},
	}
	if p.Imports != "" {
		m.Imports = append(m.Imports, wasm.Import{Module: "env", Name: p.Imports})
	}
	if p.Logs != "" {
		m.Imports = append(m.Imports, wasm.Import{Module: hostapi.Module, Name: "log", Func: 4})
	}
	said, size := p.said()
	for i, f := range []struct {
		name string
		body []byte
	}{
		{hostapi.ExportABI, constant(wasm.OpI32Const, hostapi.Version)}, {hostapi.ExportBuffers, constant(wasm.OpI64Const, in|out<<32)},
		{hostapi.ExportInit, constant(wasm.OpI32Const, 0)}, {hostapi.ExportBatch, p.batch(uint32(len(m.Imports)), size)},
	} {
		m.Exports = append(m.Exports, wasm.Export{Name: f.name, Kind: wasm.KindFunc, Index: uint32(len(m.Imports) + i)})
		m.Codes = append(m.Codes, wasm.Code{Body: append(f.body, byte(wasm.OpEnd))})
	}
	for _, at := range []struct {
		offset int64
		bytes  []byte
	}{
		{text, []byte(p.Logs)}, {in, binary.LittleEndian.AppendUint64(nil, inSize)}, {out, binary.LittleEndian.AppendUint64(nil, outSize)}, {out + 8, said},
	} {
		m.Datas = append(m.Datas, wasm.Data{Offset: wasm.Const{Op: wasm.OpI32Const, Raw: constant(wasm.OpI32Const, at.offset)}, Bytes: at.bytes})
	}
	if len(p.Ballast) > 0 {
		m.Datas = append(m.Datas, wasm.Data{Mode: wasm.Passive, Bytes: p.Ballast})
	}
	return m.Append(nil)
}

// said is what the plugin wants about each event of the largest batch, and how many
// bytes that is for one.
func (p Plugin) said() (all []byte, size int) {
	if p.Wants.Kind == 0 {
		return nil, 0
	}
	for i := range hostapi.MaxBatch {
		a := p.Wants
		a.Record = i
		b := make([]byte, a.Size())
		a.Put(b)
		all = append(all, b...)
	}
	return all, p.Wants.Size()
}

// batch is the function that a node calls with events: it answers how many bytes of the
// list of actions it means.
func (p Plugin) batch(imported uint32, size int) (body []byte) {
	if p.Traps {
		body = append(body, byte(wasm.OpUnreachable))
	}
	if p.Logs != "" {
		const info = 1
		body = append(body, constant(wasm.OpI32Const, info)...)
		body = append(body, constant(wasm.OpI32Const, text)...)
		body = append(body, constant(wasm.OpI32Const, int64(len(p.Logs)))...)
		body = append(body, byte(wasm.OpCall), byte(imported-1))
	}
	body = append(body, byte(wasm.OpLocalGet), 0)
	body = append(body, constant(wasm.OpI32Const, int64(size))...)
	return append(body, byte(wasm.OpI32Mul))
}

// constant is an instruction with a signed LEB128 number.
func constant(op wasm.Op, n int64) []byte {
	b := []byte{byte(op)}
	for {
		c := byte(n & 0x7f)
		n >>= 7
		if n == 0 && c&0x40 == 0 || n == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}
