// Barepebble measures what Pebble alone does with the writes of Heddle's durable
// messages, and prints one line of JSON with the figures of edgebench's scenario of
// the same name, so that the two can stand in one table. In durable, writers each
// commit one synced batch after the other, which Pebble groups by itself; in chat
// they commit at fixed rates, and time counts from when a batch was due.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/heddle-rt/heddle/bench/internal/scenario"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "barepebble:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var o options
	name := flag.String("scenario", "durable", "durable or chat")
	flag.StringVar(&o.dir, "dir", "", "empty or new `folder` for the data, on the disk to measure")
	flag.IntVar(&o.writers, "conns", 256, "writers with one batch under way each")
	flag.DurationVar(&o.warm, "warm", 0, "load before measuring (default: the scenario's)")
	flag.DurationVar(&o.measure, "time", 0, "time measured; chat: per rate (default: the scenario's)")
	rates := flag.String("rates", scenario.ChatRates, "chat: batches a second to offer, in turn")
	rate := flag.Int("rate", 0, "chat at this rate alone")
	flag.Parse()
	if o.dir == "" || o.writers < 1 || *rate < 0 {
		return errors.New("needs -dir and a writer")
	}
	if *rate > 0 {
		*name, *rates = "chat", fmt.Sprint(*rate)
	}
	res, err := o.run(ctx, *name, *rates)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(res)
}
