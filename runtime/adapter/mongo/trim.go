package mongo

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/heddle-rt/heddle/runtime/event"
)

// cutAtOnce is how many events one request removes.
const cutAtOnce = 4096

// sweepRoom cuts the stream of the first room whose events have ids from one on, and
// returns where the next room begins; "" behind the last.
func (s *Store) sweepRoom(ctx context.Context, from string) (next string, err error) {
	first, err := s.firstOf(ctx, span{from, afterAll})
	if err != nil || first == nil {
		return "", err
	}
	return under(first.Tenant, first.Room).to, s.trim(ctx, first)
}

// trim cuts the stream that begins with an event.
func (s *Store) trim(ctx context.Context, first *stored) error {
	head, err := s.last(ctx, first.Tenant, first.Room, event.MaxOffset)
	if err != nil || head.Offset == 0 {
		return err
	}
	now := s.deps.Now()
	if head.Ends && head.Timestamp <= now.Add(-2*s.deps.Window).UnixMilli() {
		return s.bury(ctx, &head)
	}
	if s.deps.Retention == nil {
		return nil
	}
	maxEvents, maxAge := s.deps.Retention(first.Tenant, first.Room)
	cut := first.Offset
	if maxEvents > 0 && head.Offset >= maxEvents {
		cut = max(cut, head.Offset-maxEvents+1)
	}
	if maxAge > 0 {
		if cut, err = s.firstAfter(ctx, first, cut, head.Offset, now.Add(-maxAge).UnixMilli()); err != nil {
			return err
		}
	}
	if cut = min(cut, head.Offset); cut <= first.Offset {
		return nil
	}
	s.counters.trimmed.Add(1)
	return s.cut(ctx, &head, first.Offset, cut)
}

// firstAfter is the offset of the first event in [from, last] that is newer than old;
// last if there is none. A room's timestamps never go backwards.
func (s *Store) firstAfter(ctx context.Context, of *stored, from, last uint64, old int64) (uint64, error) {
	if from == of.Offset && of.Timestamp > old {
		return from, nil
	}
	for from < last {
		middle, newer := from+(last-from)/2, false
		err := s.stream(ctx, of.Tenant, of.Room, under(of.Tenant, of.Room).offsets(middle, last), func(e *stored) bool {
			newer = e.Timestamp > old
			return false
		}, ascending(1))
		if err != nil {
			return from, err
		}
		if newer {
			last = middle
		} else {
			from = middle + 1
		}
	}
	return from, nil
}

// cut removes the events of a room from one offset to before another, and their notes,
// the oldest first. The life that head is of is named: a sweeper that is late removes
// nothing of the next one.
func (s *Store) cut(ctx context.Context, head *stored, from, below uint64) error {
	all := under(head.Tenant, head.Room)
	for from < below {
		to := min(from+cutAtOnce, below)
		// Notes from the beginning on: they may have come behind an earlier cut.
		if err := s.drop(ctx, s.notes, all.offsets(0, to-1).filter(bson.E{Key: rowAt, Value: bson.D{{Key: "$lte", Value: head.At}}})); err != nil {
			return err
		}
		if err := s.drop(ctx, s.events, all.offsets(from, to-1).filter(bson.E{Key: fieldEpoch, Value: head.Epoch})); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// bury removes the stream of a room that was deleted, and those of its sub-rooms, when
// nobody can ask any more for what its last events were sent as. From then on the name
// is free.
func (s *Store) bury(ctx context.Context, head *stored) error {
	s.counters.buried.Add(1)
	prefix := key(head.Tenant, head.Room)
	subs := span{prefix + "/", prefix + "0"} // "0" is what is next to "/"
	for {
		sub, err := s.firstOf(ctx, subs)
		if err != nil {
			return err
		}
		if sub == nil {
			return s.buryOne(ctx, head)
		}
		last, err := s.last(ctx, sub.Tenant, sub.Room, event.MaxOffset)
		if err != nil {
			return err
		}
		if err := s.buryOne(ctx, &last); err != nil {
			return err
		}
		subs.from = under(sub.Tenant, sub.Room).to
	}
}

// buryOne removes a stream, and the markers of it. Its newest event goes last: while it is
// there, the next pass tries again, and nobody takes the name.
func (s *Store) buryOne(ctx context.Context, head *stored) error {
	all := under(head.Tenant, head.Room)
	if err := s.drop(ctx, s.markers, all.filter(bson.E{Key: rowEpoch, Value: head.Epoch})); err != nil {
		return err
	}
	first, err := s.firstOf(ctx, all)
	if err != nil || first == nil {
		return err
	}
	if err := s.cut(ctx, head, first.Offset, head.Offset); err != nil {
		return err
	}
	return s.cut(ctx, head, head.Offset, head.Offset+1)
}

// firstOf is the first event of a span of ids; nil if there is none.
func (s *Store) firstOf(ctx context.Context, ids span) (first *stored, err error) {
	err = s.each(ctx, s.events, ids.filter(), func(raw bson.Raw) (bool, error) {
		id, _ := raw.Lookup("_id").StringValueOK()
		fields := fieldsOf(id)
		if len(fields) != 3 {
			return false, fmt.Errorf("an event that is none: %q", id)
		}
		e, err := decodeEvent(raw, fields[0], fields[1])
		first = &e
		return false, err
	}, ascending(1))
	return first, err
}
