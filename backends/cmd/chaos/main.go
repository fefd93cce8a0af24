// Command chaos runs clusters under faults, and says what of the project's promises did
// not hold: exit code 1. Each run has a seed, which plans the same faults again.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/heddle-rt/heddle/backends/chaos"
	"github.com/heddle-rt/heddle/backends/cluster"
)

func main() {
	if node, err := chaos.IsNode(); node {
		fail(err)
	}
	opt := options{}
	flag.Uint64Var(&opt.seed, "seed", 0, "plans the faults of the first run, the next one those of the second; random if left out")
	flag.DurationVar(&opt.total, "for", time.Minute, "how long there are faults, of all runs together")
	flag.DurationVar(&opt.round, "round", 90*time.Second, "how long at most in each run")
	flag.StringVar(&opt.faults, "faults", "", "which faults, with commas; all if left out")
	flag.StringVar(&opt.binary, "binary", "", "the program heddle; built if left out")
	flag.StringVar(&opt.keep, "keep", "", "folder for records and logs of runs in which something was wrong")
	flag.StringVar(&opt.planted, "planted", "", "find mistakes that are built in: all, one by its name, or so many, others each day")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	broken, err := run(ctx, opt)
	if err != nil {
		fail(err)
	}
	if broken {
		os.Exit(1)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "chaos:", err)
	os.Exit(2)
}

type options struct {
	seed           uint64
	total, round   time.Duration
	faults, binary string
	keep, planted  string
}

func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

// run does what the flags say; broken tells that something is wrong.
func run(ctx context.Context, opt options) (broken bool, err error) {
	kinds, err := chaos.ParseKinds(opt.faults)
	if err != nil {
		return false, err
	}
	if opt.seed == 0 {
		opt.seed = rand.Uint64N(1 << 32)
	}
	var list []chaos.Mistake
	if opt.planted != "" {
		if list, err = mistakes(opt.planted, time.Now()); err == nil {
			err = tagged()
		}
		if err != nil {
			return false, err
		}
	}
	if opt.binary == "" {
		dir, err := os.MkdirTemp("", "heddle-chaos-bin-")
		if err != nil {
			return false, err
		}
		defer func() { _ = os.RemoveAll(dir) }()
		if opt.binary, err = cluster.Build(ctx, dir); err != nil {
			return false, err
		}
	}
	if list != nil {
		return find(ctx, opt, list)
	}
	return rounds(ctx, opt, kinds)
}

// rounds has as many runs as fit.
func rounds(ctx context.Context, opt options, kinds []chaos.Kind) (broken bool, err error) {
	for seed := opt.seed; opt.total > 0; seed++ {
		d := min(opt.total, opt.round)
		opt.total -= d
		say("seed %d, for %v: go run ./cmd/chaos -seed %d -for %v -faults %q", seed, d, seed, d, opt.faults)
		r, err := chaos.Run(ctx, chaos.Options{Seed: seed, For: d, Kinds: kinds, Binary: opt.binary, Say: say})
		if err != nil {
			return broken, fmt.Errorf("seed %d: %w", seed, err)
		}
		report(seed, r)
		if r.Broken() {
			broken = true
			if err := keep(opt.keep, seed, r); err != nil {
				return broken, err
			}
		}
	}
	return broken, nil
}

// report says what came of a run.
func report(seed uint64, r *chaos.Result) {
	say("seed %d: %+v", seed, r.Stats)
	for _, v := range r.Violations {
		say("seed %d: %v", seed, v)
	}
	for _, l := range r.Late {
		say("seed %d: %s", seed, l)
	}
}

// keep writes down what may explain it.
func keep(dir string, seed uint64, r *chaos.Result) error {
	if dir == "" {
		return nil
	}
	dir = filepath.Join(dir, fmt.Sprint("seed-", seed))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name, log := range r.Logs {
		if err := os.WriteFile(filepath.Join(dir, name+".log"), []byte(log), 0o600); err != nil {
			return err
		}
	}
	records, err := json.MarshalIndent(r.History, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "history.json"), records, 0o600)
}
