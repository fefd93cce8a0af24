package worker

import (
	"context"
	"log/slog"
	"slices"

	"github.com/heddle-rt/heddle/runtime/event"
)

// hole is a part of a stream that was not read.
type hole struct {
	Loss
	found []uint64 // offsets that are in the log all the same
}

// mend looks for events that should have come before these, and keeps them if they are
// in the log. An error means that ctx is done.
func (l *lane) mend(ctx context.Context, events []Event) error {
	var holes []*hole
	for i := range events {
		e := &events[i]
		want, err := l.expected(ctx, e)
		if err != nil {
			return err
		}
		if want < e.Offset {
			holes = append(holes, &hole{Loss: Loss{Tenant: e.Tenant, Room: e.Room, Epoch: e.Epoch, From: want, To: e.Offset - 1}})
		}
	}
	if len(holes) == 0 {
		return nil
	}
	first := slog.Group("first", "tenant", holes[0].Tenant, "room", holes[0].Room, "from", holes[0].From, "to", holes[0].To)
	if l.gone == 0 { // otherwise what is left of the log was read
		l.log.Warn("rooms have holes; the log is read again", "holes", len(holes), first)
		if err := l.search(ctx, holes, events[len(events)-1].At); err != nil {
			return err
		}
	}
	lost := uint64(0)
	for _, h := range holes {
		n, err := l.lose(ctx, h)
		if err != nil {
			return err
		}
		lost += n
	}
	if lost > 0 {
		l.log.Error("events of rooms are lost", "events", lost, "holes", len(holes), first)
	}
	return nil
}

// expected is the offset that an event should have had, or its own. The first event of
// an epoch is the first of all. A room that is not remembered is looked up: that its
// events are behind what is kept is likely, unless some have gone from the log, so that
// it is enough to look some of them up.
func (l *lane) expected(ctx context.Context, e *Event) (uint64, error) {
	want := l.rooms.follow(e)
	if want > 0 || e.Offset == 1 {
		return max(want, 1), nil
	}
	if l.gone == 0 && !l.asks.Allow() {
		return e.Offset, nil
	}
	var head event.Head
	err := l.store(ctx, "looking a room up", func(ctx context.Context) (err error) {
		head, err = l.deps.Streams.Head(ctx, e.Tenant, e.Room)
		return err
	})
	if err != nil || head.Epoch != e.Epoch {
		return 1, err
	}
	return head.Offset + 1, nil
}

// search reads the log again, up to an offset, and keeps what it finds of the holes.
func (l *lane) search(ctx context.Context, holes []*hole, to int64) error {
	return l.insist(ctx, "reading the log again", func() error {
		from, err := l.oldest(ctx, l.number)
		if err != nil {
			return err
		}
		byRoom := map[Loss][]*hole{}
		for _, h := range holes {
			h.found = h.found[:0]
			key := Loss{Tenant: h.Tenant, Room: h.Room, Epoch: h.Epoch}
			byRoom[key] = append(byRoom[key], h)
		}
		var some []Event
		keep := func() error {
			err := l.keep(ctx, some, Mark{})
			some = nil
			return err
		}
		err = l.deps.Log.Read(ctx, l.number, from, to, func(e Event) error {
			for _, h := range byRoom[Loss{Tenant: e.Tenant, Room: e.Room, Epoch: e.Epoch}] {
				if h.From <= e.Offset && e.Offset <= h.To {
					h.found = append(h.found, e.Offset)
					some = append(some, e)
				}
			}
			if len(some) < l.cfg.Batch {
				return nil
			}
			return keep()
		})
		if err != nil {
			return err
		}
		return keep()
	})
}

// lose marks what was not found of a hole, and counts it.
func (l *lane) lose(ctx context.Context, h *hole) (lost uint64, err error) {
	slices.Sort(h.found)
	h.found = slices.Compact(h.found)
	l.counters.repaired.Add(uint64(len(h.found)))
	missing := h.Loss
	for _, offset := range append(h.found, h.To+1) {
		if missing.To = offset - 1; missing.From <= missing.To {
			if err := l.store(ctx, "marking what is lost", func(ctx context.Context) error { return l.deps.Streams.Lost(ctx, missing) }); err != nil {
				return lost, err
			}
			lost += missing.To - missing.From + 1
		}
		missing.From = offset + 1
	}
	l.counters.lost.Add(lost)
	return lost, nil
}
