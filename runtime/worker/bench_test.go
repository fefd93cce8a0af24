package worker_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/heddle-rt/heddle/runtime/adapter/kafka"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/worker"
)

// idle is a Keeper that keeps nothing.
type idle struct {
	*memory
	left atomic.Int64 // events to come
	done chan struct{}
}

func (k *idle) Keep(_ context.Context, _ int, events []worker.Event, _ worker.Mark) error {
	if n := int64(len(events)); n > 0 && k.left.Add(-n) == 0 {
		close(k.done)
	}
	return nil
}

// BenchmarkWorker is what a worker costs beside the store: from the brokers, through all
// partitions.
func BenchmarkWorker(b *testing.B) {
	c := newCluster(b)
	c.cfg = worker.Config{Batch: 1000, BatchBytes: 4 << 20, Timeout: patience, RetryMin: 1, RetryMax: 1, Rooms: 16384, Keep: c.cfg.Keep}
	const rooms, size = 100, 250
	for p := range partitions {
		w := c.open(c.log, p)
		for from := p; from < b.N; from += partitions * size {
			var batch []event.Record
			for n := from; n < b.N && len(batch) < size; n += partitions {
				batch = append(batch, said(fmt.Sprint("conv:", p, "-", n/partitions%rooms), uint64(n/partitions/rooms)+1))
			}
			c.must(c.append(w, batch...))
		}
	}
	k := &idle{memory: c.store, done: make(chan struct{})}
	k.left.Store(int64(b.N))
	w := worker.New(c.cfg, worker.Deps{Log: kafka.NewGroup(c.writer()), Keeper: k, Streams: c.store, Letters: c.dead})
	b.ReportAllocs()
	b.ResetTimer()
	c.start(w)
	<-k.done
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
