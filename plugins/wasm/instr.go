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
	Offset int       // in the module

	// Raw is the instruction in its shortest form, valid until the next read. It is
	// not the bytes that were read: of "0xfd 0x8c 0x00" wazero reads the second byte
	// only, and takes what follows for other instructions than the specification
	// does. A guest could hide code in that.
	Raw []byte
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

// Instr reads the next instruction into in, whose Labels and Raw are used again.
func (r *Reader) Instr(in *Instr) {
	in.Offset = r.base + r.pos
	op := r.U8()
	in.Op, in.Raw = Op(op), append(in.Raw[:0], op)
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
		in.Op, in.Raw = OpUnreachable, in.Raw[:0]
	}
}

// index reads an immediate that is an index or a number.
func (in *Instr) index(r *Reader) uint32 {
	v := r.U32()
	in.Raw = AppendU32(in.Raw, v)
	return v
}

// bytes reads an immediate of n bytes.
func (in *Instr) bytes(r *Reader, n uint32) { in.Raw = append(in.Raw, r.Bytes(n)...) }

// plain reads the immediates of an instruction without prefix.
func (r *Reader) plain(in *Instr) {
	switch op := in.Op; {
	case op == OpBlock, op == OpLoop, op == OpIf:
		in.Block = r.blockType()
		in.Raw = in.Block.Append(in.Raw)
	case op == OpBr, op == OpBrIf, op == OpCall, op == OpRefFunc, op >= OpLocalGet && op <= OpTableSet:
		in.X = in.index(r)
	case op == OpBrTable:
		r.labels(in)
	case op == OpCallIndirect:
		in.X, in.Y = in.index(r), in.index(r)
	case op >= OpI32Load && op <= OpI64Store32:
		r.memArg(in)
	case op == OpMemorySize, op == OpMemoryGrow:
		r.memIndex(in)
	case op == OpI32Const:
		in.Raw = AppendS64(in.Raw, int64(r.S32()))
	case op == OpI64Const:
		in.Raw = AppendS64(in.Raw, r.S64())
	case op == OpF32Const:
		in.bytes(r, 4)
	case op == OpF64Const:
		in.bytes(r, 8)
	case op == OpSelectType:
		n := r.Count(1, 1, "types of a select")
		in.Raw = append(in.Raw, byte(n))
		for range n {
			in.Raw = append(in.Raw, byte(r.valType()))
		}
	case op == OpRefNull:
		in.Raw = append(in.Raw, byte(r.refType()))
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
	in.Raw = in.Op.Append(in.Raw[:0])
	switch in.Op {
	case OpMemoryInit:
		in.X = in.index(r)
		r.memIndex(in)
	case OpMemoryCopy:
		r.memIndex(in)
		r.memIndex(in)
	case OpMemoryFill:
		r.memIndex(in)
	case OpTableInit, OpTableCopy:
		in.X, in.Y = in.index(r), in.index(r)
	case OpDataDrop, OpElemDrop, OpTableGrow, OpTableSize, OpTableFill:
		in.X = in.index(r)
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
	in.Raw = in.Op.Append(in.Raw[:0])
	switch {
	case n <= 11 || n == 92 || n == 93: // loads and stores
		r.memArg(in)
	case n == 12 || n == 13: // constant, shuffle
		in.bytes(r, 16)
	case n >= 21 && n <= 34: // lanes
		in.bytes(r, 1)
	case n >= 84 && n <= 91: // loads and stores of a lane
		r.memArg(in)
		in.bytes(r, 1)
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
	in.Labels, in.Raw = in.Labels[:0], AppendU32(in.Raw, uint32(n))
	for range n + 1 {
		in.Labels = append(in.Labels, in.index(r))
	}
}

// memArg reads alignment and offset of a load or store.
func (r *Reader) memArg(in *Instr) {
	if align := in.index(r); align >= 64 {
		r.Fail("%s", featMultiMem.off())
	}
	in.index(r)
}

// memIndex reads the index of a memory, of which there is one.
func (r *Reader) memIndex(in *Instr) {
	if r.U8() != 0 {
		r.Fail("%s", featMultiMem.off())
	}
	in.Raw = append(in.Raw, 0)
}
