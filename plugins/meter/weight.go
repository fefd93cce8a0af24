package meter

import "github.com/heddle-rt/heddle/plugins/wasm"

// Weights of what is not an ordinary instruction of the guest.
const (
	weightEntry = 1    // a call's prologue
	weightDepth = 4    // counting the stack, at entry and exit
	bulkBase    = 16   // one chunk of a bulk operation
	bulkShift   = 3    // bytes of a bulk operation for one unit: 8
	pageWeight  = 4096 // a page that memory grows by
	hostCall    = 28   // a call of the host, beside its own weight
)

// heavy lists the instructions that cost more than one unit, a unit being about
// what an addition costs. Measured with wazero's compiler on amd64 and rounded
// up; what leaves native code for Go costs most.
var heavy = [...]struct {
	from, to wasm.Op
	weight   uint32
}{
	{wasm.OpBlock, wasm.OpLoop, 0}, // no code of their own
	{wasm.OpEnd, wasm.OpEnd, 0},
	{wasm.OpBrTable, wasm.OpBrTable, 4},
	{wasm.OpCall, wasm.OpCall, 4},
	{wasm.OpCallIndirect, wasm.OpCallIndirect, 8},
	{wasm.OpTableGet, wasm.OpTableSet, 2},
	{wasm.OpMemoryGrow, wasm.OpMemoryGrow, 64},
	{wasm.OpI32DivS, wasm.OpI32RemU, 8},
	{wasm.OpI64DivS, wasm.OpI64RemU, 12},
	{0x8b, 0x90, 2}, // f32: abs to nearest
	{wasm.OpF32Sqrt, wasm.OpF32Sqrt, 8},
	{wasm.OpF32Div, wasm.OpF32Div, 6},
	{0x96, 0x97, 6}, // f32: min, max
	{0x99, 0x9e, 2}, // f64: abs to nearest
	{wasm.OpF64Sqrt, wasm.OpF64Sqrt, 8},
	{wasm.OpF64Div, wasm.OpF64Div, 6},
	{0xa4, 0xa5, 6}, // f64: min, max
	{0xa8, 0xab, 4}, // i32: truncations
	{0xae, 0xb1, 4}, // i64: truncations
	{0xb2, 0xbf, 2}, // conversions
	{wasm.OpRefFunc, wasm.OpRefFunc, 64},
	{wasm.OpMisc, wasm.OpMisc + 7, 4}, // saturating truncations
	{wasm.OpMemoryInit, wasm.OpTableCopy, 8},
	{wasm.OpTableGrow, wasm.OpTableGrow, 64},
	{wasm.OpTableFill, wasm.OpTableFill, 8},
	{wasm.OpVector, wasm.OpVector + 0xff, 4},
}

// weights is the table as it is looked up.
type weights struct {
	ops  [wasm.OpVector + 0x100]uint8
	move uint32 // of a value that is moved where control comes together
}

// newWeights spreads heavy over all instructions; the rest weigh 1, and vector
// instructions that become a dozen machine instructions weigh more than others.
func newWeights() *weights {
	w := &weights{move: 1}
	for i := range w.ops {
		w.ops[i] = 1
	}
	for _, h := range heavy {
		for op := h.from; op <= h.to; op++ {
			w.ops[op] = uint8(h.weight)
		}
	}
	for _, n := range slowVector {
		w.ops[wasm.OpVector+wasm.Op(n)] = 16
	}
	return w
}

// slowVector are vector instructions without one machine instruction on amd64:
// shuffles, shifts of bytes, population count, 64-bit products, divisions, roots,
// conversions and truncations.
var slowVector = [...]uint8{
	13, 14, 0x62, 0x6b, 0x6c, 0x6d, 0x67, 0x68, 0x69, 0x6a, 0x74, 0x75, 0x7a, 0x94, 0xcc, 0xd5, 0xe3, 0xe7, 0xe8, 0xe9,
	0xea, 0xeb, 0xef, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff,
}

// of is the weight of an instruction in itself.
func (w *weights) of(op wasm.Op) uint32 { return uint32(w.ops[op]) }

// moves is the weight of n values that an instruction or a branch moves.
func (w *weights) moves(n int) uint32 { return uint32(n) * w.move }
