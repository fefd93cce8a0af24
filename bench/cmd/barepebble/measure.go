package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/heddle-rt/heddle/bench/internal/load"
	"github.com/heddle-rt/heddle/bench/internal/proc"
)

type options struct {
	dir           string
	writers       int
	warm, measure time.Duration
}

// open is Pebble as the server opens it, as far as it matters for writing.
func open(dir string) (*pebble.DB, error) {
	db, err := pebble.Open(dir, &pebble.Options{
		FormatMajorVersion:          pebble.FormatValueSeparation,
		MemTableSize:                64 << 20,
		MemTableStopWritesThreshold: 4,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       24,
		LBaseMaxBytes:               256 << 20,
		BytesPerSync:                1 << 20,
		WALBytesPerSync:             1 << 20,
		Logger:                      quiet{},
	})
	if err != nil {
		return nil, fmt.Errorf("pebble: %w", err)
	}
	return db, nil
}

// quiet passes on only what ends the process.
type quiet struct{}

func (quiet) Infof(string, ...any)              {}
func (quiet) Errorf(string, ...any)             {}
func (quiet) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func measure(ctx context.Context, o options) (map[string]any, error) {
	db, err := open(o.dir)
	if err != nil {
		return nil, err
	}
	since := load.Now() + o.warm.Nanoseconds()
	until := since + o.measure.Nanoseconds()
	errs := make([]error, o.writers)
	hists := make([]load.Hist, o.writers)
	var wg sync.WaitGroup
	for i := range o.writers {
		wg.Go(func() { errs[i] = write(ctx, db, newRows(i), &hists[i], since, until) }) // ends at until, or with ctx
	}
	var self, all, stolen time.Duration
	timer := time.NewTimer(o.warm)
	select {
	case <-ctx.Done():
	case <-timer.C:
		self, all, stolen = proc.Self(), proc.All(), proc.Stolen()
	}
	wg.Wait()
	self, all, stolen = proc.Self()-self, proc.All()-all, proc.Stolen()-stolen
	sum := new(load.Hist)
	for i := range hists {
		sum.Merge(&hists[i])
	}
	if err := errors.Join(append(errs, db.Close())...); err != nil {
		return nil, err
	}
	wall := o.measure.Seconds()
	n := float64(sum.Count())
	return map[string]any{
		"conns": o.writers, "msgs_per_s": n / wall, "cpu_us_per_msg": self.Seconds() * 1e6 / max(n, 1),
		"p50_ms": sum.PercentileMs(0.50), "p99_ms": sum.PercentileMs(0.99), "max_ms": sum.MaxMs(),
		"server_cores": self.Seconds() / wall, "other_cores": (all - self).Seconds() / wall,
		"stolen_cores": stolen.Seconds() / wall,
	}, nil
}

// write commits batch after batch until the time is over, and counts those that
// end in [since, until).
func write(ctx context.Context, db *pebble.DB, r *rows, h *load.Hist, since, until int64) error {
	for {
		b := db.NewBatch()
		if err := r.each(func(key, value []byte) error { return b.Set(key, value, nil) }); err != nil {
			return err
		}
		start := load.Now()
		if err := b.Commit(pebble.Sync); err != nil {
			return err
		}
		if err := b.Close(); err != nil {
			return err
		}
		now := load.Now()
		if now >= until {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if now >= since {
			h.Add(now - start)
		}
	}
}
