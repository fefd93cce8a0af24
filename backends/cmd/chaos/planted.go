package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/heddle-rt/heddle/backends/chaos"
)

// How long a mistake may take to be found, and a run to look for it.
const (
	findWithin = 5 * time.Minute
	lookFor    = 25 * time.Second
)

// mistakes are those that a flag means: all, a name, or so many, which change by day.
func mistakes(flag string, now time.Time) ([]chaos.Mistake, error) {
	all := chaos.Mistakes()
	if flag == "all" {
		return all, nil
	}
	if n, err := strconv.Atoi(flag); err == nil && n > 0 && n <= len(all) {
		first := now.YearDay() * n % len(all)
		return slices.Concat(all[first:], all[:first])[:n], nil
	}
	i := slices.IndexFunc(all, func(m chaos.Mistake) bool { return m.Name == flag })
	if i < 0 {
		return nil, fmt.Errorf("there is no mistake %q; there are %v", flag, all)
	}
	return all[i : i+1], nil
}

// tagged has what is built from now on make the mistakes that it is told to.
func tagged() error {
	return os.Setenv("GOFLAGS", strings.TrimSpace(os.Getenv("GOFLAGS")+" -tags=planted"))
}

// find has each of some mistakes be made, and reports whether one was not found.
func find(ctx context.Context, opt options, list []chaos.Mistake) (missed bool, err error) {
	for _, m := range list {
		found, err := findOne(ctx, opt, m)
		if err != nil {
			return missed, fmt.Errorf("%s: %w", m.Name, err)
		}
		missed = missed || !found
	}
	return missed, nil
}

func findOne(ctx context.Context, opt options, m chaos.Mistake) (found bool, err error) {
	began := time.Now()
	for seed := opt.seed; time.Since(began) < findWithin; seed++ {
		r, err := chaos.Run(ctx, chaos.Options{Seed: seed, For: lookFor, Kinds: m.Kinds, Binary: opt.binary, Planted: m.Name, Say: quiet})
		if err != nil {
			return false, fmt.Errorf("seed %d: %w", seed, err)
		}
		if len(r.Violations) > 0 {
			say("%-16s found after %v, with seed %d: %v", m.Name, time.Since(began).Round(time.Second), seed, r.Violations[0])
			return true, nil
		}
		say("%-16s seed %d: %+v, and nothing is wrong but %v", m.Name, seed, r.Stats, r.Late)
		if err := keep(opt.keep, seed, r); err != nil {
			return false, err
		}
	}
	say("%-16s not found within %v", m.Name, findWithin)
	return false, nil
}

func quiet(string, ...any) {}
