// Guest for the tests: what it does is the action of each record.
package main

import (
	"encoding/binary"
	"runtime"
	"unsafe"
)

const capacity = 64 << 10

type arena struct {
	capacity, zero uint32
	bytes          [capacity]byte
}

var in, out = arena{capacity: capacity}, arena{capacity: capacity}

//go:wasmimport heddle log
func log(level uint32, at unsafe.Pointer, n uint32)

//go:wasmexport heddle_abi
func abi() uint32 { return 1 }

//go:wasmexport heddle_buffers
func buffers() uint64 {
	return uint64(uintptr(unsafe.Pointer(&in))) | uint64(uintptr(unsafe.Pointer(&out)))<<32
}

//go:wasmexport heddle_init
func start(n uint32) int32 { return 0 }

var calls, sink int

//go:wasmexport heddle_batch
func batch(n, size uint32) int32 {
	if calls++; calls%16 == 0 {
		runtime.Gosched() // or the collector starves
	}
	le, wrote := binary.LittleEndian, 0
	b := in.bytes[:size]
	for i := range n {
		ref := func(k int) []byte {
			at, n := le.Uint32(b[48+8*k:]), le.Uint32(b[52+8*k:])
			return b[at : at+n]
		}
		switch action := string(ref(4)); action {
		case "spin":
			for {
				sink++
			}
		case "recurse":
			sink = deep(1)
		case "panic":
			panic("as asked for")
		case "grow":
			grown = append(grown, make([]byte, 8<<20))
		case "eat":
			for {
				grown = append(grown, make([]byte, 1<<20))
			}
		case "log":
			log(1, unsafe.Pointer(&ref(7)[0]), uint32(len(ref(7))))
		case "flood":
			for {
				log(1, unsafe.Pointer(&b[0]), 8)
			}
		case "lie":
			return capacity + 1
		case "status":
			return -7
		case "count":
			wrote += put(out.bytes[wrote:], 2, i, []byte{byte('0' + calls%10)})
		case "echo":
			wrote += put(out.bytes[wrote:], 3, i, ref(7))
		}
		b = b[le.Uint32(b):]
	}
	return int32(wrote)
}

var grown [][]byte

//go:noinline
func deep(n int) int { return deep(n+1) + n }

func put(b []byte, kind uint16, record uint32, a []byte) int {
	le := binary.LittleEndian
	size := (56 + len(a) + 7) &^ 7
	clear(b[:size])
	le.PutUint32(b, uint32(size))
	le.PutUint16(b[4:], kind)
	le.PutUint16(b[6:], uint16(record))
	le.PutUint32(b[24:], 56)
	le.PutUint32(b[28:], uint32(len(a)))
	copy(b[56:], a)
	return size
}

func main() {}
