package kafka

import (
	"hash/maphash"
	"slices"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/sequence"
)

// keys are what idempotency keys were stored as, for a window of time. There are as many
// as a partition has events in that, so they hold no pointers, which the garbage
// collector would follow.
type keys struct {
	window time.Duration
	seeds  [2]maphash.Seed
	found  map[uint64]uint64 // number of the entry, by the first hash of its key
	// Entries have numbers in the order in which they were stored, from old up to next; a
	// chunk holds chunkLen of them.
	chunks    [][]keyEntry // from number base on
	base      uint64
	old, next uint64
}

const chunkLen = 1 << 12

type keyEntry struct {
	hashes    [2]uint64
	offset    uint64
	timestamp int64 // Unix milliseconds
	id, epoch shortText
}

// shortText is what the committer makes for ids, which are ULIDs, and for epochs.
type shortText struct {
	size  uint8
	bytes [26]byte
}

func short(s string) (t shortText) {
	t.size = uint8(copy(t.bytes[:], s))
	return t
}

func (t *shortText) String() string { return string(t.bytes[:t.size]) }

func newKeys(window time.Duration) *keys {
	return &keys{window: window, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, found: map[uint64]uint64{}}
}

// hash is one of a key's two: the first finds it, the second makes sure.
func (k *keys) hash(i int, key sequence.Key) uint64 { return maphash.Comparable(k.seeds[i], key) }

func (k *keys) find(key sequence.Key) (s sequence.Stored, ok bool) {
	n, ok := k.found[k.hash(0, key)]
	if !ok {
		return s, false
	}
	e := k.entry(n)
	if e.hashes[1] != k.hash(1, key) {
		return s, false
	}
	s.Epoch, s.Offset, s.ID, s.Timestamp = e.epoch.String(), e.offset, e.id.String(), e.timestamp
	return s, true
}

// put remembers a record's key, if it has one, and forgets those that are older than the
// window.
func (k *keys) put(r *event.Record) {
	if r.Key == "" {
		return
	}
	key := sequence.KeyOf(r)
	h := [2]uint64{k.hash(0, key), k.hash(1, key)}
	k.found[h[0]] = k.next
	if k.next == k.base+chunkLen*uint64(len(k.chunks)) {
		k.chunks = append(k.chunks, make([]keyEntry, chunkLen))
	}
	*k.entry(k.next) = keyEntry{hashes: h, offset: r.Offset, timestamp: r.Timestamp, id: short(r.ID), epoch: short(r.Epoch)}
	k.next++
	k.trim(r.Timestamp - k.window.Milliseconds())
}

// entry is the one of a number.
func (k *keys) entry(n uint64) *keyEntry {
	n -= k.base
	return &k.chunks[n/chunkLen][n%chunkLen]
}

// trim forgets what was stored before a time, Unix milliseconds.
func (k *keys) trim(before int64) {
	for ; k.entry(k.old).timestamp < before; k.old++ {
		h := k.entry(k.old).hashes[0]
		if k.found[h] == k.old { // it was not stored again since
			delete(k.found, h)
		}
	}
	for ; k.old >= k.base+chunkLen; k.base += chunkLen {
		k.chunks = slices.Delete(k.chunks, 0, 1)
	}
}
