package meter

import (
	"encoding/binary"
	"fmt"

	"github.com/heddle-rt/heddle/plugins/wasm"
)

// Preinit is the second rewrite, for instances that continue from a snapshot: one
// instance was started and ran its initialisation; its memory is an image that
// the host lays under new instances. The result starts with the memory as large
// as the image (pages), with the values that the mutable globals had (globals, in
// the order of Info.Globals, as the bits that api.Global.Get gives), and without
// running or copying anything: the start function goes, and active data segments
// become empty passive ones, so that all keep their indices. If no instruction names
// a data segment, all of them go: Go modules have tens of thousands, for which
// wazero would take a megabyte in each instance. The slice and the depth start at
// zero.
func (m *Module) Preinit(pages uint32, globals []uint64) ([]byte, error) {
	if err := m.Info.Snapshot(); err != nil {
		return nil, fmt.Errorf("meter: no snapshot: %w", err)
	}
	w, err := wasm.Parse(m.Code, wasm.Limits{})
	if err != nil {
		return nil, err
	}
	if len(globals) != len(m.Info.Globals) {
		return nil, fmt.Errorf("meter: %d values for %d mutable globals", len(globals), len(m.Info.Globals))
	}
	for i, g := range m.Info.Globals {
		w.Globals[g.Index].Init = captured(g.Type, globals[i])
	}
	switch {
	case !m.Info.HasMemory && pages > 0:
		return nil, fmt.Errorf("meter: an image of %d pages for a module without memory", pages)
	case m.Info.HasMemory && (pages < m.Info.Memory.Min || pages > m.Info.Memory.Max):
		return nil, fmt.Errorf("meter: an image of %d pages for a memory of %d to %d", pages, m.Info.Memory.Min, m.Info.Memory.Max)
	case m.Info.HasMemory:
		w.Memories[0].Min = pages
	}
	if !m.namesData {
		w.Datas, w.HasCount = nil, false
	}
	for i := range w.Datas {
		if w.Datas[i].Mode == wasm.Active {
			w.Datas[i] = wasm.Data{Mode: wasm.Passive}
		}
	}
	w.HasStart = false
	return w.Append(make([]byte, 0, len(m.Code))), nil
}

// captured is a constant with the given bits.
func captured(t wasm.ValType, bits uint64) wasm.Const {
	switch t {
	case wasm.I32:
		return wasm.Const{Op: wasm.OpI32Const, Raw: asm(nil).i32(int32(uint32(bits)))}
	case wasm.I64:
		return wasm.Const{Op: wasm.OpI64Const, Raw: asm(nil).i64(int64(bits))}
	case wasm.F32:
		return wasm.Const{Op: wasm.OpF32Const, Raw: binary.LittleEndian.AppendUint32(asm(nil).op(wasm.OpF32Const), uint32(bits))}
	}
	return wasm.Const{Op: wasm.OpF64Const, Raw: binary.LittleEndian.AppendUint64(asm(nil).op(wasm.OpF64Const), bits)}
}
