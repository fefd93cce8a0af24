package wasm

// Limits bound what Parse takes. 0 is no limit beyond what the bytes can hold.
type Limits struct {
	Types     int // function types
	Arity     int // parameters of a type, and results of it
	Imports   int
	Functions int // that the module defines
	Tables    int
	Globals   int
	Exports   int
	Segments  int // element segments, and data segments
	Elements  int // entries of all element segments
	Locals    int // of one function
	Body      int // bytes of one function
}
