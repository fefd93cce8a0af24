// Guest for the tests: what it does is the action of each record.
package main

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"runtime"
	"strconv"
	"time"
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

//go:wasmimport heddle now
func now() int64

//go:wasmexport heddle_init
func start(n uint32) int32 {
	endless.seed = string(in.bytes[:n]) == "seed"
	return 0
}

//go:wasmexport heddle_seed
func seed(int64) {
	for endless.seed {
		sink++
	}
}

//go:wasmexport heddle_idle
func idle() {
	for endless.idle {
		sink++
	}
	runtime.GC()
}

// endless is what never ends.
var endless struct{ seed, idle bool }

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
		case "live": // so many objects of 128 bytes, for ever
			n, _ := strconv.Atoi(string(ref(7)))
			for range n {
				live = append(live, new([16]*int))
			}
		case "churn": // so many bytes, for nothing
			n, _ := strconv.Atoi(string(ref(7)))
			garbage = make([]byte, n)
		case "draw": // so many bytes
			n, _ := strconv.Atoi(string(ref(7)))
			if drawn == nil {
				drawn = make([]byte, 8<<20)
			}
			rand.Read(drawn[:n])
		case "collect":
			runtime.GC()
		case "clocks": // what they show, the time since the last event, and since before a nap
			day, host, since := time.Now(), now(), time.Duration(0)
			if !last.IsZero() {
				since = day.Sub(last)
			}
			if last = day; len(ref(7)) > 0 {
				nap, _ := time.ParseDuration(string(ref(7)))
				time.Sleep(nap)
			}
			wrote += put(out.bytes[wrote:], 2, i, fmt.Appendf(nil, "%d %d %v %v", day.UnixMilli(), host, since, time.Since(day)))
		case "restless":
			endless.idle = true
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

var (
	grown   [][]byte
	live    []*[16]*int
	garbage []byte
	drawn   []byte
	last    time.Time
)

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
