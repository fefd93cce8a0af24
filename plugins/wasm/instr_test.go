package wasm

import (
	"bytes"
	"testing"
)

// TestInstr reads instructions of each shape.
func TestInstr(t *testing.T) {
	for name, c := range map[string]struct {
		bytes string
		want  Instr
	}{
		"plain":                {"\x6a", Instr{Op: OpI32Add}},
		"a block of no result": {"\x02\x40", Instr{Op: OpBlock, Block: NoResult}},
		"a loop of one result": {"\x03\x7e", Instr{Op: OpLoop, Block: ResultType([]ValType{I64})}},
		"an if of a type":      {"\x04\x85\x01", Instr{Op: OpIf, Block: 133}},
		"a branch":             {"\x0c\x07", Instr{Op: OpBr, X: 7}},
		"a br_table":           {"\x0e\x02\x01\x02\x03", Instr{Op: OpBrTable, Labels: []uint32{1, 2, 3}}},
		"an indirect call":     {"\x11\x81\x01\x02", Instr{Op: OpCallIndirect, X: 129, Y: 2}},
		"a typed select":       {"\x1c\x01\x7f", Instr{Op: OpSelectType}},
		"a load":               {"\x28\x02\x80\x08", Instr{Op: OpI32Load}},
		"a constant":           {"\x44\x00\x00\x00\x00\x00\x00\xf0\x3f", Instr{Op: OpF64Const}},
		"memory.init":          {"\xfc\x08\x03\x00", Instr{Op: OpMemoryInit, X: 3}},
		"memory.copy":          {"\xfc\x0a\x00\x00", Instr{Op: OpMemoryCopy}},
		"table.copy":           {"\xfc\x8e\x00\x01\x02", Instr{Op: OpTableCopy, X: 1, Y: 2}},
		"a vector's constant":  {"\xfd\x0c" + "0123456789abcdef", Instr{Op: OpV128Const}},
		"a vector's lane":      {"\xfd\x15\x03", Instr{Op: OpVector + 0x15}},
		"a load of a lane":     {"\xfd\x54\x00\x10\x01", Instr{Op: OpVector + 0x54}},
		"a vector's product":   {"\xfd\xd5\x01", Instr{Op: OpVector + 0xd5}},
	} {
		t.Run(name, func(t *testing.T) {
			r := NewReader([]byte(c.bytes+"\x01"), 10)
			var got Instr
			r.Instr(&got)
			if err := r.Err(); err != nil {
				t.Fatal(err)
			}
			if got.Op != c.want.Op || got.X != c.want.X || got.Y != c.want.Y || got.Block != c.want.Block || len(got.Labels) != len(c.want.Labels) {
				t.Errorf("it is %+v", got)
			}
			if string(got.Raw) != c.bytes || got.Offset != 10 || r.Len() != 1 {
				t.Errorf("it is %x at %d, and %d bytes are left", got.Raw, got.Offset, r.Len())
			}
		})
	}
}

// TestStack sees that each opcode which can be read has a known effect on the stack,
// or is one whose effect depends on types.
func TestStack(t *testing.T) {
	typed := map[Op]bool{OpUnreachable: true, OpBlock: true, OpLoop: true, OpIf: true, OpElse: true, OpEnd: true, OpBr: true, OpBrIf: true,
		OpBrTable: true, OpReturn: true, OpCall: true, OpCallIndirect: true}
	zeros := make([]byte, 32)
	n := 0
	for op := range OpVector + 0x120 {
		if op >= opMisc && op < OpMisc {
			continue
		}
		code := append(op.Append(nil), zeros...)
		if op == OpBlock || op == OpLoop || op == OpIf || op == OpRefNull {
			code[1] = byte(FuncRef)
		}
		var in Instr
		r := NewReader(code, 0)
		r.Instr(&in)
		_, _, known := op.Stack()
		if reads := r.Err() == nil; reads != (known || typed[op]) {
			t.Errorf("0x%x: it can be read: %t, its effect is known: %t", int(op), reads, known)
		} else if reads {
			n++
			if in.Op != op || !bytes.HasPrefix(in.Raw, op.Append(nil)) {
				t.Errorf("0x%x is read as 0x%x", int(op), int(in.Op))
			}
		}
	}
	// Version 1 has 172; then came sign extensions, saturating truncations, bulk
	// operations, references, a typed select, tables' and vectors' instructions.
	if want := 172 + 5 + 8 + 7 + 3 + 1 + 5 + 236; n != want {
		t.Errorf("there are %d instructions, not %d", n, want)
	}
}
