package embedded

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/heddle-rt/heddle/runtime/adapter/codec"
)

// restore reads the rows. A database from before they were kept, which does not
// have the row that is the table's byte alone, is counted once.
func (u *usage) restore(s *Store) error {
	u.totals.Store(&map[string]*total{})
	u.tallys = map[int]*tally{}
	if counted, err := s.get([]byte{tableUsage}, func([]byte) error { return nil }); err != nil {
		return err
	} else if !counted {
		return u.count(s)
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tableUsage, 0}, UpperBound: []byte{tableUsage + 1}})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		if err := u.take(it); err != nil {
			return errors.Join(err, it.Close())
		}
	}
	return it.Close()
}

// take reads the row that the iterator stands at.
func (u *usage) take(it *pebble.Iterator) error {
	tenant, tail, ok := field(it.Key()[1:])
	writer := sweeper
	if ok && len(tail) == 2 {
		writer = int(binary.BigEndian.Uint16(tail))
	} else if !ok || len(tail) > 0 {
		return codec.ErrCorrupt
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return err
	}
	a, err := decodeAmount(value)
	if err != nil {
		return err
	}
	t := u.tally(writer)
	t.add(tenant, a.rooms, a.bytes)
	t.applied()
	return nil
}

// count goes through all records, which takes some 100 ns each, and puts what it
// finds on the sweep's tally.
func (u *usage) count(s *Store) error {
	all, err := s.recount()
	if err != nil {
		return err
	}
	t, b := u.tally(sweeper), s.db.NewBatch()
	for tenant, a := range all {
		t.add(tenant, a.rooms, a.bytes)
	}
	if err := errors.Join(b.Set([]byte{tableUsage}, []byte{codec.Version}, nil), t.write(b)); err != nil {
		return errors.Join(err, b.Close())
	}
	if err := s.apply(b, pebble.Sync); err != nil {
		return err
	}
	t.applied()
	return nil
}

// recount adds up what is stored, by tenant.
func (s *Store) recount() (map[string]amount, error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tableRecord}, UpperBound: []byte{tableRecord + 1}})
	if err != nil {
		return nil, err
	}
	out := map[string]amount{}
	for ok := it.First(); ok; {
		tenant, tail, whole := field(it.Key()[1:])
		id, _, whole2 := field(tail)
		if !whole || !whole2 {
			return nil, errors.Join(codec.ErrCorrupt, it.Close())
		}
		prefix := append([]byte(nil), it.Key()[:len(it.Key())-8]...)
		_, bytes, _ := measure(it, appendOffset(prefix, math.MaxUint64), math.MaxInt)
		a := out[tenant]
		a.bytes += bytes
		if ended, err := endsWith(it, prefix); err != nil {
			return nil, errors.Join(err, it.Close())
		} else if counts(id) && !ended {
			a.rooms++
		}
		out[tenant] = a
		ok = it.SeekGE(appendEnd(nil, prefix))
	}
	return out, it.Close()
}

// measure adds up records from where the iterator stands to before a key, at most
// most of them; next is the offset behind the last.
func measure(it *pebble.Iterator, before []byte, most int) (next uint64, bytes int64, more bool) {
	for ok := it.Valid() && string(it.Key()) < string(before); ok; ok = it.Next() && string(it.Key()) < string(before) {
		if most == 0 {
			return next, bytes, true
		}
		most--
		value := it.LazyValue()
		bytes += int64(len(it.Key()) + value.Len())
		next = recordOffset(it.Key()) + 1
	}
	return next, bytes, false
}

// endsWith reports whether the newest record of a stream has deleted its room.
func endsWith(it *pebble.Iterator, prefix []byte) (bool, error) {
	if !it.SeekLT(appendEnd(nil, prefix)) {
		return false, it.Error()
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return false, err
	}
	h, err := codec.DecodeHead(value, 0)
	return h.Ended, err
}
