package wasm

// Op is an instruction. Those with a prefix byte have their number behind it
// added to OpMisc or OpVector.
type Op uint16

// Instructions that have a meaning for who rewrites a module; the rest only pass
// through. Numbers are those of the binary format.
const (
	OpUnreachable  Op = 0x00
	OpNop          Op = 0x01
	OpBlock        Op = 0x02
	OpLoop         Op = 0x03
	OpIf           Op = 0x04
	OpElse         Op = 0x05
	OpEnd          Op = 0x0b
	OpBr           Op = 0x0c
	OpBrIf         Op = 0x0d
	OpBrTable      Op = 0x0e
	OpReturn       Op = 0x0f
	OpCall         Op = 0x10
	OpCallIndirect Op = 0x11
	OpDrop         Op = 0x1a
	OpSelect       Op = 0x1b
	OpSelectType   Op = 0x1c
	OpLocalGet     Op = 0x20
	OpLocalSet     Op = 0x21
	OpLocalTee     Op = 0x22
	OpGlobalGet    Op = 0x23
	OpGlobalSet    Op = 0x24
	OpTableGet     Op = 0x25
	OpTableSet     Op = 0x26
	OpI32Load      Op = 0x28
	OpI64Store32   Op = 0x3e
	OpMemorySize   Op = 0x3f
	OpMemoryGrow   Op = 0x40
	OpI32Const     Op = 0x41
	OpI64Const     Op = 0x42
	OpF32Const     Op = 0x43
	OpF64Const     Op = 0x44
	OpI32Eqz       Op = 0x45
	OpI32LtS       Op = 0x48
	OpI32LtU       Op = 0x49
	OpI32GtU       Op = 0x4b
	OpI32LeU       Op = 0x4d
	OpI32GeS       Op = 0x4e
	OpI64GtU       Op = 0x56
	OpI32Add       Op = 0x6a
	OpI32Sub       Op = 0x6b
	OpI32Mul       Op = 0x6c
	OpI32DivS      Op = 0x6d
	OpI32RemU      Op = 0x70
	OpI32Or        Op = 0x72
	OpI32ShrU      Op = 0x76
	OpI64Add       Op = 0x7c
	OpI64DivS      Op = 0x7f
	OpI64RemU      Op = 0x82
	OpI64Shl       Op = 0x86
	OpF32Sqrt      Op = 0x91
	OpF32Div       Op = 0x95
	OpF64Sqrt      Op = 0x9f
	OpF64Div       Op = 0xa3
	OpI64ExtendU   Op = 0xad // i64.extend_i32_u
	OpRefNull      Op = 0xd0
	OpRefIsNull    Op = 0xd1
	OpRefFunc      Op = 0xd2

	opMisc   Op = 0xfc
	opVector Op = 0xfd

	OpMisc       Op = 0x0100
	OpMemoryInit    = OpMisc + 8
	OpDataDrop      = OpMisc + 9
	OpMemoryCopy    = OpMisc + 10
	OpMemoryFill    = OpMisc + 11
	OpTableInit     = OpMisc + 12
	OpElemDrop      = OpMisc + 13
	OpTableCopy     = OpMisc + 14
	OpTableGrow     = OpMisc + 15
	OpTableSize     = OpMisc + 16
	OpTableFill     = OpMisc + 17

	OpVector    Op = 0x0200
	OpV128Const    = OpVector + 12
	OpShuffle      = OpVector + 13
)

// Append appends the instruction's opcode, without immediates.
func (op Op) Append(b []byte) []byte {
	switch {
	case op >= OpVector:
		return AppendU32(append(b, byte(opVector)), uint32(op-OpVector))
	case op >= OpMisc:
		return AppendU32(append(b, byte(opMisc)), uint32(op-OpMisc))
	}
	return append(b, byte(op))
}

// Accesses tells whether the instruction loads from memory or stores to it.
func (op Op) Accesses() bool {
	if n := op - OpVector; op >= OpVector {
		return n <= 11 || n >= 84 && n <= 93
	}
	return op >= OpI32Load && op <= OpI64Store32
}

// Stack is how many values the instruction takes from the stack and how many it
// leaves. ok is false for an instruction that does not exist, and for those where
// the number depends on immediates and types: control instructions and calls.
func (op Op) Stack() (takes, leaves int, ok bool) {
	var c byte
	switch {
	case op < OpMisc:
		c = stackPlain[op]
	case op < OpMisc+Op(len(stackMisc)):
		c = stackMisc[op-OpMisc]
	case op >= OpVector && op < OpVector+Op(len(stackVector)):
		c = stackVector[op-OpVector]
	default:
		return 0, 0, false
	}
	switch c {
	case '0': // nothing
		return 0, 0, true
	case 'p': // pushes
		return 0, 1, true
	case 'd': // drops
		return 1, 0, true
	case 'u': // unary
		return 1, 1, true
	case 'b': // binary
		return 2, 1, true
	case 's': // stores
		return 2, 0, true
	case 't': // ternary
		return 3, 1, true
	case 'm': // moves memory or table entries
		return 3, 0, true
	}
	return 0, 0, false
}

// One letter for each opcode, sixteen to a row, as in Stack; a dot for those that
// do not exist or depend on types.
const (
	stackPlain = "" +
		".0.............." + "..........dtt..." + "pdupdus.uuuuuuuu" + "uuuuuusssssssssp" + // 00
		"uppppubbbbbbbbbb" + "ubbbbbbbbbbbbbbb" + "bbbbbbbuuubbbbbb" + "bbbbbbbbbuuubbbb" + // 40
		"bbbbbbbbbbbuuuuu" + "uubbbbbbbuuuuuuu" + "bbbbbbbuuuuuuuuu" + "uuuuuuuuuuuuuuuu" + // 80
		"uuuuu..........." + "pup............." + "................" + "................" // c0
	stackMisc   = "uuuuuuuu" + "m0mm" + "m0mbpm"
	stackVector = "" +
		"uuuuuuuuuuuspbbu" + "uuuuuuubuubububu" + "bubbbbbbbbbbbbbb" + "bbbbbbbbbbbbbbbb" + // 00
		"bbbbbbbbbbbbbubb" + "bbtubbbbssssuuuu" + "uuuuubbuuuubbbbb" + "bbbbuubbbbubuuuu" + // 40
		"uubuubbuuuubbbbb" + "bbbbubbbbb.bbbbb" + "uu.uu..uuuubbbb." + ".b...bbbbbb.bbbb" + // 80
		"uu.uu..uuuubbbb." + ".b...bbbbbbbbbbb" + "uu.ubbbbbbbbuu.u" + "bbbbbbbbuuuuuuuu" // c0
)
