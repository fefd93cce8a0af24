package sequence

import (
	"context"
	"time"

	"github.com/heddle-rt/heddle/runtime/planted"
)

// publish is the lane's second goroutine: it waits for each batch in turn, brings
// it out and completes its senders, until assign has ended.
func (l *lane) publish(ctx context.Context) {
	for b := range l.flight {
		l.confirm(ctx, b)
		b.close()
		now := time.Now()
		for i := range b.items {
			it := &b.items[i]
			if it.done == nil {
				continue // the watch was first
			}
			l.count(it)
			if !it.probe {
				l.counters.latency.Observe(now.Sub(it.queued))
			}
			if it.line.breaks(it.out.Err) {
				it.line.Break() // before the partition is opened again
			}
			it.done.Committed(it.out)
		}
		l.free <- b
	}
}

// confirm learns whether the batch is durable, and publishes it if so.
func (l *lane) confirm(ctx context.Context, b *batch) {
	switch {
	case b.err != nil: // nothing was stored; the assigner ends the life itself
		b.fail("sequence.append", b.err)
		return
	case b.life <= l.dead.Load():
		if len(b.records) > 0 { // otherwise it may be one that the assigner refuses meanwhile
			l.lost = append(l.lost, b.records...)
		}
		b.fail("sequence.commit", errLifeOver)
		return
	case b.pending != nil:
		if err := b.pending.Wait(ctx); err != nil && !planted.AckUncommitted {
			l.deps.Logger.Error("commit failed, its outcome is unknown", "partition", l.index, "records", len(b.records), "error", err)
			l.lost = append(l.lost, b.records...)
			l.dead.Store(b.life)
			b.fail("sequence.commit", err)
			select {
			case l.over <- struct{}{}:
			default:
			}
			return
		}
	}
	if len(b.records) > 0 {
		l.counters.records.Add(uint64(len(b.records)))
		l.deps.Publisher.Publish(b.records)
	}
}

func (l *lane) count(it *item) {
	switch {
	case it.probe && it.out.Err != nil: // nothing was to be stored
	case it.out.Err == nil && it.out.Repeat:
		l.counters.repeats.Add(1)
	case it.out.Err != nil && it.final:
		l.counters.refused.Add(1)
	case it.out.Err != nil:
		l.counters.failed.Add(1)
	}
}
