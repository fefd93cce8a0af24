package pool

import (
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// Breaker stops asking a plugin that fails on and on: for a while, twice as long each
// time up to a bound; then one event is tried.
type Breaker struct {
	from  int // failures in a row
	least time.Duration
	now   func() time.Time

	failed atomic.Int32 // in a row
	open   atomic.Bool
	mu     sync.Mutex
	until  time.Time
	times  int // opened since the last success
	Opened atomic.Uint64
}

// most is the longest time that a breaker is open, in units of the shortest.
const most = 60

// allow reports whether an event may be brought, and whether it is the one that tries
// a plugin that is not asked otherwise.
func (b *Breaker) allow() (allowed, trial bool) {
	if !b.open.Load() {
		return true, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if now.Before(b.until) {
		return false, false
	}
	b.until = now.Add(b.pause()) // if it fails nobody tries for as long
	return true, true
}

// pause is how long the breaker is open, with mu held.
func (b *Breaker) pause() time.Duration {
	return b.least * time.Duration(min(most, 1<<min(b.times, 10)))
}

// succeed tells that events went well.
func (b *Breaker) succeed() {
	if b.failed.Load() != 0 {
		b.failed.Store(0)
	}
	if b.open.Load() {
		b.mu.Lock()
		b.open.Store(false)
		b.times = 0
		b.mu.Unlock()
	}
}

// fail tells that an event failed. Of those that were brought before it opened, it
// makes no difference how many fail.
func (b *Breaker) fail(trial bool) {
	if b.from <= 0 || int(b.failed.Add(1)) < b.from {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open.Load() && !trial {
		return
	}
	if now := b.now(); !b.open.Load() || !now.Before(b.until) {
		b.until = now.Add(b.pause())
	}
	b.times = min(b.times+1, 10)
	b.open.Store(true)
	b.Opened.Add(1)
}

// undecided tells that the event that was to try has told nothing: another one may.
func (b *Breaker) undecided() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.until = b.now()
}

// refusal is the failure of an event that is kept away.
func (b *Breaker) refusal() *Failure {
	return &Failure{Reason: ReasonBroken, Why: fmt.Sprintf("it has failed too often in a row, and is asked again in %v", b.wait())}
}

// wait is how long it will be open yet.
func (b *Breaker) wait() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(0, b.until.Sub(b.now())).Round(time.Millisecond)
}

// Broken reports whether the breaker is open.
func (b *Breaker) Broken() bool { return b.open.Load() }

// Failures counts by reason.
type Failures struct {
	mu sync.Mutex
	by map[string]uint64
}

func (f *Failures) add(reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.by == nil {
		f.by = map[string]uint64{}
	}
	f.by[reason]++
}

// Counts are the failures of events by reason.
func (f *Failures) Counts() map[string]uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.by)
}
