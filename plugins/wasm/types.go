package wasm

// ValType is the type of a value, as encoded.
type ValType byte

// The types of values of core 2.0.
const (
	I32       ValType = 0x7f
	I64       ValType = 0x7e
	F32       ValType = 0x7d
	F64       ValType = 0x7c
	V128      ValType = 0x7b
	FuncRef   ValType = 0x70
	ExternRef ValType = 0x6f
)

// String is the type's name in the text format.
func (t ValType) String() string {
	switch t {
	case I32:
		return "i32"
	case I64:
		return "i64"
	case F32:
		return "f32"
	case F64:
		return "f64"
	case V128:
		return "v128"
	case FuncRef:
		return "funcref"
	case ExternRef:
		return "externref"
	}
	return "unknown"
}

// Kind is what an import or export is.
type Kind byte

// The kinds of imports and exports, as encoded.
const (
	KindFunc Kind = iota
	KindTable
	KindMemory
	KindGlobal
)

// String is the kind's name in the text format.
func (k Kind) String() string {
	if k > KindGlobal {
		return "unknown"
	}
	return [...]string{"func", "table", "memory", "global"}[k]
}

// FuncType is a function's signature.
type FuncType struct{ Params, Results []ValType }

// Size is the minimum and maximum of a memory, in pages of 64 KiB, or of a
// table, in elements.
type Size struct {
	Min, Max uint32
	HasMax   bool
}

// Table is a table's type.
type Table struct {
	Elem ValType
	Size Size
}

// GlobalType is a global's type.
type GlobalType struct {
	Type    ValType
	Mutable bool
}

// Global is a global that the module defines.
type Global struct {
	GlobalType
	Init Const
}

// Import is something that the host, or another module, provides. Kind tells
// which of the last four fields counts.
type Import struct {
	Module, Name string
	Kind         Kind
	Func         uint32 // index of its type
	Table        Table
	Memory       Size
	Global       GlobalType
}

// Export is something that others may use.
type Export struct {
	Name  string
	Kind  Kind
	Index uint32
}

// Const is a constant expression: one instruction (core 2.0 has no others).
type Const struct {
	Op    Op
	Index uint32 // of the function or global, for OpRefFunc and OpGlobalGet
	Raw   []byte // the instruction in its shortest form, for all others
}

// Mode is when a segment is copied.
type Mode byte

// Active segments are copied when the module starts, passive ones when an
// instruction says so. Declared element segments are never copied: they say
// which functions a ref.func may name.
const (
	Active Mode = iota
	Passive
	Declared
)

// Elem is an element segment. Its entries are Funcs or Exprs, as it was encoded.
type Elem struct {
	Mode   Mode
	Table  uint32 // if active
	Offset Const  // if active
	Type   ValType
	Funcs  []uint32
	Exprs  []Const // not nil: the entries
}

// Data is a data segment.
type Data struct {
	Mode   Mode
	Offset Const // if active
	Bytes  []byte
}

// Locals is a run of local variables of one type.
type Locals struct {
	N    uint32
	Type ValType
}

// Code is a function's body. Body ends with the function's end.
type Code struct {
	Locals []Locals
	Body   []byte
	Offset int // of Body in the module, for messages
}

// FuncName is an entry of the name section.
type FuncName struct {
	Index uint32
	Name  string
}

// Module is a module that has been taken apart. Custom sections are left out,
// but for names of functions.
type Module struct {
	Types    []FuncType
	Imports  []Import
	Funcs    []uint32 // index of the type of each function that the module defines
	Tables   []Table
	Memories []Size
	Globals  []Global
	Exports  []Export
	Start    uint32
	HasStart bool
	Elems    []Elem
	HasCount bool // a data count section is there
	Codes    []Code
	Datas    []Data
	Names    []FuncName // by index, ascending
}

// ImportedFuncs is the number of functions that come before the module's own in
// the function index space.
func (m *Module) ImportedFuncs() int {
	n := 0
	for i := range m.Imports {
		if m.Imports[i].Kind == KindFunc {
			n++
		}
	}
	return n
}
