package heddle

import (
	"time"
	"unsafe"
)

// The key-value store of the tenant, of which the plugin has a part of its own. A
// call sees at once what it changes itself; others see it when the batch has
// succeeded. Keys have 1 to 256 bytes, values up to 64 KiB. A ttl of 0 is for ever.
// All of it needs the capability kv. Errors: NotFound, Quota, Conflict, Invalid,
// Unavailable.

// KVGet is the value of a key, a copy; NotFound if there is none.
func KVGet(key string) ([]byte, error) { return KVAppend(nil, key) }

// KVAppend appends the value of a key to dst: with capacity enough, without
// allocating.
func KVAppend(dst []byte, key string) ([]byte, error) {
	return fill(dst, func(buffer unsafe.Pointer, capacity uint32) int32 {
		return hostKVGet(key, buffer, capacity)
	})
}

// KVPut sets the value of a key.
func KVPut(key string, value []byte, ttl time.Duration) error {
	return failure(hostKVPut(key, str(value), millis(ttl)))
}

// KVDelete removes a key; one that is not there, too.
func KVDelete(key string) error { return failure(hostKVDelete(key)) }

// KVAdd adds to the number that a key holds, 0 if there is none, and returns the sum.
// Invalid if the value is no number.
func KVAdd(key string, delta int64, ttl time.Duration) (int64, error) {
	var sum int64
	n := hostKVAdd(key, delta, millis(ttl), unsafe.Pointer(&sum))
	return sum, failure(n)
}

// KVSwap sets the value of a key if it is old by now, else Conflict. nil stands for no
// value: as old, the key must not be there; as value, it is removed.
func KVSwap(key string, old, value []byte, ttl time.Duration) error {
	return failure(hostKVSwap(key, addr(old), length(old), addr(value), length(value), millis(ttl)))
}

// length is that of b, -1 for nil.
func length(b []byte) int32 {
	if b == nil {
		return -1
	}
	return int32(len(b))
}
