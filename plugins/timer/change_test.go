package timer

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func later(name string) Change { return Change{Name: name, Delay: time.Hour} }

func back(name string) Change { return Change{Name: name, Cancel: true} }

// names are the timers that are set, as they are kept.
func (r *rig) names() string {
	var out []string
	list, _ := r.cells.Cells(r.t.Context(), "acme", "timer/bot", "", 100)
	for _, c := range list {
		out = append(out, c.Key)
	}
	return strings.Join(out, " ")
}

// TestChanges: what one call wants is one write, in its order, and one error says what of
// it cannot be.
func TestChanges(t *testing.T) {
	for name, c := range map[string]struct {
		list []Change
		set  string
		err  string
	}{
		"several":              {[]Change{later("b"), later("c")}, "a b c", ""},
		"set again":            {[]Change{later("a"), later("b"), later("b")}, "a b", ""},
		"set and taken back":   {[]Change{later("b"), back("b")}, "a", ""},
		"taken back and set":   {[]Change{back("a"), later("a")}, "a", ""},
		"no such timer":        {[]Change{back("x")}, "a", ""},
		"room made before":     {[]Change{back("a"), later("b"), later("c"), later("d")}, "b c d", ""},
		"room made behind":     {[]Change{later("b"), later("c"), later("d"), back("a")}, "b c", `set_timer "d": ` + ErrTooMany.Error()},
		"some cannot be":       {[]Change{later(""), {Name: "b", Delay: -1}, later("c"), later("d"), later("e")}, "a c d", `set_timer "": ` + ErrInvalid.Error() + "; and 2 other timers of this call are not set"},
		"none, nothing to say": {nil, "a", ""},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(t *testing.T, r *rig) {
				r.t = t
				r.set(t, "a", time.Hour)
				writes := 0
				r.cells.Writes = func(string) error { writes++; return nil }
				err := r.changed("acme", "bot", 3, c.list...)
				if got := fmt.Sprint(err); err == nil && c.err != "" || err != nil && got != c.err {
					t.Errorf("%v, want %q", err, c.err)
				}
				if got := r.names(); got != c.set || r.Count() != len(strings.Fields(c.set)) || writes > 1 {
					t.Errorf("set %q, %d, by %d writes; want %q", got, r.Count(), writes, c.set)
				}
			})
		})
	}
}

// TestChangesAreWhole: what the store does not take changes nothing.
func TestChangesAreWhole(t *testing.T) {
	inTime(t, func(t *testing.T, r *rig) {
		r.t = t
		r.set(t, "a", time.Hour)
		away := errors.New("away")
		r.cells.Away(away)
		err := r.changed("acme", "bot", 3, back("a"), later("b"))
		r.cells.Away(nil)
		if got := r.log(); !errors.Is(err, away) || r.names() != "a" || r.Count() != 1 || got != "" {
			t.Errorf("%v, %q are set, %d, fired %q", err, r.names(), r.Count(), got)
		}
	})
}

// TestSoon: while a write takes its time, nobody waits for it who wants changes; each
// tenant's are made in their order, too many are refused, and what waits at the end is made.
func TestSoon(t *testing.T) {
	inTime(t, func(t *testing.T, r *rig) {
		r.t = t
		held, release := make(chan struct{}), make(chan struct{})
		var first atomic.Bool
		first.Store(true)
		r.cells.Writes = func(string) error {
			if first.Swap(false) {
				close(held)
				<-release
			}
			return nil
		}
		var made, refused atomic.Int64
		soon := func(list ...Change) {
			r.Soon("acme", "bot", 1000, list, func(err error) {
				if errors.Is(err, ErrBusy) {
					refused.Add(1)
				}
				made.Add(1)
			})
		}
		soon(later("a"))
		<-held
		for i := range 100 {
			soon(later("b"), back("c"))
			if soon(back("b"), later("c")); i == 99 {
				soon(later("d"))
			}
		}
		large := Change{Name: "large", Delay: time.Hour, Payload: make([]byte, MaxPayload)}
		const most = soonBytes / 2 / MaxPayload
		for range most + 1 {
			soon(large)
		}
		if made.Load() != refused.Load() || refused.Load() == 0 || refused.Load() > most/10 {
			t.Errorf("%d are over, %d refused", made.Load(), refused.Load())
		}
		ended := make(chan struct{})
		go func() { defer close(ended); r.stop() }() // ended by release
		close(release)
		<-ended
		soon(later("late")) // an event that is completed last
		synctest.Wait()
		if got := r.names(); got != "a c d large late" || made.Load() != 1+201+most+1+1 {
			t.Errorf("%q are set, %d made", got, made.Load())
		}
	})
}
