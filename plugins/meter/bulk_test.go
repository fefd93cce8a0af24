package meter

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/tetratelabs/wazero/api"

	"github.com/heddle-rt/heddle/plugins/wasm"
)

// bulkModule has a function for each operation on memory, with its three operands.
func bulkModule(segment []byte) []byte {
	b := newBuilder(bulkPages)
	b.Datas = []wasm.Data{{Mode: wasm.Passive, Bytes: segment}}
	b.HasCount = true
	operands := asm(nil).get(0).get(1).get(2)
	clone := func() asm { return append(asm(nil), operands...) }
	b.function("fill", 3, 0, 0, clone().memory(wasm.OpMemoryFill, 1))
	b.function("copy", 3, 0, 0, clone().memory(wasm.OpMemoryCopy, 2))
	b.function("init", 3, 0, 0, append(clone().with(wasm.OpMemoryInit, 0), 0))
	return b.bytes()
}

const (
	bulkPages   = 5
	bulkSegment = 2*chunk + 100
)

// TestBulk compares bulk operations with those of the original: what they write,
// when they trap, and that they write nothing then.
func TestBulk(t *testing.T) {
	segment := make([]byte, bulkSegment)
	random := rand.New(rand.NewPCG(7, 7))
	for i := range segment {
		segment[i] = byte(random.Uint32())
	}
	module := bulkModule(segment)
	h := &host{slice: 0}
	plain := start(t, compiler(t, features), module)
	metered := start(t, compiler(t, features), mustRewrite(t, module, nil).Code, h)
	content := make([]byte, bulkPages*PageSize)
	for i := range content {
		content[i] = byte(i*7 ^ i>>8)
	}
	const size = bulkPages * PageSize
	edges := []uint32{0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk, bulkSegment - 1, bulkSegment, bulkSegment + 1,
		size - chunk, size - 1, size, size + 1, 1<<31 - 1, 1 << 31, 1<<32 - chunk, 1<<32 - 1}
	trapped, ran := 0, 0
	for _, name := range []string{"fill", "copy", "init"} {
		compare := func(operands [3]uint32) {
			t.Helper()
			var errs [2]string
			for i, in := range []instance{plain, metered} {
				in.Memory().Write(0, content)
				_, err := in.ExportedFunction(name).Call(t.Context(), api.EncodeU32(operands[0]), api.EncodeU32(operands[1]), api.EncodeU32(operands[2]))
				errs[i] = firstLine(err)
			}
			want, _ := plain.Memory().Read(0, size)
			got, _ := metered.Memory().Read(0, size)
			switch {
			case errs[0] != errs[1]:
				t.Fatalf("%s%d: it ends with %q, the original with %q", name, operands, errs[1], errs[0])
			case !bytes.Equal(want, got):
				t.Fatalf("%s%d: memory differs", name, operands)
			case errs[0] != "":
				trapped++
			default:
				ran++
			}
		}
		for _, target := range edges {
			for _, source := range edges {
				for _, n := range edges {
					compare([3]uint32{target, source, n})
				}
			}
		}
		for range 300 { // within bounds, and often over one another
			target, source := random.Uint32N(size), random.Uint32N(bulkSegment)
			compare([3]uint32{target, source, random.Uint32N(min(size-target, bulkSegment-source) + 1)})
		}
	}
	t.Logf("%d ran, %d trapped", ran, trapped)
	if ran < 1000 || trapped < 1000 {
		t.Error("too little was compared")
	}
}

// TestBulkCharges sees a charge for each chunk, before it is moved.
func TestBulkCharges(t *testing.T) {
	metered := start(t, compiler(t, features), mustRewrite(t, bulkModule(make([]byte, bulkSegment)), nil).Code, &host{slice: 1 << 30})
	for _, n := range []uint64{0, 1, chunk, 2 * chunk} {
		for _, name := range []string{"fill", "copy", "init"} {
			t.Run(fmt.Sprint(name, n), func(t *testing.T) {
				metered.host.begin(metered.Module)
				if _, err := metered.ExportedFunction(name).Call(t.Context(), 0, 0, n); err != nil {
					t.Fatal(err)
				}
				chunks := max(1, int64(n+chunk-1)/chunk)
				want := int64(n)>>bulkShift + chunks*bulkBase
				if got := metered.host.end(); got < want || got > want+100 {
					t.Errorf("%d was charged, not %d and a little", got, want)
				}
			})
		}
	}
}
