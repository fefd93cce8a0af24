package wasm

import (
	"bytes"
	"testing"
)

// FuzzParse reads any bytes. What is read is written so that it reads the same.
func FuzzParse(f *testing.F) {
	f.Add(everything().Append(nil))
	f.Add((&Module{}).Append(nil))
	f.Fuzz(func(t *testing.T, module []byte) {
		m, err := Parse(module, Limits{})
		if err != nil {
			return
		}
		code := m.Append(nil)
		again, err := Parse(code, Limits{})
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if !bytes.Equal(again.Append(nil), code) {
			t.Fatal("it is written differently the second time")
		}
		var in Instr
		for i := range m.Codes {
			for r := NewReader(m.Codes[i].Body, 0); r.Len() > 0; {
				r.Instr(&in)
			}
		}
	})
}

// BenchmarkInstr reads the instructions of a body.
func BenchmarkInstr(b *testing.B) {
	body := bytes.Repeat([]byte{byte(OpLocalGet), 0, byte(OpI32Const), 0xe5, 0x0e, byte(OpI32Add), byte(OpI32Load), 2, 0x10, byte(OpLocalSet), 0}, 1000)
	var in Instr
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		for r := NewReader(body, 0); r.Len() > 0; {
			r.Instr(&in)
		}
	}
}
