package embedded

import (
	"context"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/heddle-rt/heddle/runtime/adapter/codec"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/sequence"
)

// view is one room's stream at one moment.
type view struct {
	it         *pebble.Iterator
	key        []byte // of the room's records, and 8 bytes for an offset
	tenant, id string
}

func (s *Store) view(tenant, id string) (*view, error) {
	if err := s.alive(); err != nil {
		return nil, err
	}
	key := appendRecordKey(nil, tenant, id, 0)
	prefix := key[:len(key)-8]
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: appendEnd(nil, prefix)})
	if err != nil {
		return nil, fault.Wrap("embedded.read", fault.Unavailable, err)
	}
	return &view{it: it, key: key, tenant: tenant, id: id}, nil
}

// durableView ends at the room's newest durable record, whose offset is top.
func (s *Store) durableView(tenant, id string) (v *view, top uint64, err error) {
	if v, err = s.view(tenant, id); err != nil {
		return nil, 0, err
	}
	// After the iterator was made: see unsynced.
	top, listed := s.unsynced.durable(name{tenant, id})
	if !listed {
		top = math.MaxUint64
	}
	return v, top, nil
}

func (v *view) close() { _ = v.it.Close() }

// at makes the key of an offset.
func (v *view) at(offset uint64) []byte {
	v.key = appendRecordKey(v.key[:0], v.tenant, v.id, offset)
	return v.key
}

// below moves to the newest record that is not above an offset.
func (v *view) below(offset uint64) bool {
	if offset == math.MaxUint64 {
		return v.it.Last()
	}
	return v.it.SeekLT(v.at(offset + 1))
}

// head is the newest record that is not above top.
func (v *view) head(top uint64) (sequence.Head, error) {
	if !v.below(top) {
		return sequence.Head{}, fault.Wrap("embedded.head", fault.Unavailable, v.it.Error())
	}
	value, err := v.it.ValueAndErr()
	if err != nil {
		return sequence.Head{}, fault.Wrap("embedded.head", fault.Unavailable, err)
	}
	return codec.DecodeHead(value, recordOffset(v.it.Key()))
}

// read decodes the record that the view stands at, and how large it is.
func (v *view) read(now int64) (r event.Record, size int, err error) {
	value, err := v.it.ValueAndErr()
	if err != nil {
		return r, 0, fault.Wrap("embedded.read", fault.Unavailable, err)
	}
	r.Tenant, r.Room, r.Offset = v.tenant, v.id, recordOffset(v.it.Key())
	if err := codec.DecodeRecord(value, &r); err != nil {
		return r, 0, fault.Wrap("embedded.read", fault.Internal, err)
	}
	if r.Expires != 0 && r.Expires <= now {
		r.Data = nil
	}
	return r, len(value), nil
}

// Head is the newest durable position of a room.
func (s *Store) Head(_ context.Context, tenant, id string) (event.Head, error) {
	if err := s.alive(); err != nil {
		return event.Head{}, err
	}
	return s.recent.head(name{tenant, id}, func() (event.Head, error) { return s.durableHead(tenant, id) })
}

func (s *Store) durableHead(tenant, id string) (event.Head, error) {
	v, top, err := s.durableView(tenant, id)
	if err != nil {
		return event.Head{}, err
	}
	defer v.close()
	h, err := v.head(top)
	return h.Head, err
}

// After returns the durable records behind a position (room.History). A position
// that is ahead of the room is ErrTrimmed too: what it counted on is not in this
// log.
func (s *Store) After(ctx context.Context, tenant, id string, p event.Position, limit, maxBytes int) ([]event.Record, error) {
	v, top, err := s.durableView(tenant, id)
	if err != nil {
		return nil, err
	}
	defer v.close()
	if err := v.standBehind(p, top); err != nil {
		return nil, err
	}
	now := s.deps.Clock().UnixMilli()
	var out []event.Record
	for next := p.Offset + 1; len(out) < limit && maxBytes > 0 && v.it.Valid(); next++ {
		if recordOffset(v.it.Key()) > top {
			break
		}
		r, size, err := v.read(now)
		if err != nil {
			return nil, err
		}
		if r.Offset != next || (p.Epoch != "" && r.Epoch != p.Epoch) {
			return nil, room.ErrTrimmed
		}
		out = append(out, r)
		maxBytes -= size
		if err := ctx.Err(); err != nil {
			return nil, fault.Wrap("embedded.read", fault.Timeout, err)
		}
		v.it.Next()
	}
	return out, fault.Wrap("embedded.read", fault.Unavailable, v.it.Error())
}

// standBehind moves to the record behind a position, or to the end, if the
// position is one of the room's.
func (v *view) standBehind(p event.Position, top uint64) error {
	if p.Offset == 0 {
		if !v.it.First() && p.Epoch != "" && v.it.Error() == nil {
			return room.ErrTrimmed // the room has no life, or another one
		}
		return nil
	}
	if p.Epoch == "" || p.Offset > top {
		return room.ErrTrimmed
	}
	if !v.it.SeekGE(v.at(p.Offset)) {
		if err := v.it.Error(); err != nil {
			return fault.Wrap("embedded.read", fault.Unavailable, err)
		}
		return room.ErrTrimmed // ahead: a room's newest record is never removed
	}
	if recordOffset(v.it.Key()) > p.Offset {
		return nil
	}
	value, err := v.it.ValueAndErr()
	if err != nil {
		return fault.Wrap("embedded.read", fault.Unavailable, err)
	}
	h, err := codec.DecodeHead(value, p.Offset)
	if err != nil {
		return fault.Wrap("embedded.read", fault.Internal, err)
	}
	if h.Epoch != p.Epoch {
		return room.ErrTrimmed
	}
	v.it.Next()
	return nil
}

// Before returns durable records, newest first (room.History).
func (s *Store) Before(ctx context.Context, tenant, id string, offset uint64, limit, maxBytes int) ([]event.Record, error) {
	v, top, err := s.durableView(tenant, id)
	if err != nil {
		return nil, err
	}
	defer v.close()
	if offset > 0 {
		top = min(top, offset-1)
	}
	now := s.deps.Clock().UnixMilli()
	var out []event.Record
	for ok := v.below(top); ok && len(out) < limit && maxBytes > 0; ok = v.it.Prev() {
		r, size, err := v.read(now)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
		maxBytes -= size
		if err := ctx.Err(); err != nil {
			return nil, fault.Wrap("embedded.read", fault.Timeout, err)
		}
	}
	return out, fault.Wrap("embedded.read", fault.Unavailable, v.it.Error())
}
