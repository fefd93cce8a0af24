package main

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/sys/unix"

	"github.com/heddle-rt/heddle/bench/internal/load"
	"github.com/heddle-rt/heddle/bench/internal/scenario"
)

// late is how long behind its end a rate's batches are waited for; what is due then
// is lost.
const late = 3 * time.Second

// chat commits at rates that rise until one is not held.
func (o options) chat(ctx context.Context, db *pebble.DB, list string) (scenario.Result, error) {
	rates, err := scenario.ParseRates(list)
	if err != nil {
		return nil, err
	}
	writers := make([]*rows, o.writers)
	for i := range writers {
		writers[i] = newRows(i)
	}
	held, other, stolen := 0, 0.0, 0.0
	var steps []scenario.Result
	for _, rate := range rates {
		step, err := o.paced(ctx, db, writers, rate)
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
		other += step["other_cores"].(float64)
		stolen += step["stolen_cores"].(float64)
		if step["held"] == false {
			break
		}
		held = rate
	}
	n := float64(len(steps))
	return scenario.Result{"conns": o.writers, "held_rate": held, "steps": steps, "other_cores": other / n, "stolen_cores": stolen / n}, nil
}

// paced commits at one rate. Whichever writer is free takes the next batch.
func (o options) paced(ctx context.Context, db *pebble.DB, writers []*rows, rate int) (scenario.Result, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	due := make(chan int64, len(writers)) // when it is full, the pacer is late, which shows as latency
	errs := make([]error, len(writers))
	hists := make([]load.Hist, len(writers))
	since := load.Now() + o.warm.Nanoseconds()
	until := since + o.measure.Nanoseconds()
	var wg sync.WaitGroup
	for i, r := range writers {
		wg.Go(func() { // ends when due is closed
			for at := range due {
				if errs[i] = commit(db, r); errs[i] != nil {
					stop()
					return
				}
				if at >= since && at < until {
					hists[i].Add(load.Now() - at)
				}
			}
		})
	}
	counted, begun := pace(ctx, due, rate, since, until)
	res := scenario.Result{"rate": rate, "sent_per_s": float64(counted) / o.measure.Seconds()}
	begun.cores(res, o.measure)
	close(due)
	wg.Wait()
	if err := errors.Join(append(errs, context.Cause(ctx))...); err != nil {
		return nil, err
	}
	sum := new(load.Hist)
	for i := range hists {
		sum.Merge(&hists[i])
	}
	latency(res, sum)
	expect := float64(rate) * o.measure.Seconds()
	share := min(float64(sum.Count())/expect, 1)
	res["delivered_pct"], res["held"] = 100*share, scenario.Held(sum.PercentileMs(0.99), share, float64(counted)/expect)
	return res, nil
}

// pace hands out batches as edgebench's chat does, in small bursts of one each
// millisecond and dated when they were due, and counts those of [since, until). It
// ends behind until, or when it is too late.
func pace(ctx context.Context, out chan<- int64, rate int, since, until int64) (counted int, begun clocks) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const step = int64(time.Millisecond)
	for at, owed := load.Now(), 0; at < until && load.Now() < until+late.Nanoseconds(); at += step {
		if wait := at - load.Now(); wait > 0 {
			ts := unix.NsecToTimespec(wait)
			_ = unix.Nanosleep(&ts, nil) // interrupted: the burst is early, and dated when it was due
		}
		if at >= since && begun.all == 0 {
			begun = read()
		}
		for owed += rate; owed >= 1000; owed -= 1000 {
			select {
			case out <- at:
			case <-ctx.Done():
				return counted, begun
			}
			if at >= since {
				counted++
			}
		}
	}
	return counted, begun
}
