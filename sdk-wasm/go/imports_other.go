//go:build !wasip1

package heddle

import (
	"time"
	"unsafe"
)

// Outside of a node there is none: functions of a plugin can still be tested, without
// store and look-ups. Logs go to standard error.

func hostLog(_ int32, text string)                              { println(text) }
func hostMetric(int32, string, float64) int32                   { return int32(OK) }
func hostNow() int64                                            { return time.Now().UnixMilli() }
func hostRandom(unsafe.Pointer, uint32) int32                   { return int32(Unavailable) }
func hostSecret(string, unsafe.Pointer, uint32) int32           { return int32(Unavailable) }
func hostLookup(int32, string, unsafe.Pointer, uint32) int32    { return int32(Unavailable) }
func hostPayload(_, _ uint32, _ unsafe.Pointer, _ uint32) int32 { return int32(Unavailable) }
func hostKVGet(string, unsafe.Pointer, uint32) int32            { return int32(Unavailable) }
func hostKVPut(_, _ string, _ int64) int32                      { return int32(Unavailable) }
func hostKVDelete(string) int32                                 { return int32(Unavailable) }
func hostKVAdd(_ string, _, _ int64, _ unsafe.Pointer) int32    { return int32(Unavailable) }
func hostKVSwap(_ string, _ unsafe.Pointer, _ int32, _ unsafe.Pointer, _ int32, _ int64) int32 {
	return int32(Unavailable)
}
