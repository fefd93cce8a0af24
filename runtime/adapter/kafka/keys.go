package kafka

import (
	"hash/maphash"
	"strings"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/sequence"
)

// keys are what idempotency keys were stored as, for a window of time.
type keys struct {
	window time.Duration
	seeds  [2]maphash.Seed
	found  map[[2]uint64]sequence.Stored // by hash of the key
	order  []keyAt                       // from first on, by the time at which they were stored
	first  int
}

type keyAt struct {
	hash [2]uint64
	at   int64 // Unix milliseconds
}

func newKeys(window time.Duration) *keys {
	return &keys{window: window, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, found: map[[2]uint64]sequence.Stored{}}
}

func (k *keys) hash(key sequence.Key) [2]uint64 {
	return [2]uint64{maphash.Comparable(k.seeds[0], key), maphash.Comparable(k.seeds[1], key)}
}

func (k *keys) find(key sequence.Key) (sequence.Stored, bool) {
	s, ok := k.found[k.hash(key)]
	return s, ok
}

// put remembers a record's key, if it has one, and forgets those that are older than the
// window.
func (k *keys) put(r *event.Record) {
	if r.Key == "" {
		return
	}
	h, s := k.hash(sequence.KeyOf(r)), sequence.StoredOf(r)
	s.ID, s.Epoch = strings.Clone(s.ID), strings.Clone(s.Epoch)
	k.found[h] = s
	k.order = append(k.order, keyAt{h, s.Timestamp})
	for oldest := s.Timestamp - k.window.Milliseconds(); k.order[k.first].at < oldest; k.first++ {
		old := k.order[k.first]
		if k.found[old.hash].Timestamp == old.at { // it was not stored again since
			delete(k.found, old.hash)
		}
	}
	if k.first > len(k.order)/2 {
		k.order = append(k.order[:0], k.order[k.first:]...)
		k.first = 0
	}
}
