// Bus compares the bus between nodes with the same messages published to Redis without
// it: how many arrive each second at a subscriber in the same process, and the bytes that
// Redis reads and writes for each. Runs of both take turns. It starts a redis-server of its
// own, unless it is told of one.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

type options struct {
	addr       string
	reps       int
	count      int // messages of a run
	pipelines  int
	partitions int
	markdown   bool
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	var o options
	flag.StringVar(&o.addr, "addr", "", "address of Redis; empty: one is started")
	flag.IntVar(&o.reps, "reps", 5, "runs of each")
	flag.IntVar(&o.count, "count", 400000, "messages of a run with the smallest; of the largest a tenth")
	flag.IntVar(&o.pipelines, "pipelines", 2, "as redis.pipelines")
	flag.IntVar(&o.partitions, "partitions", 64, "partitions")
	flag.BoolVar(&o.markdown, "md", false, "print Markdown, for docs/BENCHMARKS.md")
	quick := flag.Bool("quick", false, "short and few: a smoke test, no measurement")
	flag.Parse()
	if *quick {
		o.reps, o.count = 1, 20000
	}
	if err := o.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bus:", err)
		os.Exit(1)
	}
}

// goal is the part of the bare rate that the bus has at least.
const goal = 0.7

// payloads are what is published. What the bus compresses has no goal: it is fewer bytes for
// more of this process' time.
var payloads = []struct {
	name string
	size int
	like string // what it is made of
	part int    // of options.count, one in so many
	goal bool
}{
	{"message, 300 B", 300, "random", 1, true},
	{"message, 1 KiB", 1 << 10, "random", 2, true},
	{"document, 16 KiB, random", 16 << 10, "random", 10, true},
	{"document, 16 KiB, text", 16 << 10, "text", 10, false},
}

func (o options) run(ctx context.Context) (err error) {
	if o.addr == "" {
		s, err := start()
		if err != nil {
			return err
		}
		defer s.end()
		o.addr = s.addr
	}
	r, err := newRig(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	var rows []row
	met := true
	for _, p := range payloads {
		bare, bus, err := o.compare(ctx, r, body(p.like, p.size), max(o.count/p.part, 1))
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		rows = append(rows, row{p.name, bare, bus})
		met = met && (!p.goal || bus.rate >= goal*bare.rate)
	}
	table(os.Stdout, rows, o.markdown)
	if !met {
		return fmt.Errorf("the bus has less than %.0f %% of the bare rate", 100*goal)
	}
	return nil
}

// compare runs both in turns, and gives the medians.
func (o options) compare(ctx context.Context, r *rig, message []byte, count int) (bare, bus result, err error) {
	var all [2][]result
	for range o.reps {
		for i, publish := range []func(context.Context, []byte, int) error{r.bare, r.viaBus} {
			one, err := r.measure(ctx, publish, message, count)
			if err != nil {
				return bare, bus, err
			}
			all[i] = append(all[i], one)
		}
	}
	return median(all[0]), median(all[1]), nil
}

// result is a run's.
type result struct {
	rate    float64 // messages a second
	cpu     float64 // microseconds of this process for each message
	in, out float64 // bytes that Redis read and wrote for each message
}

func median(all []result) result {
	slices.SortFunc(all, func(a, b result) int { return int(a.rate - b.rate) })
	return all[len(all)/2]
}

// patience is how long a run may take.
const patience = time.Minute
