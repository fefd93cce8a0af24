package plugins

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"
)

// contestant is one of several that are compared.
type contestant struct {
	name string
	run  func(n int) error // n operations
}

// took is how long an operation of a contestant takes.
type took struct {
	name              string
	median, low, high float64 // nanoseconds, of the rounds
	allocs            float64 // of Go's heap
	rounds            []float64
}

// inTurns measures contestants, round by round.
func (b *Bench) inTurns(ctx context.Context, list []contestant) ([]took, error) {
	out := make([]took, len(list))
	each := make([]int, len(list))
	round := short(b, 100*time.Millisecond, 3*time.Millisecond)
	for i, c := range list {
		var err error
		if each[i], err = calibrate(c.run, round); err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		out[i].name = c.name
	}
	for r := range b.Reps {
		for k := range list {
			i := (k + r) % len(list) // nobody is always behind the same one
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			var before, after runtime.MemStats
			runtime.GC()                                        // of what others have left
			if err := list[i].run(1 + each[i]/10); err != nil { // so that it is warm
				return nil, fmt.Errorf("%s: %w", list[i].name, err)
			}
			runtime.ReadMemStats(&before)
			began := time.Now()
			if err := list[i].run(each[i]); err != nil {
				return nil, fmt.Errorf("%s: %w", list[i].name, err)
			}
			ns := float64(time.Since(began).Nanoseconds()) / float64(each[i])
			runtime.ReadMemStats(&after)
			out[i].rounds = append(out[i].rounds, ns)
			out[i].allocs = float64(after.Mallocs-before.Mallocs) / float64(each[i])
		}
	}
	for i := range out {
		out[i].median, out[i].low, out[i].high = median(out[i].rounds), slices.Min(out[i].rounds), slices.Max(out[i].rounds)
	}
	return out, nil
}

// calibrate finds how many operations last about so long.
func calibrate(run func(n int) error, d time.Duration) (int, error) {
	for n := 1; ; n *= 4 {
		began := time.Now()
		if err := run(n); err != nil {
			return 0, err
		}
		if t := time.Since(began); t >= d/8 || n > 1<<28 {
			return max(1, int(float64(n)*float64(d)/float64(max(t, 1)))), nil
		}
	}
}

// ratio is the median of what one took divided by what another took in the same round.
func ratio(a, b *took) float64 {
	list := make([]float64, len(a.rounds))
	for i := range list {
		list[i] = a.rounds[i] / b.rounds[i]
	}
	return median(list)
}

// added is the median of what one took more than another in the same round.
func added(a, b *took) float64 {
	list := make([]float64, len(a.rounds))
	for i := range list {
		list[i] = a.rounds[i] - b.rounds[i]
	}
	return median(list)
}

func median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(list))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}

// percentile is the value below which so much of a list lies.
func percentile(list []float64, p float64) float64 {
	if len(list) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(list))
	return s[min(len(s)-1, int(p*float64(len(s))))]
}

func (t *took) spread() string { return figure(t.low) + "–" + figure(t.high) }
