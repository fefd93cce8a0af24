package app

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/wasm"
)

// Where things are in the memory of the modules here, unless they say otherwise.
const (
	guestText  = 64 // what they log, names and keys: up to guestIn
	guestIn    = 4096
	guestOut   = 24576
	guestInCap = 16384
	guestCap   = 32768
)

// wasi is where runtimes of languages import from.
const wasi = "wasi_snapshot_preview1 "

// Instructions that have no name.
const (
	opI32Eq   wasm.Op = 0x46
	opI32Ne   wasm.Op = 0x47
	opI32DivU wasm.Op = 0x6e
)

// wat is code of a function, without its end.
type wat []byte

func (a wat) op(ops ...wasm.Op) wat {
	for _, op := range ops {
		a = op.Append(a)
	}
	return a
}

func (a wat) with(op wasm.Op, n ...uint32) wat {
	a = op.Append(a)
	for _, x := range n {
		a = wasm.AppendU32(a, x)
	}
	return a
}

// i32 are constants.
func (a wat) i32(all ...int64) wat {
	for _, n := range all {
		a = wasm.AppendS64(wasm.OpI32Const.Append(a), int64(int32(n)))
	}
	return a
}

func (a wat) i64(n int64) wat { return wasm.AppendS64(wasm.OpI64Const.Append(a), n) }
func (a wat) f64(bits uint64) wat {
	return binary.LittleEndian.AppendUint64(wasm.OpF64Const.Append(a), bits)
}
func (a wat) get(i uint32) wat  { return a.with(wasm.OpLocalGet, i) }
func (a wat) call(i uint32) wat { return a.with(wasm.OpCall, i) }
func (a wat) join(b wat) wat    { return append(a, b...) }

// store32 writes the second constant to the address that is the first one.
func (a wat) store32(at, n int64) wat { return a.i32(at, n).with(0x36, 2, 0) }

// forever is body again and again; whatever is to be behind it is there.
func (a wat) forever(body wat) wat {
	return append(append(a, byte(wasm.OpLoop), 0x40), append(slices.Clone(body), byte(wasm.OpBr), 0, byte(wasm.OpEnd), byte(wasm.OpUnreachable))...)
}

// times is body so often; it uses a local that is 0 before.
func (a wat) times(n int64, local uint32, body wat) wat {
	a = append(append(a, byte(wasm.OpLoop), 0x40), body...)
	return a.get(local).i32(1).op(wasm.OpI32Add).with(wasm.OpLocalTee, local).i32(n).op(wasm.OpI32LtU).with(wasm.OpBrIf, 0).op(wasm.OpEnd)
}

// when has body run if the value on the stack is not zero.
func (a wat) when(body wat) wat {
	return append(append(append(a, byte(wasm.OpIf), 0x40), body...), byte(wasm.OpEnd))
}

// raw is a module of a plugin in the making. Its functions are those that it imports,
// then abi, buffers, init, batch, and those in more; the zero module passes everything.
type raw struct {
	imports []string // names of functions in hostapi.Module, or "module name"
	pages   uint32   // 0: one
	most    uint32   // pages; 0: no bound of its own
	out     uint32   // where the output arena is; 0: guestOut
	outCap  uint32
	text    string // in memory at guestText
	actions []hostapi.Action
	repeat  int // of actions; 0: once
	abi     wat // each nil: as it should be
	buffers wat
	init    wat
	batch   wat // parameters 0 records, 1 bytes; locals 2 to 5 are i32, 6 and 7 i64
	start   wat
	more    []wat             // () functions
	exports map[string]uint32 // of these, from 0
	change  func(m *wasm.Module)
}

// index is that of the function in more.
func (r *raw) index(i int) uint32 { return uint32(len(r.imports) + 4 + i) }

// said is the list of actions in bytes.
func (r *raw) said() (all []byte) {
	for range max(1, r.repeat) {
		for i := range r.actions {
			b := make([]byte, r.actions[i].Size())
			r.actions[i].Put(b)
			all = append(all, b...)
		}
	}
	return all
}

func or(a, b wat) wat {
	if a == nil {
		return b
	}
	return a
}

// signature finds the type of a function that guests can import, for which nobody is
// asked twice.
func signature(module, name string) wasm.FuncType {
	conv := func(list []hostapi.ValueType) (out []wasm.ValType) {
		for _, t := range list {
			out = append(out, wasm.ValType(t))
		}
		return out
	}
	for _, f := range hostapi.Functions() {
		if f.Name == name && module == hostapi.Module {
			return wasm.FuncType{Params: conv(f.Params), Results: conv(f.Results)}
		}
	}
	const i, l = wasm.I32, wasm.I64
	params := map[string][]wasm.ValType{
		"args_sizes_get": {i, i}, "clock_res_get": {i, i}, "clock_time_get": {i, l, i}, "random_get": {i, i}, "poll_oneoff": {i, i, i, i}, "fd_write": {i, i, i, i},
		"fd_fdstat_get": {i, i}, "environ_sizes_get": {i, i}, "proc_exit": {i},
	}[name]
	if module == "heddle:meter" || params == nil {
		return wasm.FuncType{Results: []wasm.ValType{i}}
	}
	if name == "proc_exit" {
		return wasm.FuncType{Params: params}
	}
	return wasm.FuncType{Params: params, Results: []wasm.ValType{i}}
}

func origin(im string) (module, name string) {
	if module, name, found := strings.Cut(im, " "); found {
		return module, name
	}
	return hostapi.Module, im
}

// module is the plugin in WebAssembly.
func (r raw) module() []byte {
	i32, i64 := []wasm.ValType{wasm.I32}, []wasm.ValType{wasm.I64}
	m := &wasm.Module{
		Types:    []wasm.FuncType{{Results: i32}, {Results: i64}, {Params: i32, Results: i32}, {Params: []wasm.ValType{wasm.I32, wasm.I32}, Results: i32}, {}},
		Funcs:    []uint32{0, 1, 2, 3},
		Memories: []wasm.Size{{Min: max(1, r.pages), Max: r.most, HasMax: r.most > 0}},
		Exports:  []wasm.Export{{Name: hostapi.ExportMemory, Kind: wasm.KindMemory}},
	}
	for _, im := range r.imports {
		module, name := origin(im)
		m.Imports = append(m.Imports, wasm.Import{Module: module, Name: name, Func: uint32(len(m.Types))})
		m.Types = append(m.Types, signature(module, name))
	}
	if r.out == 0 {
		r.out, r.outCap = guestOut, guestCap
	}
	said := r.said()
	for i, f := range []struct {
		name string
		body wat
	}{
		{hostapi.ExportABI, or(r.abi, wat{}.i32(hostapi.Version))}, {hostapi.ExportBuffers, or(r.buffers, wat{}.i64(guestIn|int64(r.out)<<32))},
		{hostapi.ExportInit, or(r.init, wat{}.i32(0))}, {hostapi.ExportBatch, or(r.batch, wat{}.i32(int64(len(said))))},
	} {
		m.Exports = append(m.Exports, wasm.Export{Name: f.name, Index: uint32(len(r.imports) + i)})
		m.Codes = append(m.Codes, wasm.Code{Locals: []wasm.Locals{{N: 6 - uint32(len(m.Types[m.Funcs[i]].Params)), Type: wasm.I32}, {N: 2, Type: wasm.I64}}, Body: append(f.body, byte(wasm.OpEnd))})
	}
	for _, body := range r.more {
		m.Funcs = append(m.Funcs, 4)
		m.Codes = append(m.Codes, wasm.Code{Locals: []wasm.Locals{{N: 6, Type: wasm.I32}}, Body: append(body, byte(wasm.OpEnd))})
	}
	for name, i := range r.exports {
		m.Exports = append(m.Exports, wasm.Export{Name: name, Index: r.index(int(i))})
	}
	if r.start != nil {
		m.HasStart, m.Start = true, uint32(len(r.imports)+len(m.Funcs))
		m.Funcs = append(m.Funcs, 4)
		m.Codes = append(m.Codes, wasm.Code{Locals: []wasm.Locals{{N: 6, Type: wasm.I32}}, Body: append(r.start, byte(wasm.OpEnd))})
	}
	for at, b := range map[uint32][]byte{
		guestText: []byte(r.text), guestIn: binary.LittleEndian.AppendUint64(nil, guestInCap),
		r.out: append(binary.LittleEndian.AppendUint64(nil, uint64(r.outCap)), said...),
	} {
		m.Datas = append(m.Datas, wasm.Data{Offset: wasm.Const{Op: wasm.OpI32Const, Raw: wat{}.i32(int64(at))}, Bytes: b})
	}
	if r.change != nil {
		r.change(m)
	}
	return m.Append(nil)
}
