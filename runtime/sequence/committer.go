package sequence

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// Committer gives durable records their positions, one lane per partition.
type Committer struct {
	cfg   Config
	deps  Deps
	lanes []*lane
	stop  chan struct{} // closed when Run begins to drain
}

// New makes a committer for all partitions of a log. It fails on a Config with a
// size below one, and without a log or a publisher.
func New(cfg Config, deps Deps) (*Committer, error) {
	if deps.Log == nil || deps.Publisher == nil {
		return nil, errors.New("sequence: a log and a publisher are needed")
	}
	if min(cfg.Partitions, cfg.QueueLen, int(cfg.QueueBytes), cfg.MaxBatch, int(cfg.MaxBatchBytes), cfg.MaxInFlight, cfg.HeadCache) < 1 ||
		cfg.SubmitTimeout <= 0 || cfg.Timeout <= 0 || cfg.DrainTimeout <= 0 {
		return nil, errors.New("sequence: sizes and timeouts must be positive")
	}
	if deps.Clock == nil {
		deps.Clock = time.Now
	}
	if deps.Space == nil {
		deps.Space = func() bool { return true }
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Committer{cfg: cfg, deps: deps, stop: make(chan struct{})}
	for i := range cfg.Partitions {
		c.lanes = append(c.lanes, newLane(i, &c.cfg, &c.deps))
	}
	return c, nil
}

// Submit queues a record, or a probe, for the partition of its room. It waits at
// most SubmitTimeout while the queue is full of records or of bytes. With an error,
// always a retryable *fault.Error, the submission was not taken and Done will not be
// called: Overloaded (the queue stayed full), StorageFull, Unavailable (the log does
// not answer), Draining (Run is ending or has ended), Timeout (ctx ended). What is
// submitted before Run begins waits for it.
func (c *Committer) Submit(ctx context.Context, s *Submission) error {
	l := c.lane(s)
	err := l.enter(s, c.deps.Space())
	if fault.Is(err, fault.Overloaded) {
		err = l.await(ctx, s, c.stop)
	}
	if err != nil {
		l.counters.refused.Add(1)
	}
	return err
}

// Offer is Submit for those who must not block: a full queue is Overloaded at
// once.
func (c *Committer) Offer(s *Submission) error {
	l := c.lane(s)
	err := l.enter(s, c.deps.Space())
	if err != nil {
		l.counters.refused.Add(1)
	}
	return err
}

func (c *Committer) lane(s *Submission) *lane {
	s.queued = time.Now()
	return c.lanes[PartitionOf(s.Record.Tenant, s.Record.Room, len(c.lanes))]
}

// Run commits until ctx ends, then finishes what is queued and gives the
// partitions up. A log that does not take the rest within DrainTimeout leaves its
// senders with retryable errors. It returns nil, and is called once.
func (c *Committer) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var running sync.WaitGroup
	for _, l := range c.lanes {
		running.Go(func() { l.assign(work) })  // ends when the lane is closed and its queue empty
		running.Go(func() { l.publish(work) }) // ends when assign has
	}
	watched, unwatch := context.WithCancel(context.WithoutCancel(ctx))
	var watching sync.WaitGroup
	watching.Go(func() { c.watch(watched) }) // ends with unwatch
	<-ctx.Done()
	close(c.stop) // wakes those who wait to be queued, so that close gets the lanes' gates
	for _, l := range c.lanes {
		l.close()
	}
	late := time.AfterFunc(c.cfg.DrainTimeout, cancel)
	defer late.Stop()
	running.Wait()
	unwatch()
	watching.Wait()
	return nil
}
