package embedded

import (
	"errors"
	"math"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/heddle-rt/heddle/runtime/adapter/codec"
	"github.com/heddle-rt/heddle/runtime/sequence"
	"github.com/heddle-rt/heddle/runtime/session"
)

// sweep is how far Run has come with its pass over rooms and sessions.
type sweep struct {
	room     []byte // where to go on; nil: at the beginning
	session  []byte
	next     time.Time    // when the next pass begins
	trims    bool         // the pass is not through with the rooms
	expires  bool         // nor with the sessions
	sessions sync.Mutex   // held while a session is looked at and written, and while expired ones are deleted
	records  sync.RWMutex // held to read while a record is redacted, to write while records are measured and removed
}

// sweepOnce does one bounded slice of the work.
func (s *Store) sweepOnce() error {
	if err := s.window.turn(s); err != nil {
		return err
	}
	w := &s.sweep
	if !w.trims && !w.expires {
		if s.deps.Clock().Before(w.next) {
			return nil
		}
		w.trims, w.expires = s.deps.Retention != nil, true
	}
	if w.trims {
		if err := s.trimSome(); err != nil {
			return err
		}
		w.trims = w.room != nil
	}
	if w.expires {
		if err := s.expireSome(); err != nil {
			return err
		}
		w.expires = w.session != nil
	}
	w.next = s.deps.Clock().Add(s.cfg.SweepRest)
	return nil
}

// trimSome cuts the streams of the next rooms.
func (s *Store) trimSome() error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tableRecord}, UpperBound: []byte{tableRecord + 1}})
	if err != nil {
		return err
	}
	defer it.Close()
	at := s.sweep.room
	if at == nil {
		at = []byte{tableRecord}
	}
	for range s.cfg.SweepRooms {
		if !it.SeekGE(at) {
			at = nil
			break
		}
		prefix := append([]byte(nil), it.Key()[:len(it.Key())-8]...)
		at = appendEnd(nil, prefix)
		s.sweep.room = at // also behind a room that cannot be read
		if err := s.trim(it, prefix, at); err != nil {
			return err
		}
	}
	s.sweep.room = at
	return it.Error()
}

// trim cuts the stream that it stands at the first record of.
func (s *Store) trim(it *pebble.Iterator, prefix, end []byte) error {
	tenant, tail, ok := field(prefix[1:])
	id, _, ok2 := field(tail)
	if !ok || !ok2 {
		return codec.ErrCorrupt
	}
	first := recordOffset(it.Key())
	if !it.SeekLT(end) {
		return it.Error()
	}
	last := recordOffset(it.Key())
	if top, listed := s.unsynced.durable(name{tenant, id}); listed {
		last = min(last, top) // the newest durable record is somebody's head
	}
	if gone, err := s.bury(tenant, id, last); gone || err != nil {
		return err
	}
	maxEvents, maxAge := s.deps.Retention(tenant, id)
	cut := first
	if maxEvents > 0 && last >= maxEvents {
		cut = max(cut, last-maxEvents+1)
	}
	if maxAge > 0 {
		old := s.deps.Clock().Add(-maxAge).UnixMilli()
		var err error
		if cut, err = firstAfter(it, prefix, cut, last, old); err != nil {
			return err
		}
	}
	if cut = min(cut, last); cut <= first {
		return nil
	}
	s.counters.trimmed.Add(1)
	return s.cut(tenant, id, cut)
}

// cut removes the records of a room below an offset, and their notes, the oldest
// first.
func (s *Store) cut(tenant, id string, below uint64) error {
	for {
		if more, err := s.cutSome(tenant, id, below); err != nil || !more {
			return err
		}
	}
}

// atOnce is how many records are removed while nobody can redact any: they are
// measured in about a millisecond.
const atOnce = 4096

// cutSome removes the first records. Without its lock a record could be redacted
// between being measured and being removed, and would come back.
func (s *Store) cutSome(tenant, id string, below uint64) (more bool, err error) {
	s.sweep.records.Lock()
	defer s.sweep.records.Unlock()
	from, to := appendRecordKey(nil, tenant, id, 0), appendRecordKey(nil, tenant, id, below)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return false, err
	}
	it.First()
	end, bytes, more := measure(it, to, atOnce)
	if err := it.Close(); err != nil || end == 0 {
		return false, err
	}
	u, b := s.usage.tally(sweeper), s.db.NewBatch()
	u.begin()
	u.add(tenant, 0, -bytes)
	err = errors.Join(
		b.DeleteRange(from, appendRecordKey(nil, tenant, id, end), nil),
		b.DeleteRange(appendNotesKey(nil, tenant, id, 0), appendNotesKey(nil, tenant, id, end), nil),
		u.write(b))
	if err != nil {
		return false, errors.Join(err, b.Close())
	}
	if err := s.apply(b, pebble.NoSync); err != nil {
		return false, err
	}
	u.applied()
	return more, nil
}

// bury removes the stream of a room that was deleted, when nobody can ask any more
// for what its last records were sent as. From then on the name is free.
func (s *Store) bury(tenant, id string, last uint64) (gone bool, err error) {
	var h sequence.Head
	_, err = s.get(appendRecordKey(nil, tenant, id, last), func(v []byte) (err error) {
		h, err = codec.DecodeHead(v, last)
		return err
	})
	if err != nil || !h.Ended || s.deps.Clock().Add(-2*s.cfg.Window).UnixMilli() < h.Timestamp {
		return false, err
	}
	s.counters.trimmed.Add(1)
	for _, gone := range append(s.subRooms(tenant, id), id) {
		// The stream goes last: while it is there, the next pass tries again.
		if err := s.dropMarkers(tenant, gone); err != nil {
			return true, err
		}
		if err := s.cut(tenant, gone, math.MaxUint64); err != nil {
			return true, err
		}
		s.recent.forget([]name{{tenant, gone}})
	}
	return true, nil
}

// dropMarkers removes what users have sent and read in a room.
func (s *Store) dropMarkers(tenant, id string) error {
	b := s.db.NewBatch()
	for _, table := range [...]byte{tableSent, tableRead} {
		from := appendKey(nil, table, tenant, id)
		if err := b.DeleteRange(from, appendEnd(nil, from), nil); err != nil {
			return errors.Join(err, b.Close())
		}
	}
	return s.apply(b, pebble.NoSync)
}

// subRooms lists the sub-rooms of a room that have a stream.
func (s *Store) subRooms(tenant, id string) (out []string) {
	prefix := append(appendKey(nil, tableRecord, tenant), id+"/"...)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: appendEnd(nil, prefix)})
	if err != nil {
		return nil // the next pass finds them
	}
	defer it.Close()
	for ok := it.First(); ok; {
		_, tail, _ := field(it.Key()[1:])
		sub, _, _ := field(tail)
		out = append(out, sub)
		ok = it.SeekGE(appendEnd(nil, appendKey(nil, tableRecord, tenant, sub)))
	}
	return out
}

// firstAfter is the offset of the first record in [from, last] that is newer than
// old; last if there is none. A room's timestamps never go backwards.
func firstAfter(it *pebble.Iterator, prefix []byte, from, last uint64, old int64) (uint64, error) {
	for from < last {
		middle := from + (last-from)/2
		if !it.SeekGE(appendOffset(prefix, middle)) {
			return from, it.Error()
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return from, err
		}
		h, err := codec.DecodeHead(value, middle)
		if err != nil {
			return from, err
		}
		if h.Timestamp > old {
			last = middle
		} else {
			from = middle + 1
		}
	}
	return from, nil
}

// sessionRows is how many sessions one slice looks at. Sessions come and go by the
// thousand in a second, and a row costs next to nothing.
const sessionRows = 1 << 14

// expireSome deletes the sessions that have expired among the next ones.
func (s *Store) expireSome() error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{tableSession}, UpperBound: []byte{tableSession + 1}})
	if err != nil {
		return err
	}
	defer it.Close()
	at := s.sweep.session
	if at == nil {
		at = []byte{tableSession}
	}
	now := s.deps.Clock().UnixMilli()
	var expired [][]byte
	ok := it.SeekGE(at)
	for i := 0; ok && i < sessionRows; i++ {
		if value, err := it.ValueAndErr(); err != nil {
			return err
		} else if t, err := codec.SessionExpiry(value); err != nil {
			return err
		} else if t <= now {
			expired = append(expired, append([]byte(nil), it.Key()...))
		}
		ok = it.Next()
	}
	s.sweep.session = nil
	if ok {
		s.sweep.session = append([]byte(nil), it.Key()...)
	}
	if err := it.Error(); err != nil || len(expired) == 0 {
		return err
	}
	return s.deleteExpired(expired, now)
}

// deleteExpired looks at each session again, since it may have been renewed.
func (s *Store) deleteExpired(keys [][]byte, now int64) error {
	s.sweep.sessions.Lock()
	defer s.sweep.sessions.Unlock()
	b := s.db.NewBatch()
	for _, key := range keys {
		var r session.Record
		ok, err := s.get(key, func(v []byte) error { return codec.DecodeSession(v, &r) })
		if err != nil {
			return err
		}
		if ok && r.Expires <= now {
			s.counters.expired.Add(1)
			tenant, tail, _ := field(key[1:])
			id, _, _ := field(tail)
			_ = b.Delete(key, nil)
			_ = b.Delete(appendKey(nil, tableSessionOf, tenant, r.User, id), nil)
		}
	}
	return s.apply(b, pebble.NoSync)
}
