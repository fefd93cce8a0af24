package sequence

import (
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// item is one submission of a batch with the outcome that it will have if the
// batch becomes durable.
type item struct {
	sub     *Submission
	out     Outcome
	settled bool // the outcome holds whatever becomes of the batch
}

// batch travels from the assigner to the publisher and back. It may hold items
// without records: refusals and repeats are answered in their turn too.
type batch struct {
	records []event.Record
	keys    []Key // of the records, to be forgotten when the batch is used again
	items   []item
	bytes   int     // of the items' data
	life    uint64  // of the partition, see lane.life
	pending Pending // nil if there is nothing to wait for
	err     error   // the append failed: nothing was stored
}

// reset empties the batch, and lets go of what it pointed to.
func (b *batch) reset() {
	clear(b.records)
	clear(b.keys)
	clear(b.items)
	*b = batch{records: b.records[:0], keys: b.keys[:0], items: b.items[:0]}
}

func (b *batch) full(cfg *Config) bool {
	return len(b.items) >= cfg.MaxBatch || b.bytes >= int(cfg.MaxBatchBytes)
}

func (b *batch) add(it item) {
	b.items = append(b.items, it)
	b.bytes += len(it.sub.Record.Data)
}

func (b *batch) refuse(s *Submission, err error) {
	b.add(item{sub: s, out: Outcome{Err: err}, settled: true})
}

// repeat answers with the place of the first one. If that one is in flight
// (not durable), it is in this batch or an earlier one of the same life, and the
// repeat shares its fate.
func (b *batch) repeat(s *Submission, first Stored, durable bool) {
	b.add(item{sub: s, out: Outcome{Stored: first, Repeat: true}, settled: durable})
}

func (b *batch) store(s *Submission, r *event.Record) {
	b.add(item{sub: s, out: Outcome{Stored: StoredOf(r)}})
}

// fail gives every outcome that depends on the log a retryable error.
func (b *batch) fail(op string, err error) {
	f := fault.Wrap(op, fault.Unavailable, err)
	for i := range b.items {
		if !b.items[i].settled {
			b.items[i].out = Outcome{Err: f}
		}
	}
}
