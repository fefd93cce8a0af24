package worker

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/runtime/observe"
)

// sizes is how many classes of batch sizes are counted: none or 1, 2 to 3, 4 to 7 and so
// on up to 8,192.
const sizes = 14

type counters struct {
	kept, void, unreadable, dead, retries atomic.Uint64
	repaired, lost, truncated             atomic.Uint64
	sizes                                 [sizes]atomic.Uint64
	duration                              observe.Histogram
}

func (c *counters) batch(events int, took time.Duration) {
	c.kept.Add(uint64(events))
	c.sizes[min(bits.Len(uint(max(events, 1)))-1, sizes-1)].Add(1)
	c.duration.Observe(took)
}

// Stats are what a worker has done since its start.
type Stats struct {
	Kept       uint64 // events, those that are dead letters now too
	Void       uint64 // records that do not count
	Unreadable uint64 // records
	Dead       uint64 // events that were put to the dead letters
	Retries    uint64 // of anything
	Repaired   uint64 // events that were found in the log again
	Lost       uint64 // events that were not
	Truncated  uint64 // records that had gone from the log before they were read

	Batches  [sizes]uint64 // by size: class i holds 2^i to 2^(i+1)-1 events
	Duration observe.Summary
	Lag      []Lag // of the partitions that are this worker's
}

// Lag is how far the store is behind the log.
type Lag struct {
	Partition int
	Records   int64
	Behind    time.Duration // since the first of them was written
}

// Stats reads the counters.
func (w *Worker) Stats() Stats {
	c := &w.counters
	s := Stats{
		Kept: c.kept.Load(), Void: c.void.Load(), Unreadable: c.unreadable.Load(), Dead: c.dead.Load(), Retries: c.retries.Load(),
		Repaired: c.repaired.Load(), Lost: c.lost.Load(), Truncated: c.truncated.Load(), Duration: c.duration.Summary(),
	}
	for i := range c.sizes {
		s.Batches[i] = c.sizes[i].Load()
	}
	for _, l := range w.held() {
		s.Lag = append(s.Lag, l.lag())
	}
	return s
}

func (l *lane) lag() Lag {
	records, since := l.part.Lag()
	lag := Lag{Partition: l.number, Records: records}
	if records > 0 && since > 0 {
		lag.Behind = max(0, l.deps.Now().Sub(time.UnixMilli(since)))
	}
	return lag
}
