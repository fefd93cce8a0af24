package wasm

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// everything is a module with all that a module can have.
func everything() *Module {
	i32 := func(v byte) Const { return Const{Op: OpI32Const, Raw: []byte{byte(OpI32Const), v}} }
	ref := []Const{{Op: OpRefFunc, Index: 3}, {Op: OpRefNull, Raw: []byte{byte(OpRefNull), byte(FuncRef)}}}
	null := []Const{{Op: OpRefNull, Raw: []byte{byte(OpRefNull), byte(ExternRef)}}}
	vector := Const{Op: OpV128Const, Raw: append(OpV128Const.Append(nil), make([]byte, 16)...)}
	return &Module{
		Types: []FuncType{{}, {Params: []ValType{I32, I64, F32, F64, V128, FuncRef, ExternRef}, Results: []ValType{F64, I32}}},
		Imports: []Import{
			{Module: "m", Name: "f", Func: 1}, {Module: "", Name: "é", Func: 0},
			{Module: "m", Name: "t", Kind: KindTable, Table: Table{Elem: ExternRef, Size: Size{Min: 1}}},
			{Module: "m", Name: "m", Kind: KindMemory, Memory: Size{Min: 1, Max: 300, HasMax: true}},
			{Module: "m", Name: "g", Kind: KindGlobal, Global: GlobalType{Type: I64, Mutable: true}},
			{Module: "m", Name: "h", Func: 0},
		},
		Funcs:    []uint32{0, 1},
		Tables:   []Table{{Elem: FuncRef, Size: Size{Min: 7, Max: 200, HasMax: true}}, {Elem: ExternRef}},
		Globals:  []Global{{GlobalType{I32, true}, i32(1)}, {GlobalType{I64, false}, Const{Op: OpGlobalGet, Index: 0}}, {GlobalType{V128, false}, vector}},
		Exports:  []Export{{"f", KindFunc, 3}, {"t", KindTable, 0}, {"m", KindMemory, 0}, {"g", KindGlobal, 1}},
		HasStart: true, Start: 3,
		Elems: []Elem{
			{Type: FuncRef, Offset: i32(0), Funcs: []uint32{1, 2}},
			{Type: FuncRef, Mode: Passive, Funcs: []uint32{}},
			{Type: FuncRef, Table: 1, Offset: i32(2), Funcs: []uint32{3}},
			{Type: FuncRef, Mode: Declared, Funcs: []uint32{3}},
			{Type: FuncRef, Offset: i32(4), Exprs: ref},
			{Type: ExternRef, Mode: Passive, Exprs: null},
			{Type: ExternRef, Table: 2, Offset: i32(6), Exprs: null},
			{Type: FuncRef, Mode: Declared, Exprs: ref},
		},
		HasCount: true,
		Codes: []Code{
			{Locals: []Locals{}, Body: []byte{byte(OpEnd)}},
			{Locals: []Locals{{300, I64}, {1, V128}}, Body: []byte{byte(OpUnreachable), byte(OpEnd)}},
		},
		Datas: []Data{{Offset: i32(9), Bytes: []byte("hello")}, {Mode: Passive, Bytes: []byte{}}},
		Names: []FuncName{{0, "imported"}, {4, "main.main"}},
	}
}

// TestRoundTrip writes a module and reads it again.
func TestRoundTrip(t *testing.T) {
	for name, m := range map[string]*Module{"everything": everything(), "nothing": {}} {
		code := m.Append(nil)
		got, err := Parse(code, Limits{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i := range got.Codes {
			got.Codes[i].Offset = 0
		}
		if !reflect.DeepEqual(got, m) {
			t.Errorf("%s: it reads as\n%+v, not\n%+v", name, got, m)
		}
		if again := got.Append(nil); !bytes.Equal(again, code) {
			t.Errorf("%s: it is written as\n%x, not\n%x", name, again, code)
		}
	}
}

// TestCutShort cuts a module at each byte: either that is refused, or a section ends
// there, and what came so far is a module.
func TestCutShort(t *testing.T) {
	code := everything().Append(nil)
	for n := range code {
		if m, err := Parse(code[:n], Limits{}); err == nil && !bytes.Equal(m.Append(nil), code[:n]) {
			t.Errorf("the first %d bytes were read as another module", n)
		}
	}
}

// TestLimits holds each number to its limit.
func TestLimits(t *testing.T) {
	code := everything().Append(nil)
	for what, lim := range map[string]Limits{
		"type section":             {Types: 1},
		"parameters":               {Arity: 6},
		"import section":           {Imports: 5},
		"function section":         {Functions: 1},
		"table section":            {Tables: 1},
		"global section":           {Globals: 2},
		"export section":           {Exports: 3},
		"element section, at byte": {Segments: 7},
		"entries in all segments":  {Elements: 9},
		"code section, function 4": {Body: 7},
		"has 301 local variables, the limit is 300: split": {Locals: 300},
	} {
		_, err := Parse(code, lim)
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%+v: it says %v, not %q", lim, err, what)
		}
	}
	if _, err := Parse(code, Limits{2, 7, 6, 2, 2, 3, 4, 8, 11, 301, 8}); err != nil {
		t.Errorf("within all limits: %v", err)
	}
}

// TestSections refuses sections that are in the wrong place, or contradict others.
func TestSections(t *testing.T) {
	section := func(id byte, body string) string { return string([]byte{id, byte(len(body))}) + body }
	for name, c := range map[string]struct{ module, says string }{
		"twice":              {section(secType, "\x00") + section(secType, "\x00"), "type section"},
		"in the wrong order": {section(secFunction, "\x00") + section(secType, "\x00"), "comes twice, or after"},
		"unknown":            {section(14, ""), "section id 14"},
		"too long":           {section(secType, "\x00\x00"), "1 bytes too many"},
		"beyond the end":     {"\x01\x05\x00", "needs 5 bytes, has 1"},
		"no code":            {section(secType, "\x01\x60\x00\x00") + section(secFunction, "\x01\x00"), "more or fewer functions"},
		"another count":      {section(secDataCount, "\x01"), "another number of segments"},
		"custom, no name":    {section(secCustom, "\x09a"), "custom section"},
		"a type too far":     {section(secFunction, "\x01\x00"), "type 0 is not there"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(append(header[:len(header):len(header)], c.module...), Limits{})
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("it says %v", err)
			}
		})
	}
}

// TestBadNames leaves out names that make no sense: they are no error.
func TestBadNames(t *testing.T) {
	for name, section := range map[string]string{
		"an index too far":    "\x01\x04\x01\x63\x01a",
		"out of order":        "\x01\x07\x02\x01\x01a\x00\x01b",
		"too many":            "\x01\x02\xff\x01",
		"cut short":           "\x01\x09\x01\x00",
		"not UTF-8":           "\x01\x04\x01\x00\x01\xff",
		"another sub-section": "\x02\x01\x00",
	} {
		m := everything()
		m.Names = nil
		body := append(AppendName(nil, "name"), section...)
		got, err := Parse(appendSized(append(m.Append(nil), secCustom), body), Limits{})
		if err != nil || got.Names != nil {
			t.Errorf("%s: it gives %v, %v", name, got, err)
		}
	}
}
