// A guest for tests, without SDK: it drops every event with its config's word, and does
// not start if that is "refuse".
package main

import (
	"encoding/binary"
	"unsafe"
)

const capacity = 64 << 10

type arena struct {
	capacity, _ uint32
	bytes       [capacity]byte
}

var (
	in   = arena{capacity: capacity}
	out  = arena{capacity: capacity}
	word string
)

//go:wasmexport heddle_abi
func abi() uint32 { return 1 }

//go:wasmexport heddle_buffers
func buffers() uint64 {
	return uint64(uintptr(unsafe.Pointer(&in))) | uint64(uintptr(unsafe.Pointer(&out)))<<32
}

//go:wasmexport heddle_init
func start(n uint32) int32 {
	word = string(in.bytes[:n])
	if word == `"refuse"` {
		println("I was asked to")
		return -7
	}
	return 0
}

//go:wasmexport heddle_batch
func batch(n, _ uint32) int32 {
	le, wrote := binary.LittleEndian, 0
	for i := range n {
		size := (56 + len(word) + 7) &^ 7
		b := out.bytes[wrote:]
		clear(b[:size])
		le.PutUint32(b, uint32(size))
		le.PutUint16(b[4:], 2)
		le.PutUint16(b[6:], uint16(i))
		le.PutUint32(b[24:], 56)
		le.PutUint32(b[28:], uint32(len(word)))
		copy(b[56:], word)
		wrote += size
	}
	return int32(wrote)
}

func main() {}
