package worker

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
)

// Worker is one of those who share the log.
type Worker struct {
	cfg        Config
	deps       Deps
	counters   counters
	unreadable rate.Sometimes // told in the log

	mu    sync.Mutex
	lanes map[int]*lane // partitions that are this worker's
}

// tending is how often what is not due with each batch is done.
const tending = time.Minute

// New makes a worker.
func New(cfg Config, deps Deps) *Worker {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	return &Worker{cfg: cfg, deps: deps, lanes: map[int]*lane{}, unreadable: rate.Sometimes{Interval: time.Minute}}
}

// Run keeps what comes, until ctx is done. A batch that is being written then has a
// short time left.
func (w *Worker) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return w.deps.Log.Consume(ctx, w.serve) })
	g.Go(func() error {
		tick := time.NewTicker(tending)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				w.tend(ctx)
			case <-ctx.Done():
				return nil
			}
		}
	})
	return g.Wait()
}

// serve keeps one partition, as long as it is this worker's.
func (w *Worker) serve(ctx context.Context, p Partition) {
	l := newLane(w, p)
	w.mu.Lock()
	w.lanes[l.number] = l
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		delete(w.lanes, l.number)
		w.mu.Unlock()
	}()
	l.run(ctx)
}

// held are the partitions that are this worker's, in their order.
func (w *Worker) held() []*lane {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.SortedFunc(maps.Values(w.lanes), func(a, b *lane) int { return a.number - b.number })
}

// tend warns of partitions that are far behind, and lets go of what is not needed of
// the log any more.
func (w *Worker) tend(ctx context.Context) {
	for _, l := range w.held() {
		if lag := l.lag(); lag.Behind > w.cfg.LagWarning {
			l.log.Warn("the store is behind the log", "records", lag.Records, "behind", lag.Behind)
		}
		if err := w.forget(ctx, l.number); err != nil && ctx.Err() == nil {
			l.log.Warn("what is kept could not be taken off the log", "error", err)
		}
	}
}

func (w *Worker) forget(ctx context.Context, partition int) error {
	ctx, cancel := context.WithTimeout(ctx, w.cfg.Timeout)
	defer cancel()
	m, err := w.oldest(ctx, partition)
	if err != nil || m.Offset == 0 {
		return err
	}
	return w.deps.Log.Forget(ctx, partition, m.Offset)
}

// oldest is the mark behind which the log is still needed.
func (w *Worker) oldest(ctx context.Context, partition int) (Mark, error) {
	return w.deps.Keeper.Mark(ctx, partition, w.deps.Now().Add(-max(w.cfg.Keep, w.deps.Window)))
}
