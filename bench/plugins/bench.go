package plugins

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/heddle-rt/heddle/plugins/guest"
)

// Options say how to measure.
type Options struct {
	Root  string    // the folder of this module
	Quick bool      // short and few: to see that it works
	Reps  int       // rounds of what is compared; 0: the usual number
	Log   io.Writer // progress
}

// Bench is what the parts share.
type Bench struct {
	Options
	dir    string // of its own, removed in the end
	engine *guest.Engine
	built  map[string]built
}

// Part is one set of measurements.
type Part struct {
	Name string
	Run  func(*Bench, context.Context) (*Report, error)
}

// Parts are all of them, in the order of the report.
func Parts() []Part {
	return []Part{
		{"echo", (*Bench).echo},
		{"metering", (*Bench).metering},
		{"instances", (*Bench).instances},
		{"route", (*Bench).route},
		{"safepoints", (*Bench).safepoints},
		{"deploys", (*Bench).deploys},
		{"chat", (*Bench).chat},
	}
}

// New prepares to measure.
func New(o Options) (*Bench, error) {
	rounds := 15
	if o.Quick {
		rounds = 3
	}
	o.Reps = cmp.Or(o.Reps, rounds)
	var err error
	if o.Root, err = filepath.Abs(o.Root); err != nil {
		return nil, err
	}
	b := &Bench{Options: o, built: map[string]built{}}
	if b.dir, err = os.MkdirTemp("", "bench-plugins"); err != nil {
		return nil, err
	}
	if b.engine, err = guest.New(guest.Config{Cache: filepath.Join(b.dir, "compiled")}); err != nil {
		return nil, errors.Join(err, os.RemoveAll(b.dir))
	}
	return b, nil
}

// Close gives everything back.
func (b *Bench) Close() error { return errors.Join(b.engine.Close(), os.RemoveAll(b.dir)) }

// repository is the folder of the module above.
func (b *Bench) repository(parts ...string) string {
	return filepath.Join(append([]string{b.Root, ".."}, parts...)...)
}

// own is a file of this package.
func (b *Bench) own(parts ...string) string {
	return filepath.Join(append([]string{b.Root, "plugins"}, parts...)...)
}

func (b *Bench) logf(format string, args ...any) {
	if b.Log != nil {
		fmt.Fprintf(b.Log, format+"\n", args...)
	}
}

// short is the first, or the second if the bench is quick.
func short[T any](b *Bench, full, quick T) T {
	if b.Quick {
		return quick
	}
	return full
}

// pause waits for d, or until ctx is over.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
