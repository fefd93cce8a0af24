package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/heddle-rt/heddle/bench/internal/load"
	"github.com/heddle-rt/heddle/bench/internal/proc"
	"github.com/heddle-rt/heddle/bench/internal/scenario"
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

func (o options) run(ctx context.Context, name, rates string) (scenario.Result, error) {
	db, err := open(o.dir)
	if err != nil {
		return nil, err
	}
	var res scenario.Result
	switch name {
	case "durable":
		o.warm, o.measure = cmp.Or(o.warm, 2*time.Second), cmp.Or(o.measure, 10*time.Second)
		res, err = o.durable(ctx, db)
	case "chat":
		o.warm, o.measure = cmp.Or(o.warm, time.Second), cmp.Or(o.measure, 5*time.Second)
		res, err = o.chat(ctx, db, rates)
	default:
		err = fmt.Errorf("there is no scenario %q", name)
	}
	return res, errors.Join(err, db.Close())
}

// clocks are readings of processors' time, or differences of two.
type clocks struct{ self, all, stolen time.Duration }

func read() clocks { return clocks{proc.Self(), proc.All(), proc.Stolen()} }

// cores adds what was used since.
func (c clocks) cores(res scenario.Result, wall time.Duration) {
	now := read()
	self := now.self - c.self
	res["server_cores"], res["stolen_cores"] = self.Seconds()/wall.Seconds(), (now.stolen-c.stolen).Seconds()/wall.Seconds()
	res["other_cores"] = (now.all - c.all - self).Seconds() / wall.Seconds()
}

func latency(res scenario.Result, h *load.Hist) {
	res["p50_ms"], res["p99_ms"], res["max_ms"] = h.PercentileMs(0.50), h.PercentileMs(0.99), h.MaxMs()
}

// durable has each writer commit one batch after the other.
func (o options) durable(ctx context.Context, db *pebble.DB) (scenario.Result, error) {
	since := load.Now() + o.warm.Nanoseconds()
	until := since + o.measure.Nanoseconds()
	errs := make([]error, o.writers)
	hists := make([]load.Hist, o.writers)
	var wg sync.WaitGroup
	for i := range o.writers {
		wg.Go(func() { errs[i] = write(ctx, db, newRows(i), &hists[i], since, until) }) // ends at until, or with ctx
	}
	var begun clocks
	timer := time.NewTimer(o.warm)
	select {
	case <-ctx.Done():
	case <-timer.C:
		begun = read()
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	sum := new(load.Hist)
	for i := range hists {
		sum.Merge(&hists[i])
	}
	n := float64(sum.Count())
	res := scenario.Result{"conns": o.writers, "msgs_per_s": n / o.measure.Seconds()}
	begun.cores(res, o.measure)
	res["cpu_us_per_msg"] = res["server_cores"].(float64) * o.measure.Seconds() * 1e6 / max(n, 1)
	latency(res, sum)
	return res, nil
}

// write commits batch after batch until the time is over, and counts those that
// end in [since, until).
func write(ctx context.Context, db *pebble.DB, r *rows, h *load.Hist, since, until int64) error {
	for {
		start := load.Now()
		if err := commit(db, r); err != nil {
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

// commit writes the rows of one message, and returns when they are on disk.
func commit(db *pebble.DB, r *rows) error {
	b := db.NewBatch()
	if err := r.each(func(key, value []byte) error { return b.Set(key, value, nil) }); err != nil {
		return err
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return err
	}
	return b.Close()
}
