package wasm

// Instr is one instruction with its immediates.
type Instr struct {
	Op Op
	// X is the index that the instruction names first: of a label, function, type,
	// local, global, table or segment. Y is the second: the table of a
	// call_indirect or table.init, the source of a table.copy.
	X, Y   uint32
	Block  BlockType // of block, loop and if
	Labels []uint32  // of br_table, the default last; valid until the next read
	Raw    []byte    // the instruction as encoded
	Offset int       // of Raw in the module
}

// BlockType is the type of a block: the index of a function type, or, below
// zero, one result or none.
type BlockType int64

// NoResult is the type of a block without parameters and results.
const NoResult BlockType = -64

// Append appends the type as a block's immediate.
func (t BlockType) Append(b []byte) []byte { return AppendS64(b, int64(t)) }

// ResultType is the type of a block with one result, or none, and no parameters.
func ResultType(results []ValType) BlockType {
	if len(results) == 0 {
		return NoResult
	}
	return BlockType(results[0]) - 0x80
}

// Arity is how many values a block of this type takes and leaves.
func (m *Module) Arity(t BlockType) (params, results int, ok bool) {
	switch {
	case t == NoResult:
		return 0, 0, true
	case t < 0:
		return 0, 1, true
	case t < BlockType(len(m.Types)):
		return len(m.Types[t].Params), len(m.Types[t].Results), true
	}
	return 0, 0, false
}

// Instr reads the next instruction into in, whose Labels are used again.
func (r *Reader) Instr(in *Instr) {
	from := r.pos
	in.Offset = r.base + from
	in.Op = Op(r.U8())
	switch in.Op {
	case opMisc:
		r.misc(in)
	case opVector:
		r.vector(in)
	default:
		r.plain(in)
	}
	if r.err != nil {
		r.err.Offset = in.Offset
		in.Op, in.Raw = OpUnreachable, nil
		return
	}
	in.Raw = r.data[from:r.pos:r.pos]
}

// plain reads the immediates of an instruction without prefix.
func (r *Reader) plain(in *Instr) {
	switch op := in.Op; {
	case op == OpBlock, op == OpLoop, op == OpIf:
		in.Block = r.blockType()
	case op == OpBr, op == OpBrIf, op == OpCall, op == OpRefFunc, op >= OpLocalGet && op <= OpTableSet:
		in.X = r.U32()
	case op == OpBrTable:
		r.labels(in)
	case op == OpCallIndirect:
		in.X, in.Y = r.U32(), r.U32()
	case op >= OpI32Load && op <= OpI64Store32:
		r.memArg()
	case op == OpMemorySize, op == OpMemoryGrow:
		r.memIndex()
	case op == OpI32Const:
		r.S32()
	case op == OpI64Const:
		r.S64()
	case op == OpF32Const:
		r.Bytes(4)
	case op == OpF64Const:
		r.Bytes(8)
	case op == OpSelectType:
		for range r.Count(1, 1, "types of a select") {
			r.valType()
		}
	case op == OpRefNull:
		r.refType()
	case op == OpUnreachable, op == OpReturn, op == OpEnd, op == OpElse:
	default:
		if stackPlain[op] == '.' {
			r.unknown(byte(op))
		}
	}
}

func (r *Reader) unknown(op byte) {
	if f, ok := featureOf(op); ok {
		r.Fail("%s", f.off())
		return
	}
	r.Fail("0x%02x is not an instruction", op)
}

// misc reads what follows the prefix 0xfc.
func (r *Reader) misc(in *Instr) {
	n := r.U32()
	if n >= uint32(len(stackMisc)) {
		r.Fail("0xfc %d is not an instruction", n)
		return
	}
	in.Op = OpMisc + Op(n)
	switch in.Op {
	case OpMemoryInit:
		in.X = r.U32()
		r.memIndex()
	case OpMemoryCopy:
		r.memIndex()
		r.memIndex()
	case OpMemoryFill:
		r.memIndex()
	case OpTableInit, OpTableCopy:
		in.X, in.Y = r.U32(), r.U32()
	case OpDataDrop, OpElemDrop, OpTableGrow, OpTableSize, OpTableFill:
		in.X = r.U32()
	}
}

// vector reads what follows the prefix 0xfd.
func (r *Reader) vector(in *Instr) {
	n := r.U32()
	if n >= uint32(len(stackVector)) {
		r.Fail("%s", featRelaxed.off())
		return
	}
	if stackVector[n] == '.' {
		r.Fail("0xfd %d is not an instruction", n)
		return
	}
	in.Op = OpVector + Op(n)
	switch {
	case n <= 11 || n == 92 || n == 93: // loads and stores
		r.memArg()
	case n == 12 || n == 13: // constant, shuffle
		r.Bytes(16)
	case n >= 21 && n <= 34: // lanes
		r.U8()
	case n >= 84 && n <= 91: // loads and stores of a lane
		r.memArg()
		r.U8()
	}
}

func (r *Reader) blockType() BlockType {
	at := r.pos
	t := r.S33()
	if t >= 0 || t == int64(NoResult) || r.err != nil {
		return BlockType(t)
	}
	// A type of values is written as one byte; it must be one that exists.
	r.pos = at
	return BlockType(r.valType()) - 0x80
}

func (r *Reader) labels(in *Instr) {
	n := r.Count(1, 0, "labels")
	in.Labels = in.Labels[:0]
	for range n + 1 {
		in.Labels = append(in.Labels, r.U32())
	}
}

// memArg reads alignment and offset of a load or store.
func (r *Reader) memArg() {
	if align := r.U32(); align >= 64 {
		r.Fail("%s", featMultiMem.off())
	}
	r.U32()
}

// memIndex reads the index of a memory.
func (r *Reader) memIndex() {
	if r.U8() != 0 {
		r.Fail("%s", featMultiMem.off())
	}
}
