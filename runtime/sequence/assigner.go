package sequence

import (
	"context"
	"errors"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// How long to wait between attempts to open a partition.
const (
	minBackoff = 50 * time.Millisecond
	maxBackoff = 5 * time.Second
)

var (
	errNotOpen  = errors.New("the partition is not open")
	errLifeOver = errors.New("an append before this one failed")
	errLineOver = errors.New("an event that this one was to follow was not stored")
)

// assign is the lane's first goroutine: it turns what is queued into appended
// batches, until the queue is closed and empty.
func (l *lane) assign(ctx context.Context) {
	defer close(l.flight) // ends publish
	for l.part != nil || l.open(ctx) {
		// First a batch, then what goes into it: whom the watch is to see is in a batch
		// or in the queue. The wait for one is what makes batches grow under load.
		b := l.take()
		if l.dead.Load() >= l.life {
			// The keys of the failed batch may just have been forgotten, and the log may
			// hold its records: nothing is appended before it was asked anew.
			l.free <- b
			l.endLife()
			continue
		}
		select {
		case s, more := <-l.queue:
			if more {
				l.commit(ctx, b, s)
				continue
			}
			l.free <- b
			l.endLife()
			return
		case <-l.over:
			l.free <- b
			l.endLife()
		case <-l.moved:
			l.free <- b
			if !l.owned() {
				l.endLife()
			}
		}
	}
}

// commit puts s and what waits behind it into a batch, and sends it on its way.
func (l *lane) commit(ctx context.Context, b *batch, s *Submission) {
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
		own := *s             // see batch.add
		l.release(own.size()) // the batches bound it from here on
		l.decide(ctx, b, &own)
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

// decide gives one submission its position, or its refusal.
func (l *lane) decide(ctx context.Context, b *batch, s *Submission) {
	it := b.add(s)
	switch {
	case l.part == nil:
		it.refuse(fault.Wrap("sequence.commit", fault.Unavailable, errNotOpen))
		return
	case !s.Line.whole():
		it.refuse(fault.Wrap("sequence.commit", fault.Unavailable, errLineOver))
		return
	}
	if l.repeats(ctx, it, s) {
		return
	}
	if s.Probe {
		it.refuse(fault.New(fault.NotFound, "id", "nothing is stored under this id"))
		return
	}
	h, err := l.head(ctx, roomKey{s.Record.Tenant, s.Record.Room})
	if err != nil {
		it.refuse(fault.Wrap("sequence.head", fault.Unavailable, err))
		return
	}
	if err := l.heads.refuses(h, s); err != nil {
		it.refuse(err)
		return
	}
	ms, id, err := l.stamp.stamp(h.Timestamp)
	if err != nil {
		it.refuse(fault.Wrap("sequence.stamp", fault.Internal, err))
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
	l.heads.note(h, s)
	b.records = append(b.records, s.Record)
	r := &b.records[len(b.records)-1]
	r.ID, r.Timestamp, r.Position, r.Messages = id, ms, h.Position, h.Messages
	it.store(r)
	if r.Key != "" {
		key := KeyOf(r)
		l.flying[key] = StoredOf(r)
		b.keys = append(b.keys, key)
	}
}

// repeats answers a submission whose key is known, or cannot be looked up.
func (l *lane) repeats(ctx context.Context, it *item, s *Submission) bool {
	if s.Record.Key == "" {
		return false
	}
	key := KeyOf(&s.Record)
	if first, ok := l.flying[key]; ok {
		it.repeat(first, false)
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
		it.refuse(fault.Wrap("sequence.lookup", fault.Unavailable, err))
	case ok:
		it.repeat(first, true)
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
