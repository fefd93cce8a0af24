package guest

import (
	"context"
	"encoding/binary"
	"testing"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/wasm"
)

// Where things are in the memory of a small module.
const (
	smallIn, smallOut, smallFree = 8, 8192, 16384
	smallPages                   = 4
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

func (a wat) i32(all ...int64) wat {
	for _, n := range all {
		a = wasm.AppendS64(wasm.OpI32Const.Append(a), int64(int32(n)))
	}
	return a
}

func (a wat) i64(n int64) wat   { return wasm.AppendS64(wasm.OpI64Const.Append(a), n) }
func (a wat) call(i uint32) wat { return a.with(wasm.OpCall, i) }

// small is a module in the making; the zero one passes everything. Its functions are
// those that it imports, then abi, buffers, init, batch, start, seed and deep.
type small struct {
	imports           []string // names of functions; of WASI's, fd_write
	batch, start      wat
	seed              wat // nil: it exports none
	deep              wat // (i32) -> (i32)
	hidden, forgetful bool
}

// deepAt is the index of deep.
func (s small) deepAt() uint32 { return uint32(len(s.imports)) + 6 }

func (s small) module() []byte {
	i32 := []wasm.ValType{wasm.I32}
	m := &wasm.Module{
		Types: []wasm.FuncType{{Results: i32}, {Results: []wasm.ValType{wasm.I64}}, {Params: i32, Results: i32}, {Params: []wasm.ValType{wasm.I32, wasm.I32}, Results: i32}, {}, {Params: []wasm.ValType{wasm.I64}}},
		Funcs: []uint32{0, 1, 2, 3, 4, 5, 2},
	}
	for _, name := range s.imports {
		im, from := wasm.Import{Module: wasiModule, Name: name, Func: uint32(len(m.Types))}, wasiFunctions()
		if name != "fd_write" {
			im.Module, from = hostapi.Module, hostFunctions()
		}
		m.Imports = append(m.Imports, im)
		for _, f := range from {
			if f.name == name {
				m.Types = append(m.Types, wasm.FuncType{Params: valTypes(f.params), Results: valTypes(f.results)})
			}
		}
	}
	n := uint32(len(s.imports))
	for i, name := range []string{hostapi.ExportABI, hostapi.ExportBuffers, hostapi.ExportInit, hostapi.ExportBatch, "", hostapi.ExportSeed} {
		if name != "" && (name != hostapi.ExportSeed || s.seed != nil) {
			m.Exports = append(m.Exports, wasm.Export{Name: name, Index: n + uint32(i)})
		}
	}
	if s.batch == nil {
		s.batch = wat{}.i32(0)
	}
	if s.deep == nil {
		s.deep = wat{}.i32(0)
	}
	for _, body := range []wat{wat{}.i32(hostapi.Version), wat{}.i64(smallIn | smallOut<<32), wat{}.i32(0), s.batch, s.start, s.seed, s.deep} {
		m.Codes = append(m.Codes, wasm.Code{Body: append(body, byte(wasm.OpEnd))})
	}
	m.HasStart, m.Start = s.start != nil, n+4
	if !s.forgetful {
		m.Memories = []wasm.Size{{Min: smallPages}}
		for _, at := range []int64{smallIn, smallOut} {
			m.Datas = append(m.Datas, wasm.Data{Offset: wasm.Const{Op: wasm.OpI32Const, Raw: wat{}.i32(at)}, Bytes: binary.LittleEndian.AppendUint64(nil, 4096)})
		}
		if !s.hidden {
			m.Exports = append(m.Exports, wasm.Export{Name: hostapi.ExportMemory, Kind: wasm.KindMemory})
		}
	}
	return m.Append(nil)
}

func valTypes(list []hostapi.ValueType) (out []wasm.ValType) {
	for _, t := range list {
		out = append(out, wasm.ValType(t))
	}
	return out
}

// compile makes a program that is the test's own.
func (s small) compile(t *testing.T, change func(*Plan)) (*Program, error) {
	t.Helper()
	e, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	plan := Plan{Limits: limits(), Host: &recorder{}, Granted: hostapi.Capabilities()}
	if change != nil {
		change(&plan)
	}
	p, err := e.Compile(context.Background(), s.module(), plan)
	if err == nil {
		t.Cleanup(func() {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return p, err
}

// instance is one that runs.
func (s small) instance(t *testing.T, change func(*Plan)) *Instance {
	t.Helper()
	p, err := s.compile(t, change)
	if err != nil {
		t.Fatal(err)
	}
	return instance(t, p)
}
