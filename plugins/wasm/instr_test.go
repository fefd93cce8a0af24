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
		"table.copy":           {"\xfc\x0e\x01\x02", Instr{Op: OpTableCopy, X: 1, Y: 2}},
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

// TestShortest gives instructions in their shortest form, however they were written.
func TestShortest(t *testing.T) {
	for long, short := range map[string]string{
		"\xfc\x8e\x00\x81\x00\x82\x80\x00":         "\xfc\x0e\x01\x02",
		"\xfd\x8c\x00" + "0123456789abcdef":        "\xfd\x0c" + "0123456789abcdef",
		"\xfd\xd5\x81\x00":                         "\xfd\xd5\x01",
		"\xfd\xd5\x00\x80\x00\x90\x00\x01":         "\xfd\x55\x00\x10\x01",
		"\x10\x85\x80\x80\x80\x00":                 "\x10\x05",
		"\x41\xff\xff\xff\xff\x7f":                 "\x41\x7f",
		"\x42\x80\x00":                             "\x42\x00",
		"\x28\x82\x00\x88\x80\x80\x80\x00":         "\x28\x02\x08",
		"\x0e\x81\x00\x80\x00\x83\x00":             "\x0e\x01\x00\x03",
		"\x1c\x81\x00\x7e":                         "\x1c\x01\x7e",
		"\x04\x85\x80\x00":                         "\x04\x05",
		"\xfc\x88\x00\x83\x00\x00":                 "\xfc\x08\x03\x00",
		"\x44\x01\x02\x03\x04\x05\x06\x07\x08":     "\x44\x01\x02\x03\x04\x05\x06\x07\x08",
		"\x11\x81\x80\x80\x80\x00\x80\x80\x80\x00": "\x11\x01\x00",
	} {
		r := NewReader([]byte(long), 0)
		var in Instr
		r.Instr(&in)
		if string(in.Raw) != short || r.Len() != 0 || r.Err() != nil {
			t.Errorf("%x becomes %x, not %x; %d bytes are left, %v", long, in.Raw, short, r.Len(), r.Err())
		}
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
