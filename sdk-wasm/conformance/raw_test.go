package conformance

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/heddle-rt/heddle/hostapi"
)

// raw is a guest without the node's host code: what goes in and out of it are bytes.
// The node's functions answer 0, and the clock is wazero's own, which only advances
// when it is read.
type raw struct {
	memory api.Memory
	batch  api.Function
	in     uint32 // behind the header
	out    uint32
}

func newRaw(t *testing.T, code []byte) *raw {
	ctx := context.Background()
	r := wazero.NewRuntime(ctx)
	t.Cleanup(func() { r.Close(ctx) })
	wasi_snapshot_preview1.MustInstantiate(ctx, r)
	b := r.NewHostModuleBuilder(hostapi.Module)
	for _, f := range hostapi.Functions() {
		answer := api.GoModuleFunc(func(_ context.Context, _ api.Module, stack []uint64) {
			if len(f.Results) > 0 {
				stack[0] = 0
			}
		})
		b.NewFunctionBuilder().WithGoModuleFunction(answer, numbers(f.Params), numbers(f.Results)).Export(f.Name)
	}
	if _, err := b.Instantiate(ctx); err != nil {
		t.Fatal(err)
	}
	m, err := r.InstantiateWithConfig(ctx, code, wazero.NewModuleConfig().WithStartFunctions("_initialize"))
	if err != nil {
		t.Fatal(err)
	}
	g := &raw{memory: m.ExportedMemory(hostapi.ExportMemory), batch: m.ExportedFunction(hostapi.ExportBatch)}
	arenas := call(t, m.ExportedFunction(hostapi.ExportBuffers))
	g.in, g.out = uint32(arenas)+hostapi.ArenaHeader, uint32(arenas>>32)+hostapi.ArenaHeader
	g.memory.Write(g.in, []byte("{}"))
	if st := int32(call(t, m.ExportedFunction(hostapi.ExportInit), 2)); st != 0 {
		t.Fatalf("%s: %d", hostapi.ExportInit, st)
	}
	return g
}

func numbers(list []hostapi.ValueType) []api.ValueType {
	out := make([]api.ValueType, len(list))
	for i, t := range list {
		out[i] = api.ValueType(t)
	}
	return out
}

func call(t *testing.T, f api.Function, params ...uint64) uint64 {
	t.Helper()
	if f == nil {
		t.Fatal("an export is missing")
	}
	results, err := f.Call(context.Background(), params...)
	if err != nil {
		t.Fatal(err)
	}
	return results[0]
}

// run gives the guest records as they are, and returns its output. What was in the
// arenas before is not 0.
func (g *raw) run(t *testing.T, records ...[]byte) []byte {
	t.Helper()
	in := bytes.Join(records, nil)
	g.memory.Write(g.in, in)
	g.memory.Write(g.in+uint32(len(in)), bytes.Repeat([]byte{0xaa}, 4096))
	g.memory.Write(g.out, bytes.Repeat([]byte{0xaa}, 16<<10))
	n := int32(call(t, g.batch, uint64(len(records)), uint64(len(in))))
	out, ok := g.memory.Read(g.out, uint32(n))
	if n < 0 || !ok {
		t.Fatalf("%s: %d", hostapi.ExportBatch, n)
	}
	return out
}

func bytesOf(r hostapi.Record) []byte {
	b := make([]byte, r.Size())
	r.Put(b)
	return b
}

// longer is the record as a later version of the contract writes it: with so many
// bytes more in its header, a multiple of 8.
func longer(r hostapi.Record, more int) []byte {
	le := binary.LittleEndian
	b := bytesOf(r)
	b = append(append(b[:hostapi.HeaderSize:hostapi.HeaderSize], bytes.Repeat([]byte{0xee}, more)...), b[hostapi.HeaderSize:]...)
	le.PutUint32(b, uint32(len(b)))
	le.PutUint16(b[4:], uint16(hostapi.HeaderSize+more))
	for at := 48; at < hostapi.HeaderSize; at += 8 {
		le.PutUint32(b[at:], le.Uint32(b[at:])+uint32(more))
	}
	return b
}

// actions are what the contract writes for a record's.
func actions(list []hostapi.Action, record int) (all []byte) {
	for _, a := range list {
		a.Record = record
		b := make([]byte, a.Size())
		all = append(all, b[:a.Put(b)]...)
	}
	return all
}

func TestBytes(t *testing.T) {
	everywhere(t, func(t *testing.T, l *language) {
		g := newRaw(t, l.code(t))
		for _, tc := range append(written(), hooks()...) {
			want := append(actions(tc.want, 0), actions(tc.want, 1)...)
			for name, in := range map[string][]byte{"": bytesOf(tc.record), ", a longer header": longer(tc.record, 8), ", a much longer one": longer(tc.record, 4096)} {
				if got := g.run(t, in, in); !bytes.Equal(got, want) {
					t.Errorf("%s%s:\n got %s\nwant %s", tc.name, name, hex.Dump(got), hex.Dump(want))
				}
			}
		}
	})
}
