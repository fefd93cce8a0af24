// Plugins measures the host of plugins, and prints tables and which goals they meet.
// It is started in the folder of this module.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/heddle-rt/heddle/bench/plugins"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "plugins:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	o := plugins.Options{Root: ".", Log: os.Stderr}
	var names []string
	for _, p := range plugins.Parts() {
		names = append(names, p.Name)
	}
	flag.BoolVar(&o.Quick, "quick", false, "short and few: a smoke test, no measurement")
	flag.IntVar(&o.Reps, "reps", 0, "rounds of what is compared (default: 15, quick 3)")
	markdown := flag.Bool("md", false, "print Markdown, for docs/BENCHMARKS.md")
	only := flag.String("only", "", "comma-separated parts: "+strings.Join(names, ", "))
	flag.Parse()
	chosen := names
	if *only != "" {
		chosen = strings.Split(*only, ",")
	}
	for _, name := range chosen {
		if !slices.Contains(names, name) {
			return fmt.Errorf("there is no part %q; there are %v", name, names)
		}
	}
	b, err := plugins.New(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	var failed []error
	for _, p := range plugins.Parts() {
		if !slices.Contains(chosen, p.Name) {
			continue
		}
		fmt.Fprintln(os.Stderr, "---", p.Name)
		r, err := p.Run(b, ctx)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", p.Name, err))
			if ctx.Err() != nil {
				break
			}
			continue
		}
		if *markdown {
			fmt.Printf("### %s\n\n", p.Name)
		} else {
			fmt.Printf("--- %s\n\n", p.Name)
		}
		if err := r.Write(os.Stdout, *markdown); err != nil {
			return err
		}
	}
	return errors.Join(failed...)
}
