package sequence

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// open begins a life of the partition as soon as it is the committer's. While the log
// refuses, what comes in is refused too. It returns false if the lane was closed before
// it succeeded.
func (l *lane) open(ctx context.Context) bool {
	for wait := minBackoff; ; wait = min(2*wait, maxBackoff) {
		for !l.owned() {
			if wait = minBackoff; !l.stand() {
				return false
			}
		}
		since := time.Now()
		l.opening.Store(&since)
		part, err := l.deps.Log.Open(ctx, l.index)
		if err == nil {
			l.part = part
			l.life++
			l.counters.term.Store(part.Term())
			l.republish(ctx)
			l.opening.Store(nil)
			return true
		}
		l.opening.Store(nil)
		if wait == minBackoff {
			l.deps.Logger.Error("partition cannot be opened", "partition", l.index, "error", err)
		}
		if !l.refuse(ctx, wait/2+rand.N(wait/2)) {
			return false
		}
	}
}

// owned asks whether the partition is the committer's, and notes how to learn of a change.
func (l *lane) owned() (owned bool) {
	if l.deps.Ownership == nil {
		return true
	}
	owned, l.moved = l.deps.Ownership.Owned(l.index)
	return owned
}

// ErrElsewhere is of what was submitted for a partition that is another's.
var ErrElsewhere = fault.New(fault.Unavailable, "", "another node commits for this room")

// stand refuses everything while the partition is another's; false once the lane is
// closed and its queue empty.
func (l *lane) stand() bool {
	l.foreign.Store(true)
	defer l.foreign.Store(false)
	l.lost = nil // its owner brings out what is stored of that
	for {
		select {
		case s, more := <-l.queue:
			if !more {
				return false
			}
			l.release(s.size())
			l.counters.refused.Add(1)
			s.complete(Outcome{Err: ErrElsewhere})
		case <-l.moved:
			return true
		}
	}
}

// refuse answers everything with a retryable error for a while; false once the
// lane is closed and its queue empty.
func (l *lane) refuse(ctx context.Context, d time.Duration) bool {
	pause := time.NewTimer(d)
	defer pause.Stop()
	for {
		select {
		case s, more := <-l.queue:
			if !more {
				return false
			}
			b := l.take()
			l.fill(ctx, b, s)
			l.flight <- b
		case <-pause.C:
			return true
		}
	}
}

// endLife waits until the publisher has given all batches back, and gives the
// partition up with all that was believed of it.
func (l *lane) endLife() {
	var idle []*batch
	for range l.cfg.MaxInFlight {
		b := <-l.free
		b.reset()
		idle = append(idle, b)
	}
	for _, b := range idle {
		l.free <- b
	}
	select {
	case <-l.over:
	default:
	}
	if l.part == nil {
		return
	}
	if err := l.part.Close(); err != nil {
		l.deps.Logger.Warn("partition did not close", "partition", l.index, "error", err)
	}
	l.part = nil
	l.counters.term.Store(0)
	l.heads.clear()
	clear(l.flying)
}

// republish brings out what a life that failed has stored all the same: its
// senders were told to try again, but receivers would wait for it until the
// room's next event showed them the gap. Records without a key do.
func (l *lane) republish(ctx context.Context) {
	if l.life > 1 {
		l.counters.reopens.Add(1)
	}
	if len(l.lost) == 0 {
		return
	}
	b := l.take()
	for i := range l.lost {
		r := &l.lost[i]
		if r.Key == "" {
			continue
		}
		if first, ok, err := l.part.Lookup(ctx, KeyOf(r)); err == nil && ok && first.ID == r.ID {
			b.records = append(b.records, *r)
		}
	}
	l.lost = nil
	l.flight <- b
}
