package sequence

import (
	"context"
	"errors"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// How long a partition that cannot be opened rests between attempts.
const (
	minBackoff = 50 * time.Millisecond
	maxBackoff = 5 * time.Second
)

var (
	errNotOpen  = errors.New("the partition is not open")
	errLifeOver = errors.New("an append before this one failed")
)

// assign is the lane's first goroutine: it turns what is queued into appended
// batches, until the queue is closed and empty.
func (l *lane) assign(ctx context.Context) {
	defer close(l.flight) // ends publish
	for l.part != nil || l.open(ctx) {
		select {
		case s, more := <-l.queue:
			if !more {
				l.endLife()
				return
			}
			l.commit(ctx, s)
		case <-l.over:
			l.endLife()
		}
	}
}

// commit makes a batch of s and of what waits behind it, and sends it on its way.
// The wait for a free batch is what makes batches grow under load.
func (l *lane) commit(ctx context.Context, s *Submission) {
	b := l.take()
	if l.dead.Load() >= l.life {
		// The keys of the failed batch may just have been forgotten, and the log may
		// hold its records: nothing is appended before it was asked anew.
		l.free <- b
		l.endLife()
		l.open(ctx)
		b = l.take()
	}
	l.fill(ctx, b, s)
	if len(b.records) > 0 {
		b.pending, b.err = l.part.Append(ctx, b.records)
		l.counters.batch(len(b.records))
	}
	l.heads.trim()
	failed := b.err
	l.flight <- b
	if failed != nil {
		l.deps.Logger.Error("append failed", "partition", l.index, "error", failed)
		l.endLife()
	}
}

// take waits for a free batch. What it held is durable, or its life is over: its
// keys need not be remembered any more.
func (l *lane) take() *batch {
	b := <-l.free
	for i := range b.keys {
		delete(l.flying, b.keys[i])
	}
	b.reset()
	b.life = l.life
	return b
}

func (l *lane) fill(ctx context.Context, b *batch, s *Submission) {
	for {
		l.place(ctx, b, s)
		if b.full(l.cfg) {
			return
		}
		select {
		case next, more := <-l.queue:
			if !more {
				return // assign will see it again
			}
			s = next
		default:
			return
		}
	}
}

// place decides about one submission.
func (l *lane) place(ctx context.Context, b *batch, s *Submission) {
	l.release(s.size()) // the batches bound it from here on
	if l.part == nil {
		b.refuse(s, fault.Wrap("sequence.commit", fault.Unavailable, errNotOpen))
		return
	}
	if l.repeats(ctx, b, s) {
		return
	}
	if s.Probe {
		b.refuse(s, fault.New(fault.NotFound, "id", "nothing is stored under this id"))
		return
	}
	h, err := l.head(ctx, roomKey{s.Record.Tenant, s.Record.Room})
	if err != nil {
		b.refuse(s, fault.Wrap("sequence.head", fault.Unavailable, err))
		return
	}
	if err := h.refuses(s); err != nil {
		b.refuse(s, err)
		return
	}
	ms, id, err := l.stamp.stamp(h.Timestamp)
	if err != nil {
		b.refuse(s, fault.Wrap("sequence.stamp", fault.Internal, err))
		return
	}
	if h.Offset == 0 {
		h.Epoch = newEpoch()
	}
	h.Offset++
	h.Timestamp = ms
	if s.Record.Unread {
		h.Messages++
	}
	h.note(s)
	if h.Ended {
		l.heads.spent = append(l.heads.spent, h)
	}
	b.records = append(b.records, s.Record)
	r := &b.records[len(b.records)-1]
	r.ID, r.Timestamp, r.Position, r.Messages = id, ms, h.Position, h.Messages
	b.store(s, r)
	if r.Key != "" {
		key := KeyOf(r)
		l.flying[key] = StoredOf(r)
		b.keys = append(b.keys, key)
	}
}

// repeats answers a submission whose key is known, or cannot be looked up.
func (l *lane) repeats(ctx context.Context, b *batch, s *Submission) bool {
	if s.Record.Key == "" {
		return false
	}
	key := KeyOf(&s.Record)
	if first, ok := l.flying[key]; ok {
		b.repeat(s, first, false)
		return true
	}
	first, ok, err := l.part.Lookup(ctx, key)
	if ok && s.Create {
		// The name may have been used before, by a room that is gone since.
		h, err := l.head(ctx, roomKey{key.Tenant, key.Room})
		ok = err != nil || h.Epoch == first.Epoch
	}
	switch {
	case err != nil:
		b.refuse(s, fault.Wrap("sequence.lookup", fault.Unavailable, err))
	case ok:
		b.repeat(s, first, true)
	}
	return ok || err != nil
}

func (l *lane) head(ctx context.Context, k roomKey) (*head, error) {
	if h := l.heads.find(k); h != nil {
		return h, nil
	}
	h, err := l.part.Head(ctx, k.tenant, k.room)
	if err != nil {
		return nil, err
	}
	return l.heads.add(k, h), nil
}
