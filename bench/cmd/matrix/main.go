// Matrix runs scenarios against servers, several times over, and appends what
// edgebench measured to a file of JSON lines; with -report it prints medians and
// ratios. With -all it does everything: build, run, report. It is started in
// the folder of this module.
package main

import (
	"context"
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
		fmt.Fprintln(os.Stderr, "matrix:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	o, err := parse(os.Args[1:])
	if err != nil {
		return err
	}
	if o.report && !o.all {
		return printReport(o)
	}
	list, err := selected(o)
	if err != nil {
		return err
	}
	if o.build || o.all {
		if list, err = build(ctx, o, list); err != nil {
			return err
		}
	} else {
		list = without(list, installed)
	}
	m := &matrix{options: o, run: time.Now().UTC().Format(time.RFC3339)}
	failed := m.all(ctx, list)
	if o.all && ctx.Err() == nil {
		if err := printReport(o); err != nil {
			return err
		}
	}
	return failed
}
