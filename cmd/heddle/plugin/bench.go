package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/heddle-rt/heddle/plugins/fixture"
	"github.com/heddle-rt/heddle/plugins/manifest"
)

type benchCmd struct {
	folder
	For  time.Duration `default:"500ms" help:"How long each line is measured."`
	JSON bool          `help:"One JSON object."`
}

// Help explains the columns.
func (*benchCmd) Help() string {
	return `Measures each fixture on one instance: its events one by one, and 64 of them in one call, as nodes do with
events that wait. Steps that are to fail are left out. A node runs several instances.

  CALL     nanoseconds for an event: the event goes in, the guest runs, what it wants comes out
  EVENT    the same as the manifest's mode has it: if that is stateless, with the reset after each call
  FUEL     instructions, about
  IN, OUT  bytes copied into the guest's memory, and out of it
  CALLS    of host functions
  PAGES    of 4 KiB that a call leaves changed, of an instance that began from the image

Examples:
  heddle plugin bench
  heddle plugin bench links --json --for 2s`
}

// figures are all that is measured.
type figures struct {
	Plugin   string  `json:"plugin"`
	Version  string  `json:"version"`
	Language string  `json:"language,omitempty"`
	Mode     string  `json:"mode"`
	Module   int     `json:"module_bytes"`
	Captured bool    `json:"captured"`
	Start    float64 `json:"start_us"` // of an instance
	Reset    float64 `json:"reset_us"` // after a call with one event; 0 if it cannot be reset
	Private  int     `json:"private_bytes"`
	Memory   int     `json:"memory_bytes"`
	Lines    []line  `json:"lines"`
}

// line is one of the table.
type line struct {
	Fixture string  `json:"fixture"`
	Batch   int     `json:"batch"`
	Call    float64 `json:"call_ns"`  // of one event; so is all that follows
	Event   float64 `json:"event_ns"` // with the reset, if the mode is stateless
	Fuel    float64 `json:"fuel"`
	In      float64 `json:"in_bytes"`
	Out     float64 `json:"out_bytes"`
	Calls   float64 `json:"host_calls"`
	Pages   float64 `json:"dirty_pages"` // of the call, not of the event
	Failed  string  `json:"failed,omitempty"`
}

// Run measures.
func (c *benchCmd) Run() error {
	ctx, cancel := interruptible()
	defer cancel()
	w, err := assemble(ctx, c.Dir)
	if err != nil {
		return err
	}
	defer w.close()
	f, err := measure(ctx, w, c.For)
	if err != nil {
		return err
	}
	if c.JSON {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", "  ")
		return enc.Encode(f)
	}
	f.print()
	return nil
}

func (f *figures) print() {
	fmt.Printf("%s %s (%s), module of %d KiB\n", f.Plugin, f.Version, f.Mode, f.Module>>10)
	fmt.Printf("an instance starts in %.0f µs, is reset in %.1f µs, and has %d KiB of its own of %d KiB\n\n", f.Start, f.Reset, f.Private>>10, f.Memory>>10)
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "BATCH\tCALL ns\tEVENT ns\tFUEL\tIN\tOUT\tCALLS\tPAGES\t  FIXTURE")
	for i := range f.Lines {
		l := &f.Lines[i]
		if l.Failed != "" {
			fmt.Fprintf(table, "%d\t-\t-\t-\t-\t-\t-\t-\t  %s: %s\n", l.Batch, l.Fixture, l.Failed)
			continue
		}
		fmt.Fprintf(table, "%d\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.1f\t%.0f\t  %s\n", l.Batch, l.Call, l.Event, l.Fuel, l.In, l.Out, l.Calls, l.Pages, l.Fixture)
	}
	_ = table.Flush() // nobody reads it
}

// measure measures all fixtures of a bundle.
func measure(ctx context.Context, w *work, each time.Duration) (*figures, error) {
	m := w.bundle.Manifest
	f := &figures{Plugin: m.Name, Version: m.Version, Language: m.Language, Mode: m.Mode, Module: len(w.bundle.Module), Captured: w.program.Captured()}
	for _, file := range w.bundle.Fixtures {
		list, err := fixture.Parse(file)
		if err != nil {
			return nil, err
		}
		for i := range list {
			s, err := newSample(ctx, w.program, m, &list[i])
			if err != nil {
				return nil, fmt.Errorf("%s: %q: %w", file.Name, list[i].Name, err)
			}
			if len(s.records) == 0 {
				continue
			}
			for _, n := range []int{1, 64} {
				f.Lines = append(f.Lines, s.line(ctx, n, each))
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
			}
			f.Private, f.Memory, f.Reset = max(f.Private, s.private), max(f.Memory, s.memory), max(f.Reset, s.reset)
		}
	}
	if len(f.Lines) == 0 {
		return nil, errors.New("there are no fixtures to measure with: heddle plugin test --help shows one")
	}
	var err error
	f.Start, err = starting(ctx, w, each)
	return f, err
}

// starting is how many microseconds an instance takes to begin.
func starting(ctx context.Context, w *work, each time.Duration) (float64, error) {
	n, took := 0, time.Duration(0)
	for took < each {
		began := time.Now()
		i, err := w.program.New(ctx)
		took += time.Since(began)
		if err != nil {
			return 0, err
		}
		i.Close()
		n++
	}
	return took.Seconds() * 1e6 / float64(n), nil
}

// stateless reports whether an instance is reset after each call.
func stateless(m *manifest.Manifest) bool { return m.Mode == manifest.Stateless }
