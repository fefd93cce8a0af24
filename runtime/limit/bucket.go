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

// divided is the pace of one of n nodes.
func (p pace) divided(n int64) pace {
	p.every = min(p.every, maxRoom/n) * n
	p.room = max(p.room, p.every)
	return p
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
	tally   Tally
	user    userKey                   // whose it is; of an address nobody's
	actions atomic.Pointer[perAction] // of a user; nil: none was used
}

// Budget names the user's budget in a cluster.
func (s *shared) Budget() string { return s.user.tenant.budget("user", s.user.name) }

// Every is how long one of the user's tokens takes to come.
func (s *shared) Every() time.Duration {
	return time.Duration(s.user.tenant.budgets.Load().user.every)
}

// Raise has the user wait.
func (s *shared) Raise(ahead time.Duration) { raise(&s.ahead, s.user.tenant.now()+int64(ahead)) }

// raise moves a bucket's time to another one that is later, unless it was forgotten.
func raise(ahead *atomic.Int64, to int64) {
	for {
		old := ahead.Load()
		if old == forgotten || old >= to || ahead.CompareAndSwap(old, to) {
			return
		}
	}
}

// common is a bucket of a tenant's events.
type common struct {
	ahead atomic.Int64
	tally Tally
	of    *tenant
	scope scope // messages or all
}

// Budget names the tenant's budget in a cluster.
func (c *common) Budget() string { return c.of.budget(c.scope.String(), "") }

// Every is how long one of the tenant's tokens takes to come.
func (c *common) Every() time.Duration {
	b := c.of.budgets.Load()
	if c.scope == messages {
		return time.Duration(b.messages.every)
	}
	return time.Duration(b.all.every)
}

// Raise has the tenant wait.
func (c *common) Raise(ahead time.Duration) { raise(&c.ahead, c.of.now()+int64(ahead)) }

// take spends one token.
func (c *common) take(now int64, whole pace, p *Pool) time.Duration {
	wait, _ := take(&c.ahead, now, p.part(whole))
	if wait == 0 {
		p.Took(c, &c.tally, 1)
	}
	return wait
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
