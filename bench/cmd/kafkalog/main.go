// Kafkalog compares the committer over the log in Kafka with the same records, in the same
// batches, produced by the client library without it: how many a second are durable,
// through one partition and through all, and what each costs this process. Runs of both
// take turns. The brokers are in this process, unless it is told of others.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/heddle-rt/heddle/bench/internal/proc"
)

type options struct {
	brokers     []string
	reps        int
	count       int // events of a run
	partitions  int
	inFlight    []int
	compression string
	markdown    bool
	goal        float64 // the part of the bare rate that the log has at least
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	var o options
	brokers := flag.String("brokers", "", "brokers of Kafka, host:port, with commas; empty: three in this process")
	inFlight := flag.String("in-flight", "1,2,4,8", "values of sequence.max_in_flight")
	flag.IntVar(&o.reps, "reps", 5, "runs of each")
	flag.IntVar(&o.count, "count", 200000, "events of a run")
	flag.IntVar(&o.partitions, "partitions", 16, "partitions of the topic")
	flag.StringVar(&o.compression, "compression", "snappy", "as kafka.compression")
	flag.BoolVar(&o.markdown, "md", false, "print Markdown, for docs/BENCHMARKS.md")
	quick := flag.Bool("quick", false, "short and few: a smoke test, no measurement")
	flag.Parse()
	o.goal = 0.7
	if *quick {
		o.reps, o.count, o.goal = 1, 20000, 0
	}
	err := o.parse(*brokers, *inFlight)
	if err == nil {
		err = o.run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "kafkalog:", err)
		os.Exit(1)
	}
}

func (o *options) parse(brokers, inFlight string) error {
	if brokers != "" {
		o.brokers = strings.Split(brokers, ",")
	}
	for n := range strings.SplitSeq(inFlight, ",") {
		v, err := strconv.Atoi(n)
		if err != nil || v < 1 {
			return fmt.Errorf("-in-flight: %q is no number of batches", n)
		}
		o.inFlight = append(o.inFlight, v)
	}
	return nil
}

func (o options) run(ctx context.Context) error {
	if len(o.brokers) == 0 {
		c, err := kfake.NewCluster(kfake.NumBrokers(3))
		if err != nil {
			return err
		}
		defer c.Close()
		o.brokers = c.ListenAddrs()
	}
	var rows []row
	for _, partitions := range []int{1, o.partitions} {
		for _, inFlight := range o.inFlight {
			r := row{partitions: partitions, inFlight: inFlight}
			var err error
			if r.bare, r.log, err = o.compare(ctx, partitions, inFlight); err != nil {
				return err
			}
			rows = append(rows, r)
		}
	}
	table(os.Stdout, rows, o.markdown)
	for _, partitions := range []int{1, o.partitions} {
		if best := share(rows, partitions); best < o.goal {
			return fmt.Errorf("through %d partitions the log has %.0f %% of the bare rate, less than %.0f %%", partitions, 100*best, 100*o.goal)
		}
	}
	return nil
}

// share is the log's best rate through so many partitions, as a part of the best bare one.
func share(rows []row, partitions int) float64 {
	var bare, log float64
	for _, r := range rows {
		if r.partitions == partitions {
			bare, log = max(bare, r.bare.rate), max(log, r.log.rate)
		}
	}
	return log / bare
}

// compare runs both in turns, and gives the medians.
func (o options) compare(ctx context.Context, partitions, inFlight int) (bare, log result, err error) {
	var all [2][]result
	for range o.reps {
		for i, way := range []func(*rig, context.Context, int) error{(*rig).bare, (*rig).committed} {
			one, err := o.measure(ctx, partitions, inFlight, way)
			if err != nil {
				return bare, log, err
			}
			all[i] = append(all[i], one)
		}
	}
	return median(all[0]), median(all[1]), nil
}

// result is a run's.
type result struct {
	rate float64 // events a second
	cpu  float64 // microseconds of this process for each event
	// batch is how many events there were in one of the committer's.
	batch float64
}

func median(all []result) result {
	slices.SortFunc(all, func(a, b result) int { return int(a.rate - b.rate) })
	return all[len(all)/2]
}

// patience is how long a run may take.
const patience = 2 * time.Minute

// measure is one run, with a topic of its own, after one that is not counted.
func (o options) measure(ctx context.Context, partitions, inFlight int, way func(*rig, context.Context, int) error) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r, err := newRig(ctx, o, partitions, inFlight)
	if err != nil {
		return result{}, err
	}
	defer r.close()
	for err = way(r, ctx, batch); err != nil; err = way(r, ctx, batch) { // the topic has just been made
		if ctx.Err() != nil {
			return result{}, err
		}
	}
	count := max(1, o.count/(batch*partitions)) * batch // of each partition
	cpu, begun := proc.Self(), time.Now()
	if err := way(r, ctx, count); err != nil {
		return result{}, err
	}
	took, used := time.Since(begun), proc.Self()-cpu
	n := float64(count * partitions)
	return result{rate: n / took.Seconds(), cpu: float64(used.Nanoseconds()) / 1e3 / n, batch: r.mean()}, nil
}
