package embedded

import (
	"encoding/binary"
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/heddle-rt/heddle/runtime/sequence"
)

// window is where idempotency keys are kept. A bucket stays the newest for at
// least Config.Window, so that the newest two hold all keys of that time.
type window struct {
	seed  maphash.Seed
	now   atomic.Pointer[buckets]
	began time.Time // of the newest bucket, with its monotonic reading; Run's
}

// buckets are the two that count, and what they hold.
type buckets struct {
	newest uint64     // its number; the other's is one less
	held   [2]*filter // of the newest, and of the one before
}

// A bucket's number is behind the table byte of a key.
const bucketEnd = 1 + 8

func appendKeyRow(key []byte, bucket uint64, k *sequence.Key) []byte {
	key = appendBucket(key, bucket)
	key = appendField(key, k.Tenant)
	key = appendField(key, k.Room)
	key = appendField(key, k.User)
	return appendField(key, k.ID)
}

// put chooses the bucket of a key row, which must be written then.
func (w *window) put(row []byte) {
	b := w.now.Load()
	binary.BigEndian.PutUint64(row[1:], b.newest)
	b.held[0].add(maphash.Bytes(w.seed, row[bucketEnd:]))
}

// find calls get with the row in each bucket that may hold it, until it returns
// true or an error.
func (w *window) find(row []byte, get func(row []byte) (bool, error)) (bool, error) {
	b := w.now.Load()
	hash := maphash.Bytes(w.seed, row[bucketEnd:])
	for i, held := range b.held {
		if !held.has(hash) {
			continue
		}
		binary.BigEndian.PutUint64(row[1:], b.newest-uint64(i))
		if ok, err := get(row); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// restore goes on with the newest bucket that the disk holds. The time that it
// was the newest before is unknown and not counted: it lasts longer. The keys of
// both buckets are read once to know which are held, some millions a second.
func (w *window) restore(s *Store) error {
	w.seed = maphash.MakeSeed()
	w.began = s.deps.Clock()
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tableKey}, UpperBound: []byte{tableKey + 1}})
	if err != nil {
		return err
	}
	b := &buckets{newest: 1, held: [2]*filter{newFilter(), newFilter()}}
	if it.Last() {
		b.newest = binary.BigEndian.Uint64(it.Key()[1:])
	}
	for i, held := range b.held {
		number := b.newest - uint64(i)
		for ok := it.SeekGE(appendBucket(nil, number)); ok && binary.BigEndian.Uint64(it.Key()[1:]) == number; ok = it.Next() {
			held.add(maphash.Bytes(w.seed, it.Key()[bucketEnd:]))
		}
	}
	w.now.Store(b)
	return it.Close()
}

// turn begins a new bucket when it is time, and drops all but the newest two. The
// tenth more is for appends that chose their bucket before it turned.
func (w *window) turn(s *Store) error {
	now := s.deps.Clock()
	if now.Sub(w.began) < s.cfg.Window+s.cfg.Window/10 {
		return nil
	}
	w.began = now
	was := w.now.Load()
	is := &buckets{newest: was.newest + 1, held: [2]*filter{newFilter(), was.held[0]}}
	w.now.Store(is)
	b := s.db.NewBatch()
	if err := b.DeleteRange(appendBucket(nil, 0), appendBucket(nil, is.newest-1), nil); err != nil {
		return err
	}
	return s.apply(b, pebble.NoSync)
}
