package sequence

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// lane is one partition's way through the committer.
type lane struct {
	index int
	cfg   *Config
	deps  *Deps

	gate   sync.RWMutex // held to read while entering the queue, to write to close it
	closed bool
	queue  chan *Submission

	bytes   atomic.Int64  // what is queued holds, at most QueueBytes
	waiting atomic.Int32  // those who wait for a place
	freed   chan struct{} // wakes one of them when bytes has fallen; holds one

	// The same MaxInFlight batches go round: taken from free and filled by the
	// assigner, sent in flight, given back by the publisher.
	batches []*batch // all of them, for the watch
	free    chan *batch
	flight  chan *batch
	over    chan struct{} // wakes the assigner after a life has ended; holds one

	stalled atomic.Bool               // the log has not answered for longer than Timeout, as the watch saw it last
	opening atomic.Pointer[time.Time] // since when the log is asked to open the partition; nil if it is not
	foreign atomic.Bool               // the partition is another's

	// A life is one opening of the partition. Batches of a life that is over fail,
	// even if the log took them.
	life uint64        // the assigner's
	dead atomic.Uint64 // the last life that is over, set by the publisher

	// The assigner's own.
	part   Partition       // nil while it is not open
	moved  <-chan struct{} // closed when the partition's ownership may have changed; nil if it never does
	heads  *heads
	flying map[Key]Stored // keys of the batches that have not come round yet
	stamp  *stamper

	// The publisher's while batches are in flight, then the assigner's.
	lost []event.Record // of a life that ended: stored or not, nobody knows

	counters counters
}

func newLane(i int, cfg *Config, deps *Deps) *lane {
	l := &lane{
		index: i, cfg: cfg, deps: deps,
		queue:  make(chan *Submission, cfg.QueueLen),
		free:   make(chan *batch, cfg.MaxInFlight),
		flight: make(chan *batch, cfg.MaxInFlight),
		over:   make(chan struct{}, 1),
		freed:  make(chan struct{}, 1),
		heads:  newHeads(max(1, cfg.HeadCache/cfg.Partitions)),
		flying: map[Key]Stored{},
		stamp:  newStamper(deps.Clock),
	}
	for range cfg.MaxInFlight {
		b := &batch{}
		l.batches = append(l.batches, b)
		l.free <- b
	}
	return l
}

// enter queues without waiting.
func (l *lane) enter(s *Submission, space bool) error {
	if !space {
		return fault.New(fault.StorageFull, "", "")
	}
	l.gate.RLock()
	defer l.gate.RUnlock()
	if l.closed {
		return draining()
	}
	if l.stalled.Load() {
		return l.away()
	}
	if !l.reserve(s.size()) {
		return l.overloaded()
	}
	select {
	case l.queue <- s:
		return nil
	default:
		l.release(s.size())
		return l.overloaded()
	}
}

// reserve takes n bytes of the queue's. A submission that is larger than all of
// them goes alone.
func (l *lane) reserve(n int64) bool {
	for {
		held := l.bytes.Load()
		if held > 0 && held+n > int64(l.cfg.QueueBytes) {
			return false
		}
		if l.bytes.CompareAndSwap(held, held+n) {
			return true
		}
	}
}

// release gives them back.
func (l *lane) release(n int64) {
	l.bytes.Add(-n)
	l.wake()
}

// wake lets one of those who wait look whether it fits now.
func (l *lane) wake() {
	if l.waiting.Load() > 0 {
		select {
		case l.freed <- struct{}{}:
		default: // one is about to
		}
	}
}

// await queues as soon as there is a place.
func (l *lane) await(ctx context.Context, s *Submission, stop <-chan struct{}) error {
	l.gate.RLock()
	defer l.gate.RUnlock()
	if l.closed {
		return draining()
	}
	timeout := time.NewTimer(l.cfg.SubmitTimeout)
	defer timeout.Stop()
	l.waiting.Add(1) // before reserve: bytes that fall behind it wake this one
	defer l.waiting.Add(-1)
	var queue chan *Submission // nil until s has its bytes
	freed := l.freed           // and nil from then on: it is for those who have none
	for {
		if queue == nil && l.reserve(s.size()) {
			queue, freed = l.queue, nil
			l.wake() // the next one may fit too
		}
		var err error
		select {
		case queue <- s:
			return nil
		case <-freed:
			continue
		case <-stop:
			err = draining()
		case <-timeout.C:
			err = l.overloaded()
		case <-ctx.Done():
			err = fault.Wrap("sequence.submit", fault.Timeout, ctx.Err())
		}
		if queue != nil {
			l.release(s.size())
		}
		return err
	}
}

func draining() error { return fault.New(fault.Draining, "", "") }

func (l *lane) overloaded() error {
	return &fault.Error{Op: "sequence.submit", Kind: fault.Overloaded, After: l.cfg.SubmitTimeout}
}

// close lets nobody in any more; the assigner finishes what is there.
func (l *lane) close() {
	l.gate.Lock()
	defer l.gate.Unlock()
	l.closed = true
	close(l.queue)
}
