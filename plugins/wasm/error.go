package wasm

import (
	"fmt"
	"strings"
)

// NoFunc stands for "not in a function" in Error.Func.
const NoFunc = -1

// Error says what is wrong with a module and where, in words for who built it.
type Error struct {
	Section string // "code", "import", ...; empty: the module as a whole
	Func    int    // index in the function index space, or NoFunc
	Name    string // of that function, if the module has names
	Offset  int    // bytes from the start of what was read; -1: unknown
	Msg     string
}

// Error is "code section, function 12 (main.loop), at byte 345: ...".
func (e *Error) Error() string {
	var b strings.Builder
	if e.Section == "" {
		b.WriteString("module")
	} else {
		b.WriteString(e.Section + " section")
	}
	if e.Func >= 0 {
		fmt.Fprintf(&b, ", function %d", e.Func)
		if e.Name != "" {
			fmt.Fprintf(&b, " (%s)", e.Name)
		}
	}
	if e.Offset >= 0 {
		fmt.Fprintf(&b, ", at byte %d", e.Offset)
	}
	b.WriteString(": " + e.Msg)
	return b.String()
}

// feature is a part of WebAssembly beyond core 2.0.
type feature struct{ name, advice string }

var (
	featThreads    = feature{"threads and shared memory", "build without threads (clang: no -pthread or -matomics)"}
	featExceptions = feature{"exception handling", "build without WebAssembly exceptions (clang: -fno-exceptions)"}
	featTailCalls  = feature{"tail calls", "build without -mtail-call"}
	featGC         = feature{"garbage-collected and typed references", "build for plain core WebAssembly 2.0"}
	featMultiMem   = feature{"more than one memory", "build with a single memory"}
	featMemory64   = feature{"64-bit memory", "build for wasm32"}
	featRelaxed    = feature{"relaxed SIMD", "build without -mrelaxed-simd"}
)

// off is the message for a module that uses f.
func (f feature) off() string { return "uses " + f.name + ", which is not supported: " + f.advice }

// featureOf names the feature that an unknown one-byte opcode belongs to.
func featureOf(op byte) (feature, bool) {
	switch op {
	case 0x06, 0x07, 0x08, 0x09, 0x0a, 0x18, 0x19, 0x1f:
		return featExceptions, true
	case 0x12, 0x13, 0x15:
		return featTailCalls, true
	case 0x14, 0xd3, 0xd4, 0xd5, 0xd6, 0xfb:
		return featGC, true
	case 0xfe:
		return featThreads, true
	}
	return feature{}, false
}
