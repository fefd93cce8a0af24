package plugins

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/heddle-rt/heddle/plugins/guest"
	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/manifest"
)

// spinDeadline is that of guests whose end is timed.
const spinDeadline = 20 * time.Millisecond

// spinLimits let a guest spin until its deadline, and not end it for its fuel.
const spinLimits = "limits: {start: 30s, timeout: 50ms, fuel: 100000000}\n"

// safepoints measures what guests that never end do to others: to the collector, to
// another tenant's events, and how long they are let.
func (b *Bench) safepoints(ctx context.Context) (*Report, error) {
	r := &Report{}
	half := max(1, runtime.GOMAXPROCS(0)/2)
	over := r.table(fmt.Sprintf("How long after its deadline of %v an infinite loop is ended", spinDeadline), "guests that spin", "ended", "median ms", "p99 ms", "longest ms")
	others := r.table("Others while guests spin", "what spins", "runtime.GC() median ms", "p99", "longest", "another tenant's event median ms", "p99", "longest")
	for _, g := range []struct{ language, file string }{{"C", "c/bench"}, {"Go", "go/heddle"}} {
		code, err := b.guest(ctx, g.file)
		if err != nil {
			r.leave(g.language, err)
			continue
		}
		for _, n := range []int{1, half} {
			who := fmt.Sprintf("%d in %s", n, g.language)
			b.logf("safepoints: deadlines, %s", who)
			list, err := b.overruns(ctx, code, n)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", g.language, err)
			}
			over.row(who, len(list), median(list), percentile(list, 0.99), percentile(list, 1))
			if n == half {
				r.below(fmt.Sprintf("an infinite loop (%s): ended after its deadline, p99", who), percentile(list, 0.99), "ms", 5)
			}
		}
		for _, n := range []int{0, half} {
			who := fmt.Sprintf("%d in %s", n, g.language)
			b.logf("safepoints: others, %s", who)
			seen, err := b.beside(ctx, code, n, 0)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", g.language, err)
			}
			others.row(seen.row(fmt.Sprintf("%d guests in %s", n, g.language))...)
			if n == half {
				r.below(fmt.Sprintf("runtime.GC() while guests spin (%s), p99", who), percentile(seen.collections, 0.99), "ms", 5)
				r.below(fmt.Sprintf("another tenant's event while guests spin (%s), p99", who), percentile(seen.events, 0.99), "ms", 5)
			}
		}
		b.logf("safepoints: others, %d goroutines", half)
		seen, err := b.beside(ctx, code, 0, half)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", g.language, err)
		}
		others.row(seen.row(fmt.Sprintf("%d goroutines of Go itself; the other tenant in %s", half, g.language))...)
	}
	r.note("Guests spin on half of the %d processors. In the second table they are brought events by their tenant until their deadline of 50 ms ends them, and again; meanwhile runtime.GC() runs each 20 ms, and another tenant's plugin gets an event each millisecond, whose time counts from when it was due. Rows without guests that spin tell what the machine and Go's scheduler do by themselves: those of Go's own goroutines can be interrupted anywhere.", runtime.GOMAXPROCS(0))
	return r, nil
}

// observed is what others have seen, in milliseconds.
type observed struct{ collections, events []float64 }

func (o *observed) row(what string) []any {
	row := []any{what}
	for _, list := range [][]float64{o.collections, o.events} {
		row = append(row, median(list), percentile(list, 0.99), percentile(list, 1))
	}
	return row
}

// beside lets so many guests spin for a while, or goroutines in Go, and measures what
// else happens.
func (b *Bench) beside(ctx context.Context, code []byte, guests, goroutines int) (*observed, error) {
	h, err := newHost(b.engine, newCells(), func(c *host.Config) { c.BreakFrom = 1 << 30 })
	if err != nil {
		return nil, err
	}
	defer h.Close()
	if _, err := deployed(ctx, h, "spin", manifest.Stateless, code, spinLimits); err != nil {
		return nil, err
	}
	calm, err := bundle("calm", manifest.Pooled, code, "")
	if err != nil {
		return nil, err
	}
	other := &plugin{host: h, tenant: "other", name: "calm"}
	if err := other.deploy(ctx, calm); err != nil {
		return nil, err
	}
	running, stop := context.WithTimeout(ctx, short(b, 10*time.Second, 400*time.Millisecond))
	defer stop()
	var wg sync.WaitGroup
	for i := range guests {
		wg.Go(func() { // ends with running, or 100 ms later
			p := &plugin{host: h, tenant: tenant, name: "spin"}
			for running.Err() == nil {
				_ = p.ask(running, fmt.Sprint("user", i), "bench:spin", nil) // is to fail
			}
		})
	}
	for range goroutines {
		wg.Go(func() { // ends with running
			for n := 1; n != 0; n++ {
				if n%1_000_000 == 0 && running.Err() != nil {
					return
				}
			}
		})
	}
	seen := &observed{}
	wg.Go(func() { // ends with running
		for pause(running, 20*time.Millisecond) == nil {
			began := time.Now()
			runtime.GC()
			seen.collections = append(seen.collections, millis(time.Since(began)))
		}
	})
	err = other.paced(running, time.Millisecond, &seen.events)
	stop()
	wg.Wait()
	return seen, errors.Join(err, ctx.Err())
}

// paced brings an event at fixed times, and notes how long after its time it was done.
func (p *plugin) paced(ctx context.Context, every time.Duration, out *[]float64) error {
	for due := time.Now(); ; due = due.Add(every) {
		if err := pause(ctx, time.Until(due)); err != nil {
			return nil
		}
		if err := p.ask(ctx, "ann", "bench:noop", nil); ctx.Err() != nil {
			return nil
		} else if err != nil {
			return err
		}
		*out = append(*out, millis(time.Since(due)))
	}
}

// overruns lets so many guests spin at once, each again and again, and notes how long
// after its deadline each was ended, in milliseconds.
func (b *Bench) overruns(ctx context.Context, code []byte, spinners int) (list []float64, err error) {
	limits, err := defaults[guest.Limits]()
	if err != nil {
		return nil, err
	}
	limits.Timeout, limits.Fuel, limits.Start = spinDeadline, 1<<40, time.Minute
	p, err := b.engine.Compile(ctx, code, guest.Plan{Limits: limits, Host: nowhere{}})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	var wg sync.WaitGroup
	lists, errs := make([][]float64, spinners), make([]error, spinners)
	for s := range spinners {
		wg.Go(func() { // ends after so many deadlines
			for range short(b, 200, 5) {
				late, err := overrun(ctx, p)
				if err != nil {
					errs[s] = err
					return
				}
				lists[s] = append(lists[s], late)
			}
		})
	}
	wg.Wait()
	return slices.Concat(lists...), errors.Join(errs...)
}

func overrun(ctx context.Context, p *guest.Program) (float64, error) {
	i, err := p.New(ctx)
	if err != nil {
		return 0, err
	}
	defer i.Close()
	var out guest.Output
	began := time.Now()
	err = i.Run(oneEvent("bench:spin"), &out)
	took := time.Since(began)
	var trap *guest.Trap
	if !errors.As(err, &trap) || trap.Reason != guest.TrapDeadline {
		return 0, fmt.Errorf("an infinite loop ended otherwise: %w", err)
	}
	return millis(took - spinDeadline), ctx.Err()
}

func millis(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
