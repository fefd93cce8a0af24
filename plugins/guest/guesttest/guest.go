package guesttest

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/wasm"
)

// Where things are in the memory of guests, unless they say otherwise.
const (
	TextAt = 64 // what they log, names and keys: up to InAt
	InAt   = 4096
	OutAt  = 24576
	InCap  = 16384
	OutCap = 32768
	FreeAt = 1 << 16 // of those that have more than one page
)

// WASI is where runtimes of languages import from.
const WASI = "wasi_snapshot_preview1 "

// Guest is a module of a plugin in the making. Its functions are those that it imports,
// then abi, buffers, init, batch, those in More, and start. The zero one passes
// everything.
type Guest struct {
	Imports []string // names of functions in hostapi.Module, or "module name"
	Pages   uint32   // 0: one
	Most    uint32   // pages; 0: no bound of its own
	Out     uint32   // where the output arena is; 0: OutAt, with OutCap
	OutCap  uint32
	Text    string // in memory at TextAt
	Actions []hostapi.Action
	Repeat  int  // of Actions; 0: once
	ABI     Code // each nil: as it should be; locals up to 5 are i32, 6 and 7 i64
	Buffers Code
	Init    Code
	Batch   Code // parameters: 0 records, 1 bytes
	Start   Code // nil: none
	More    []Function
	Change  func(m *wasm.Module) // of the whole, at the end
}

// Function is one beside those of the contract.
type Function struct {
	Name            string // that it is exported under; "": it is not
	Params, Results []wasm.ValType
	Locals          uint32 // i32
	Body            Code
}

// Index is that of the function in More.
func (g *Guest) Index(i int) uint32 { return uint32(len(g.Imports) + contract + i) }

// NoType is the index of the type without parameters and results.
const NoType = 4

// contract is how many functions each guest has.
const contract = 4

// said is the list of actions in bytes.
func (g *Guest) said() (all []byte) {
	for range max(1, g.Repeat) {
		for i := range g.Actions {
			b := make([]byte, g.Actions[i].Size())
			g.Actions[i].Put(b)
			all = append(all, b...)
		}
	}
	return all
}

func or(a, b Code) Code {
	if a == nil {
		return b
	}
	return a
}

// Signature is the type of a function that guests can import; ()->(i32) of what is none.
func Signature(module, name string) wasm.FuncType {
	for _, f := range hostapi.Functions() {
		if f.Name == name && module == hostapi.Module {
			return wasm.FuncType{Params: types(f.Params), Results: types(f.Results)}
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

func types(list []hostapi.ValueType) (out []wasm.ValType) {
	for _, t := range list {
		out = append(out, wasm.ValType(t))
	}
	return out
}

// Origin is the module and the name of what Guest.Imports names.
func Origin(im string) (module, name string) {
	if module, name, found := strings.Cut(im, " "); found {
		return module, name
	}
	return hostapi.Module, im
}

// Module is the guest in WebAssembly, the same each time.
func (g Guest) Module() []byte {
	m := &wasm.Module{
		Types: []wasm.FuncType{
			{Results: []wasm.ValType{wasm.I32}}, {Results: []wasm.ValType{wasm.I64}}, {Params: []wasm.ValType{wasm.I32}, Results: []wasm.ValType{wasm.I32}},
			{Params: []wasm.ValType{wasm.I32, wasm.I32}, Results: []wasm.ValType{wasm.I32}}, {}, // the last one is NoType
		},
		Memories: []wasm.Size{{Min: max(1, g.Pages), Max: g.Most, HasMax: g.Most > 0}},
		Exports:  []wasm.Export{{Name: hostapi.ExportMemory, Kind: wasm.KindMemory}},
	}
	for _, im := range g.Imports {
		module, name := Origin(im)
		m.Imports = append(m.Imports, wasm.Import{Module: module, Name: name, Func: uint32(len(m.Types))})
		m.Types = append(m.Types, Signature(module, name))
	}
	if g.Out == 0 {
		g.Out, g.OutCap = OutAt, OutCap
	}
	said := g.said()
	for _, f := range g.functions(len(said)) {
		g.add(m, f)
	}
	if g.Start != nil {
		m.HasStart, m.Start = true, g.add(m, Function{Locals: 6, Body: g.Start})
	}
	for _, part := range []struct {
		at    uint32
		bytes []byte
	}{
		{TextAt, []byte(g.Text)}, {InAt, binary.LittleEndian.AppendUint64(nil, InCap)},
		{g.Out, append(binary.LittleEndian.AppendUint64(nil, uint64(g.OutCap)), said...)},
	} {
		m.Datas = append(m.Datas, wasm.Data{Offset: wasm.Const{Op: wasm.OpI32Const, Raw: Code{}.I32(int64(part.at))}, Bytes: part.bytes})
	}
	if g.Change != nil {
		g.Change(m)
	}
	return m.Append(nil)
}

// functions are all but the one to start with.
func (g *Guest) functions(said int) []Function {
	i32, i64 := []wasm.ValType{wasm.I32}, []wasm.ValType{wasm.I64}
	return append([]Function{
		{Name: hostapi.ExportABI, Results: i32, Locals: 6, Body: or(g.ABI, Code{}.I32(hostapi.Version))},
		{Name: hostapi.ExportBuffers, Results: i64, Locals: 6, Body: or(g.Buffers, Code{}.I64(InAt|int64(g.Out)<<32))},
		{Name: hostapi.ExportInit, Params: i32, Results: i32, Locals: 5, Body: or(g.Init, Code{}.I32(0))},
		{Name: hostapi.ExportBatch, Params: []wasm.ValType{wasm.I32, wasm.I32}, Results: i32, Locals: 4, Body: or(g.Batch, Code{}.I32(int64(said)))},
	}, g.More...)
}

// add appends a function to a module, and gives its index.
func (g *Guest) add(m *wasm.Module, f Function) (index uint32) {
	index = uint32(len(g.Imports) + len(m.Funcs))
	at := slices.IndexFunc(m.Types, func(t wasm.FuncType) bool {
		return slices.Equal(t.Params, f.Params) && slices.Equal(t.Results, f.Results)
	})
	if at < 0 {
		at = len(m.Types)
		m.Types = append(m.Types, wasm.FuncType{Params: f.Params, Results: f.Results})
	}
	m.Funcs = append(m.Funcs, uint32(at))
	code := wasm.Code{Body: slices.Concat(f.Body, Code{byte(wasm.OpEnd)})}
	if f.Locals > 0 {
		code.Locals = []wasm.Locals{{N: f.Locals, Type: wasm.I32}, {N: 2, Type: wasm.I64}}
	}
	m.Codes = append(m.Codes, code)
	if f.Name != "" {
		m.Exports = append(m.Exports, wasm.Export{Name: f.Name, Index: index})
	}
	return index
}
