package heddle

import "unsafe"

// The node's functions. The linker keeps those that the plugin's code reaches, and a
// module is refused if it imports one whose capability was not granted: so nothing
// here may be called but by the function that its name says.
//
// None of them keeps a pointer.

//go:wasmimport heddle log
//go:noescape
func hostLog(level int32, text string)

//go:wasmimport heddle metric
//go:noescape
func hostMetric(kind int32, name string, value float64) int32

//go:wasmimport heddle now
func hostNow() int64

//go:wasmimport heddle random
//go:noescape
func hostRandom(buffer unsafe.Pointer, size uint32) int32

//go:wasmimport heddle secret
//go:noescape
func hostSecret(name string, buffer unsafe.Pointer, capacity uint32) int32

//go:wasmimport heddle lookup
//go:noescape
func hostLookup(kind int32, name string, buffer unsafe.Pointer, capacity uint32) int32

//go:wasmimport heddle payload
//go:noescape
func hostPayload(record, from uint32, buffer unsafe.Pointer, capacity uint32) int32

//go:wasmimport heddle kv_get
//go:noescape
func hostKVGet(key string, buffer unsafe.Pointer, capacity uint32) int32

//go:wasmimport heddle kv_put
//go:noescape
func hostKVPut(key, value string, ttl int64) int32

//go:wasmimport heddle kv_delete
//go:noescape
func hostKVDelete(key string) int32

//go:wasmimport heddle kv_add
//go:noescape
func hostKVAdd(key string, delta, ttl int64, sum unsafe.Pointer) int32

//go:wasmimport heddle kv_swap
//go:noescape
func hostKVSwap(key string, old unsafe.Pointer, oldSize int32, value unsafe.Pointer, size int32, ttl int64) int32
