package mongo

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/sequence"
)

// Head is the newest position of a room that is kept (room.History).
func (s *Store) Head(ctx context.Context, tenant, id string) (event.Head, error) {
	h, err := s.SequenceHead(ctx, tenant, id)
	return h.Head, err
}

// SequenceHead is the same as committers need it.
func (s *Store) SequenceHead(ctx context.Context, tenant, id string) (sequence.Head, error) {
	e, err := s.last(ctx, tenant, id, event.MaxOffset)
	if err != nil || e.Offset == 0 {
		return sequence.Head{}, err
	}
	return sequence.Head{Head: event.Head{Position: e.Position, Messages: e.Messages}, Timestamp: e.Timestamp, Ended: e.Ends}, nil
}

// last is the newest event up to an offset; the zero one if there is none.
func (s *Store) last(ctx context.Context, tenant, id string, upTo uint64) (e stored, err error) {
	err = s.stream(ctx, tenant, id, under(tenant, id).offsets(0, upTo), func(found *stored) bool {
		e = *found
		return false
	}, descending(1))
	return e, err
}

// stream hands events of a room to a function, until it returns false.
func (s *Store) stream(ctx context.Context, tenant, id string, of span, use func(*stored) bool, opts *options.FindOptionsBuilder) error {
	return s.each(ctx, s.events, of.filter(), func(raw bson.Raw) (bool, error) {
		e, err := decodeEvent(raw, tenant, id)
		return err == nil && use(&e), err
	}, opts)
}

// page takes events over, until there are enough.
type page struct {
	out   []event.Record
	limit int
	bytes int
	now   int64
}

// overhead is about what an event takes beside its data, in bytes.
const overhead = 128

func (s *Store) page(limit, maxBytes int) *page {
	return &page{limit: limit, bytes: maxBytes, now: s.deps.Now().UnixMilli()}
}

func (p *page) full() bool { return len(p.out) >= p.limit || p.bytes <= 0 }

// add reports whether there is space for more.
func (p *page) add(e *stored) bool {
	p.bytes -= overhead + len(e.Data)
	r := e.Record
	if r.Expires != 0 && r.Expires <= p.now {
		r.Data = nil
	}
	p.out = append(p.out, r)
	return !p.full()
}

// After returns the events behind a position (room.History). One that is ahead of the
// room is ErrTrimmed too: what it counted on is not kept, or not yet.
func (s *Store) After(ctx context.Context, tenant, id string, at event.Position, limit, maxBytes int) ([]event.Record, error) {
	if at.Offset > 0 && at.Epoch == "" || at.Offset > event.MaxOffset {
		return nil, room.ErrTrimmed
	}
	p := s.page(limit, maxBytes)
	next, found, trimmed := at.Offset+1, false, false
	// The event at the position is asked for too: it tells whether the position is one.
	err := s.stream(ctx, tenant, id, under(tenant, id).offsets(at.Offset, event.MaxOffset), func(e *stored) bool {
		found = true
		known := at.Epoch == "" || e.Epoch == at.Epoch
		if known && e.Offset == at.Offset {
			return !p.full()
		}
		if p.full() {
			return false
		}
		if trimmed = !known || e.Offset != next; trimmed {
			return false
		}
		next++
		return p.add(e)
	}, ascending(max(limit, 0)+1))
	switch {
	case err != nil:
		return nil, err
	case trimmed, !found && at.Epoch != "":
		return nil, room.ErrTrimmed
	}
	return p.out, nil
}

// Before returns events, newest first (room.History).
func (s *Store) Before(ctx context.Context, tenant, id string, offset uint64, limit, maxBytes int) ([]event.Record, error) {
	if offset == 0 || offset > event.MaxOffset {
		offset = event.MaxOffset + 1
	}
	p := s.page(limit, maxBytes)
	if p.full() {
		return nil, nil
	}
	err := s.stream(ctx, tenant, id, under(tenant, id).offsets(0, offset-1), p.add, descending(limit))
	if err != nil {
		return nil, err
	}
	return p.out, nil
}
