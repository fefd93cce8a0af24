package sequence

import (
	"math/bits"
	"sync/atomic"

	"github.com/heddle-rt/heddle/runtime/observe"
)

// sizes is how many classes of batch sizes are counted: 1, 2 to 3, 4 to 7 and so
// on up to 65,536.
const sizes = 17

// counters are kept per lane, so that lanes do not share cache lines.
type counters struct {
	term    atomic.Uint64
	records atomic.Uint64
	repeats atomic.Uint64
	refused atomic.Uint64
	failed  atomic.Uint64
	reopens atomic.Uint64
	sizes   [sizes]atomic.Uint64
	latency observe.Histogram
}

func (c *counters) batch(n int) {
	if n > 0 {
		c.sizes[min(bits.Len(uint(n))-1, sizes-1)].Add(1)
	}
}

// PartitionStats is what one partition has done since the start.
type PartitionStats struct {
	Term    uint64        // 0 while the partition is not open
	Foreign bool          // another node commits for it
	Stalled bool          // its log has not answered for longer than Config.Timeout; events are refused
	Queued  int           // events that wait now
	Bytes   int64         // that they hold, as Config.QueueBytes counts
	Records uint64        // stored
	Repeats uint64        // answered with the position of the first
	Refused uint64        // turned away before they were appended: conflicts, overload, storage full
	Failed  uint64        // ended with an error of the log or without its answer; some may have been stored
	Reopens uint64        // times that the partition was opened again after an error
	Batches [sizes]uint64 // appends by size: class i holds 2^i to 2^(i+1)-1 records
	Latency observe.Summary
}

// Stats reads every partition's counters. Latency is from Submit to the outcome.
func (c *Committer) Stats() []PartitionStats {
	out := make([]PartitionStats, len(c.lanes))
	for i, l := range c.lanes {
		n := &l.counters
		out[i] = PartitionStats{
			Term: n.term.Load(), Foreign: l.foreign.Load(), Stalled: l.stalled.Load(), Queued: len(l.queue), Bytes: l.bytes.Load(), Records: n.records.Load(), Repeats: n.repeats.Load(),
			Refused: n.refused.Load(), Failed: n.failed.Load(), Reopens: n.reopens.Load(), Latency: n.latency.Summary(),
		}
		for j := range n.sizes {
			out[i].Batches[j] = n.sizes[j].Load()
		}
	}
	return out
}

// Latency is from Submit to the outcome, over all partitions.
func (c *Committer) Latency() (all observe.Summary) {
	for _, l := range c.lanes {
		all.Merge(l.counters.latency.Summary())
	}
	return all
}
