package sequence

import (
	"context"
	"errors"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
)

var errStalled = errors.New("the log does not answer")

// watch has nobody wait for longer than Timeout and a tick, until ctx ends. A disk
// that hangs reports no error: it is seen by the time alone.
func (c *Committer) watch(ctx context.Context) {
	tick := time.NewTicker(max(c.cfg.Timeout/ticks, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		before := time.Now().Add(-c.cfg.Timeout)
		for _, l := range c.lanes {
			l.expire(before)
		}
	}
}

// ticks is how often the watch looks within one Timeout.
const ticks = 10

// expire completes what has waited for too long, though the log may store it yet:
// who sends it again learns that. While the lane is stalled, what is behind in the
// queue is refused, and so is what comes.
func (l *lane) expire(before time.Time) {
	since := l.opening.Load()
	stalled := since != nil && since.Before(before)
	for _, b := range l.batches {
		late, old := b.expire(before)
		stalled = stalled || old
		for _, done := range late {
			l.counters.failed.Add(1)
			done.Committed(Outcome{Err: l.unknown()})
		}
	}
	if l.stalled.Swap(stalled) != stalled {
		if !stalled {
			l.deps.Logger.Warn("the log answers again", "partition", l.index)
			return
		}
		l.deps.Logger.Error("the log does not answer, events are refused", "partition", l.index, "timeout", l.cfg.Timeout)
	}
	for stalled {
		select {
		case s, more := <-l.queue:
			if !more {
				return
			}
			l.release(s.size())
			l.counters.refused.Add(1)
			s.complete(Outcome{Err: l.away()})
		default:
			return
		}
	}
}

// unknown is told to who has waited for too long.
func (l *lane) unknown() error {
	return &fault.Error{
		Op: "sequence.commit", Kind: fault.Timeout, After: l.cfg.Timeout / ticks, Err: errStalled,
		Msg: "it is not known whether this was stored; the same id, sent again, finds out",
	}
}

// away refuses what was not stored.
func (l *lane) away() error {
	return &fault.Error{Op: "sequence.submit", Kind: fault.Unavailable, After: l.cfg.Timeout / ticks, Err: errStalled}
}
