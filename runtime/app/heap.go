package app

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/runtime/config"
)

// HeapConfig paces the garbage collector. Whoever sets GOGC or GOMEMLIMIT is
// obeyed instead.
type HeapConfig struct {
	Floor config.Size   `yaml:"floor" default:"64MiB" min:"0" max:"64GiB" doc:"Size of the heap below which the garbage collector does not run."`
	Quiet time.Duration `yaml:"quiet" default:"2s" min:"0s" max:"1h" doc:"After this time with little to do the node collects once and gives memory back to the system; 0s: never."`
}

// heap keeps the collector from running while the heap is small: a node whose
// live heap is 4 MiB would be collected eight times while its first 5,000 clients
// come in, at a fifth of the cost of a join. And it lets go of what a storm has
// left, when it is over.
type heap struct {
	cfg     HeapConfig
	stopped atomic.Bool
}

const (
	usual = 100 // GOGC's default

	liveHeap   = "/gc/heap/live:bytes"
	allAllocs  = "/gc/heap/allocs:bytes"
	quietBytes = 1 << 20  // allocated in a second at most while the node is quiet
	worthBytes = 16 << 20 // allocated since the last time, or there is little to give back
)

func read(name string) uint64 {
	s := []metrics.Sample{{Name: name}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// run paces until ctx ends.
func (h *heap) run(ctx context.Context) error {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		<-ctx.Done()
		return nil
	}
	if h.cfg.Floor > 0 {
		h.adjust()
		h.watch()
	}
	h.tidy(ctx)
	h.stopped.Store(true)
	debug.SetGCPercent(usual)
	return nil
}

// watch has the collector itself tell when it has run: by the cleanup of an
// object that nobody holds.
func (h *heap) watch() {
	sentinel := new([16]byte)
	runtime.AddCleanup(sentinel, func(h *heap) {
		if h.stopped.Load() {
			return
		}
		h.adjust()
		h.watch()
	}, h)
}

func (h *heap) adjust() { debug.SetGCPercent(percent(read(liveHeap), uint64(h.cfg.Floor))) }

// percent is GOGC such that the next collection starts at the floor, or when it
// usually would if that is later.
func percent(live, floor uint64) int {
	live = max(live, 1<<20)
	if live >= floor {
		return usual
	}
	return max(usual, int((floor-live)*100/live))
}

// tidy collects and returns memory when the node has become quiet, until ctx
// ends.
func (h *heap) tidy(ctx context.Context) {
	if h.cfg.Quiet == 0 {
		<-ctx.Done()
		return
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	before := read(allAllocs)
	last, quiet := before, time.Duration(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := read(allAllocs)
		if quiet += time.Second; now-before > quietBytes {
			quiet = 0
		}
		before = now
		if quiet >= h.cfg.Quiet && now-last > worthBytes {
			debug.FreeOSMemory()
			last = now
		}
	}
}
