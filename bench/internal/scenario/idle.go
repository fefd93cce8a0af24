package scenario

import (
	"context"

	"github.com/heddle-rt/heddle/bench/internal/proc"
)

// idle (S1): memory per connection that is a member of a room and silent.
func (b *bench) idle(ctx context.Context) (Result, error) {
	rss0, pss0, err := proc.Memory(b.PID)
	if err != nil {
		return nil, err
	}
	kernel0, err := proc.Sockets()
	if err != nil {
		return nil, err
	}
	_, took, err := b.join(ctx, b.Conns)
	if err != nil {
		return nil, err
	}
	if err := pause(ctx, b.Settle); err != nil {
		return nil, err
	}
	rss, pss, err := proc.Memory(b.PID)
	if err != nil {
		return nil, err
	}
	kernel, err := proc.Sockets()
	if err != nil {
		return nil, err
	}
	cpu0 := b.usage()
	if err := pause(ctx, b.Measure); err != nil {
		return nil, err
	}
	used := b.usage().since(cpu0)
	res := Result{
		"conns": b.Conns, "rooms": b.Rooms, "join_s": took.Seconds(),
		"rss_mb": mb(rss), "empty_rss_mb": mb(rss0),
		"rss_per_conn": b.per(rss - rss0), "pss_per_conn": b.per(pss - pss0),
		"kernel_buffers_mb": mb(kernel.Buffers - kernel0.Buffers),
		"idle_cpu_pct":      100 * used.server / used.wall,
		"threads":           proc.Threads(b.PID),
	}
	if kernel.Slabs > 0 {
		res["kernel_slabs_mb"] = mb(kernel.Slabs - kernel0.Slabs)
		res["kernel_objects_per_end"] = kernel.Objects
	}
	return res, b.goStats(ctx, res)
}

// goStats adds what a Go server says about itself.
func (b *bench) goStats(ctx context.Context, res Result) error {
	if b.Pprof == "" {
		return nil
	}
	s, err := proc.Go(ctx, b.Pprof)
	if err != nil {
		return err
	}
	res["goroutines_per_conn"] = b.per(s.Goroutines)
	res["heap_live_mb"], res["heap_live_per_conn"] = mb(s.HeapLive), b.per(s.HeapLive)
	res["stacks_mb"], res["stack_per_conn"] = mb(s.Stacks), b.per(s.Stacks)
	return nil
}

func (b *bench) per(n int64) float64 { return float64(n) / float64(b.Conns) }

func mb(bytes int64) float64 { return float64(bytes) / 1e6 }
