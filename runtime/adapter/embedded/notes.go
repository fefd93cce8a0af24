package embedded

import (
	"context"
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"github.com/heddle-rt/heddle/runtime/adapter/codec"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

func appendNotesKey(key []byte, tenant, room string, offset uint64) []byte {
	return binary.BigEndian.AppendUint64(appendKey(key, tableNote, tenant, room), offset)
}

func appendNoteKey(key []byte, tenant, room string, n *room.Note) []byte {
	return appendField(appendField(appendNotesKey(key, tenant, room, n.Offset), n.Kind), n.Key)
}

func (t *tables) PutNote(tenant, id string, n room.Note) {
	t.key = appendNoteKey(t.key[:0], tenant, id, &n)
	t.fail(t.b.Set(t.key, n.Value, nil))
}

func (t *tables) DeleteNote(tenant, id string, n room.Note) {
	t.key = appendNoteKey(t.key[:0], tenant, id, &n)
	t.fail(t.b.Delete(t.key, nil))
}

func (t *tables) PutRow(tenant, id string, r room.Row) {
	t.key = appendKey(t.key[:0], tableRow, tenant, id, r.Kind, r.Key)
	t.fail(t.b.Set(t.key, r.Value, nil))
}

func (t *tables) DeleteRow(tenant, id string, r room.Row) {
	t.remove(tableRow, tenant, id, r.Kind, r.Key)
}

// Redact writes the record again without its data, and drops its notes. One that
// is not kept any more needs nothing.
func (t *tables) Redact(tenant, id string, offset uint64) {
	if t.redacted == nil {
		t.w.s.sweep.records.RLock()
		t.redacted = map[string]bool{}
	}
	r, was := event.Record{}, 0
	key := appendRecordKey(nil, tenant, id, offset)
	found, err := t.w.s.get(key, func(v []byte) error {
		was = len(v)
		return codec.DecodeRecord(v, &r)
	})
	if t.fail(err); err != nil || !found || t.redacted[string(key)] {
		return
	}
	t.redacted[string(key)] = true
	r.Data, r.Redacted = nil, true
	t.value = codec.AppendRecord(t.value[:0], &r)
	t.usage.add(tenant, 0, int64(len(t.value)-was))
	t.fail(t.b.Set(key, t.value, nil))
	t.key = appendNotesKey(t.key[:0], tenant, id, offset)
	t.fail(t.b.DeleteRange(t.key, appendNotesKey(nil, tenant, id, offset+1), nil))
}

// eachKey hands the keys below a prefix to use.
func (s *Store) eachKey(prefix []byte, use func(key []byte)) error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: appendEnd(nil, prefix)})
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		use(it.Key())
	}
	return it.Error()
}

// Notes of a range of records (room.Notes).
func (s *Store) Notes(ctx context.Context, tenant, id string, from, to uint64, limit int) ([]room.Note, error) {
	if err := s.alive(); err != nil {
		return nil, err
	}
	prefix := appendKey(nil, tableNote, tenant, id)
	upper := appendEnd(nil, prefix)
	if to+1 != 0 {
		upper = appendNotesKey(nil, tenant, id, to+1)
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: appendNotesKey(nil, tenant, id, from), UpperBound: upper})
	if err != nil {
		return nil, fault.Wrap("embedded.read", fault.Unavailable, err)
	}
	defer it.Close()
	var out []room.Note
	for ok := it.First(); ok && (limit <= 0 || len(out) < limit); ok = it.Next() {
		n, err := readNote(it, len(prefix))
		if err != nil {
			return nil, err
		}
		out = append(out, n)
		if err := ctx.Err(); err != nil {
			return nil, fault.Wrap("embedded.read", fault.Timeout, err)
		}
	}
	if err := it.Error(); err != nil {
		return nil, fault.Wrap("embedded.read", fault.Unavailable, err)
	}
	return out, s.unsynced.awaitRoom(ctx, name{tenant, id})
}

// readNote decodes what the iterator stands at; the key begins with a prefix that
// is known.
func readNote(it *pebble.Iterator, prefix int) (n room.Note, err error) {
	value, err := it.ValueAndErr()
	if err != nil {
		return n, fault.Wrap("embedded.read", fault.Unavailable, err)
	}
	key := it.Key()[prefix:]
	if len(key) < 8 {
		return n, fault.Wrap("embedded.read", fault.Internal, codec.ErrCorrupt)
	}
	n.Offset = binary.BigEndian.Uint64(key)
	kind, tail, ok := field(key[8:])
	last, tail, ok2 := field(tail)
	if !ok || !ok2 || len(tail) > 0 {
		return n, fault.Wrap("embedded.read", fault.Internal, codec.ErrCorrupt)
	}
	n.Kind, n.Key, n.Value = kind, last, append([]byte(nil), value...)
	return n, nil
}

// Row is one row of a room (room.Notes).
func (s *Store) Row(ctx context.Context, tenant, id, kind, key string) (value []byte, ok bool, err error) {
	ok, err = s.get(appendKey(nil, tableRow, tenant, id, kind, key), func(v []byte) error {
		value = append([]byte(nil), v...)
		return nil
	})
	if err == nil {
		err = s.unsynced.awaitRoom(ctx, name{tenant, id})
	}
	return value, ok && err == nil, err
}

// Rows pages through the rows of one kind (room.Notes).
func (s *Store) Rows(ctx context.Context, tenant, id, kind, after string, limit int) ([]room.Row, error) {
	var out []room.Row
	err := s.scan(ctx, appendKey(nil, tableRow, tenant, id, kind), after, 4, func(key string, v []byte) (bool, error) {
		if len(out) == limit {
			return false, nil
		}
		if after == "" || key != after {
			out = append(out, room.Row{Kind: kind, Key: key, Value: append([]byte(nil), v...)})
		}
		return true, nil
	})
	if err == nil {
		err = s.unsynced.awaitRoom(ctx, name{tenant, id})
	}
	return out, err
}
