package sequence

import (
	"sync"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// item is one submission of a batch with the outcome that it will have if the
// batch becomes durable.
type item struct {
	done   Completer // nil once the watch has completed it; guarded by batch.mu
	line   *Line
	queued time.Time
	probe  bool
	final  bool // the outcome holds whatever becomes of the batch
	out    Outcome
}

// batch travels from the assigner to the publisher and back. It may hold items
// without records: refusals and repeats are answered in their turn too.
type batch struct {
	records []event.Record
	keys    []Key   // of the records, to be forgotten when the batch is used again
	bytes   int     // of the items' data
	life    uint64  // of the partition, see lane.life
	pending Pending // nil if there is nothing to wait for
	err     error   // the append failed: nothing was stored

	mu     sync.Mutex // between who has the batch and the watch
	items  []item
	closed bool // the watch leaves the items to the publisher
}

// reset empties the batch, and lets go of what it pointed to.
func (b *batch) reset() {
	clear(b.records)
	clear(b.keys)
	b.records, b.keys = b.records[:0], b.keys[:0]
	b.bytes, b.life, b.pending, b.err = 0, 0, nil, nil
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.items)
	b.items, b.closed = b.items[:0], false
}

func (b *batch) full(cfg *Config) bool {
	return len(b.items) >= cfg.MaxBatch || b.bytes >= int(cfg.MaxBatchBytes)
}

// add returns the item of a submission; it is good until the next add. From here on
// the watch may complete it, and the submission itself is its owner's again.
func (b *batch) add(s *Submission) *item {
	b.bytes += len(s.Record.Data)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.items = append(b.items, item{done: s.Done, line: s.Line, queued: s.queued, probe: s.Probe})
	return &b.items[len(b.items)-1]
}

// close takes the items from the watch.
func (b *batch) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
}

// expire takes out who was queued before a time. stalled says that somebody was
// whom the publisher has not completed yet.
func (b *batch) expire(before time.Time) (late []Completer, stalled bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	// They are in the order of the queue, which is nearly that of time.
	if b.closed || len(b.items) == 0 || !b.items[0].queued.Before(before) {
		return nil, false
	}
	for i := range b.items {
		if it := &b.items[i]; it.done != nil && it.queued.Before(before) {
			late = append(late, it.done)
			it.done = nil
		}
	}
	return late, true
}

func (it *item) refuse(err error) { it.out, it.final = Outcome{Err: err}, true }

// repeat answers with the position of the first one. If that one is in flight
// (not durable), it is in this batch or an earlier one of the same life, and the
// repeat shares its fate.
func (it *item) repeat(first Stored, durable bool) {
	it.out, it.final = Outcome{Stored: first, Repeat: true}, durable
}

func (it *item) store(r *event.Record) { it.out = Outcome{Stored: StoredOf(r)} }

// fail gives every outcome that depends on the log a retryable error.
func (b *batch) fail(op string, err error) {
	f := fault.Wrap(op, fault.Unavailable, err)
	for i := range b.items {
		if !b.items[i].final {
			b.items[i].out = Outcome{Err: f}
		}
	}
}
