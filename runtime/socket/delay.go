package socket

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"
)

const (
	// How often load and queues are sampled while anything is written.
	sampleEvery = 10 * time.Millisecond
	// Samples without a write after which sampling stops.
	sleepAfter = 10
	// The share of the processors above which writes are delayed.
	busyShare = 0.75
	// Steps from no delay to the longest.
	delaySteps = 20
)

// Pressure of the node's budget.
const (
	pressureNone  int32 = iota
	pressureShed        // ephemeral frames are dropped
	pressureClose       // the connections furthest behind are closed
)

// load tells flushers how long to wait for more, and queues what the node can
// bear. It samples every 10 ms, and sleeps while nothing is written.
//
// The budget is thus not exact: between two samples queues may grow by what can
// be pushed in 10 ms, and closing takes as long as a flusher has a connection in
// hand. On the other hand a frame counts for every connection that it waits for,
// though its bytes are in memory once.
type load struct {
	delay    atomic.Int64 // nanoseconds
	pressure atomic.Int32
	asleep   atomic.Bool
	busy     atomic.Bool // something was flushed since the last sample
	kick     chan struct{}
}

func newLoad() *load {
	l := &load{kick: make(chan struct{}, 1)}
	l.asleep.Store(true)
	return l
}

// wait is called by a flusher that has something to write, and returns the
// delay.
func (l *load) wait() time.Duration {
	l.stir()
	return time.Duration(l.delay.Load())
}

// stir has load and queues sampled for a while.
func (l *load) stir() {
	if !l.busy.Load() {
		l.busy.Store(true)
		if l.asleep.Load() && l.asleep.CompareAndSwap(true, false) {
			select {
			case l.kick <- struct{}{}:
			default:
			}
		}
	}
}

// nextDelay is the controller: above busyShare the delay grows by a step, below
// it is halved, so that a write that finds the node idle leaves at once.
func nextDelay(now, longest time.Duration, share float64) time.Duration {
	step := longest / delaySteps
	if share > busyShare {
		return min(now+step, longest)
	}
	if now /= 2; now < step/2 || step == 0 {
		return 0
	}
	return now
}

// nextPressure judges what waits against the budget, which leaves a quarter for
// what must be kept.
func nextPressure(queued, budget int64) int32 {
	switch {
	case queued > budget:
		return pressureClose
	case queued > budget/4*3:
		return pressureShed
	default:
		return pressureNone
	}
}

// sample runs until ctx ends. queued sums what waits; relieve closes
// connections until no more than the given number of bytes wait.
func (l *load) sample(ctx context.Context, q Queue, queued func() int64, relieve func(int64)) {
	ticker := time.NewTicker(sampleEvery)
	defer ticker.Stop()
	for {
		ticker.Stop()
		select {
		case <-l.kick:
		case <-ctx.Done():
			return
		}
		ticker.Reset(sampleEvery)
		at, used, share := time.Now(), cpuTime(), 0.0
		for idle := 0; idle < sleepAfter; {
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
			now, cpu := time.Now(), cpuTime()
			if wall := now.Sub(at) * time.Duration(runtime.GOMAXPROCS(0)); wall > 0 {
				share = (share + float64(cpu-used)/float64(wall)) / 2
			}
			at, used = now, cpu
			l.delay.Store(int64(nextDelay(time.Duration(l.delay.Load()), q.MaxDelay, share)))
			n := queued()
			l.pressure.Store(nextPressure(n, int64(q.NodeBytes)))
			if n > int64(q.NodeBytes) {
				relieve(int64(q.NodeBytes) / 4 * 3)
			}
			if idle++; l.busy.Swap(false) || n > 0 {
				idle = 0
			}
		}
		l.delay.Store(0)
		l.pressure.Store(pressureNone)
		l.asleep.Store(true)
		if l.busy.Load() && l.asleep.CompareAndSwap(true, false) {
			l.kick <- struct{}{} // a flusher came in between; the place is free
		}
	}
}
