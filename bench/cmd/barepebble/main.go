// Barepebble measures what Pebble alone does with the writes of Heddle's durable
// messages: writers that each commit one synced batch after the other, which
// Pebble groups by itself. It prints one line of JSON with the figures of
// edgebench's scenario durable, so that the two can stand in one table.
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
	"time"
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
	flag.StringVar(&o.dir, "dir", "", "empty or new `folder` for the data, on the disk to measure")
	flag.IntVar(&o.writers, "conns", 256, "writers with one batch under way each")
	flag.DurationVar(&o.warm, "warm", 2*time.Second, "load before measuring")
	flag.DurationVar(&o.measure, "time", 10*time.Second, "time measured")
	flag.Parse()
	if o.dir == "" || o.writers < 1 {
		return errors.New("needs -dir and a writer")
	}
	res, err := measure(ctx, o)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(res)
}
