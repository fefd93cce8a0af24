package limit

import (
	"math"
	"sync/atomic"
	"time"
)

// pace is a budget as nanoseconds: each event moves a bucket's time ahead by
// every, and it may be at most ahead of now by room. So one number is all that a
// bucket keeps (the generic cell rate algorithm), and buckets that are shared need
// no lock.
type pace struct{ every, room int64 }

// paceOf is the zero pace for a rate of 0: no limit.
func paceOf(perSecond, burst float64) pace {
	if perSecond <= 0 {
		return pace{}
	}
	if burst <= 0 {
		burst = perSecond
	}
	every := math.Max(1, math.Round(1e9/perSecond))
	return pace{int64(every), int64(math.Min(every*math.Max(1, math.Floor(burst)), maxRoom))}
}

const maxRoom = math.MaxInt64 / 4

// slowed is a part of the pace, for the burst too.
func (p pace) slowed(part float64) pace {
	p.every = int64(math.Min(float64(p.every)/part, maxRoom))
	p.room = max(p.room, p.every)
	return p
}

// bucket is used by one goroutine at a time. The zero bucket is full.
type bucket struct{ ahead int64 } // of the pipeline's clock, nanoseconds

// take spends one token. If there is none it returns how long until there is.
func (b *bucket) take(now int64, p pace) time.Duration {
	next := max(b.ahead, now) + p.every
	if over := next - now - p.room; over > 0 {
		return time.Duration(over)
	}
	b.ahead = next
	return 0
}

// shared is a bucket that connections share. The zero bucket is full.
type shared struct {
	ahead   atomic.Int64
	actions atomic.Pointer[perAction] // of a user; nil: none was used
}

// perAction is the buckets of one user's actions, in the order of one set of
// budgets.
type perAction struct {
	of    *budgets
	ahead []atomic.Int64
}

// forgotten is what a bucket says that is no longer in its table. It was full, so
// that nothing is lost; whoever has it looks for the new one.
const forgotten = math.MinInt64

// take spends one token; ok is false if the bucket was forgotten.
func take(ahead *atomic.Int64, now int64, p pace) (wait time.Duration, ok bool) {
	for {
		old := ahead.Load()
		if old == forgotten {
			return 0, false
		}
		next := max(old, now) + p.every
		if over := next - now - p.room; over > 0 {
			return time.Duration(over), true
		}
		if ahead.CompareAndSwap(old, next) {
			return 0, true
		}
	}
}

// action takes from the bucket of one action.
func (s *shared) action(b *budgets, i int, now int64, p pace) time.Duration {
	a := s.actions.Load()
	for a == nil || a.of != b { // new, or the budgets were changed
		fresh := &perAction{of: b, ahead: make([]atomic.Int64, len(b.actions))}
		if s.actions.CompareAndSwap(a, fresh) {
			a = fresh
			break
		}
		a = s.actions.Load()
	}
	wait, _ := take(&a.ahead[i], now, p)
	return wait
}

// end forgets the bucket if it and those of its actions are full since before a
// time, in nanoseconds.
func (s *shared) end(before int64) bool {
	old := s.ahead.Load()
	if old > before {
		return false
	}
	if a := s.actions.Load(); a != nil {
		for i := range a.ahead {
			if a.ahead[i].Load() > before {
				return false
			}
		}
	}
	return s.ahead.CompareAndSwap(old, forgotten)
}
