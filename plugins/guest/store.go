package guest

import (
	"encoding/binary"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
)

// Bounds of the store's keys and values, in bytes.
const (
	MaxKey   = 256
	MaxValue = 64 << 10
)

// key is a key that the guest names; false if it is none.
func (i *Instance) key(at, n uint64) ([]byte, bool) {
	k, ok := i.bytes(at, n)
	if !ok || len(k) == 0 || len(k) > MaxKey {
		return nil, false
	}
	i.charge(len(k) / copyBytes)
	return k, true
}

// value is a value that the guest gives, nil if its length is -1.
func (i *Instance) value(at, n uint64) ([]byte, bool) {
	if int32(n) == -1 {
		return nil, true
	}
	v, ok := i.bytes(at, n)
	if !ok || len(v) > MaxValue {
		return nil, false
	}
	if v == nil {
		v = []byte{}
	}
	i.charge(len(v) / copyBytes)
	return v, true
}

// life is a time to live in milliseconds, 0 for ever; false below that.
func life(ms uint64) (time.Duration, bool) {
	const most = 10 * 365 * 24 * time.Hour
	n := int64(ms)
	return min(time.Duration(min(n, int64(most/time.Millisecond)))*time.Millisecond, most), n >= 0
}

func kvGet(i *Instance, s []uint64) {
	key, ok := i.key(s[0], s[1])
	if !ok {
		answer(s, hostapi.Invalid)
		return
	}
	value, st := i.host.Get(key)
	i.give(s, value, st, s[2], s[3])
}

func kvPut(i *Instance, s []uint64) {
	key, ok := i.key(s[0], s[1])
	value, good := i.value(s[2], s[3])
	ttl, sane := life(s[4])
	if !ok || !good || !sane || value == nil {
		answer(s, hostapi.Invalid)
		return
	}
	answer(s, i.host.Put(key, value, ttl))
}

func kvDelete(i *Instance, s []uint64) {
	key, ok := i.key(s[0], s[1])
	if !ok {
		answer(s, hostapi.Invalid)
		return
	}
	answer(s, i.host.Delete(key))
}

func kvSwap(i *Instance, s []uint64) {
	key, ok := i.key(s[0], s[1])
	old, good := i.value(s[2], s[3])
	next, fine := i.value(s[4], s[5])
	ttl, sane := life(s[6])
	if !ok || !good || !fine || !sane {
		answer(s, hostapi.Invalid)
		return
	}
	answer(s, i.host.Swap(key, old, next, ttl))
}

func kvAdd(i *Instance, s []uint64) {
	key, ok := i.key(s[0], s[1])
	ttl, sane := life(s[3])
	result, good := i.bytes(s[4], 8)
	if !ok || !sane || !good {
		answer(s, hostapi.Invalid)
		return
	}
	sum, st := i.host.Add(key, int64(s[2]), ttl)
	if st == hostapi.OK {
		binary.LittleEndian.PutUint64(result, uint64(sum))
	}
	answer(s, st)
}
