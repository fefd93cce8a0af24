package pool

import "time"

// Tidying up takes an instance's time from events, so there are bounds to it.
const (
	tidyEvery = 1024 // calls after which an instance tidies up though it is in use
	tidyShare = 20   // it has tidied up for a share of its time of one part in so many
)

// rest is what is known of the time in which an instance has nothing to do. Whoever
// leads counts the calls, which is cheaper than to look at the clock.
type rest struct {
	calls  uint64    // of the lane
	seen   uint64    // of these, when somebody looked
	since  time.Time // it was seen so the first time
	tidied uint64    // calls, when the instance last tidied up
	until  time.Time // it need not do that again so soon
}

// quiet is for how long there was no call.
func (r *rest) quiet(now time.Time) time.Duration {
	if r.seen != r.calls || r.since.IsZero() {
		r.seen, r.since = r.calls, now
	}
	return now.Sub(r.since)
}

// idle lets an instance tidy up that nobody uses, or that has had many calls, and ends
// one that nobody has used for long.
func (l *lane) idle(quiet, end time.Duration) {
	l.mu.Lock()
	if l.busy || l.inst == nil {
		l.mu.Unlock()
		return
	}
	l.busy = true
	l.mu.Unlock()
	defer l.pass()
	defer l.survive()
	now := l.pool.deps.Now()
	switch been := l.rest.quiet(now); {
	case been >= end:
		l.drop()
	case l.fresh || now.Before(l.rest.until) || l.pool.restless.Load():
	case been >= quiet || l.rest.calls-l.rest.tidied >= tidyEvery:
		l.tidy(now)
	}
}

// tidy has the guest tidy up. One that fails at it is not asked to again: its program
// would fail in the next instance, too.
func (l *lane) tidy(began time.Time) {
	p := l.pool
	err := l.inst.Idle()
	ended := p.deps.Now()
	l.rest.tidied, l.rest.until = l.rest.calls, ended.Add(tidyShare*ended.Sub(began))
	if err != nil {
		l.drop()
		p.restless.Store(true)
		f := failure(err)
		p.tell(&Failure{Reason: f.Reason, Why: "while it tidied up, which it is not asked to do again: " + f.Why, Stack: f.Stack})
	}
}
