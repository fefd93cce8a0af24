package timer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/runtime/cell"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cells is a cell.Store in memory, as far as timers need one.
type cells struct {
	mu sync.Mutex
	m  map[string][]byte
}

func (c *cells) Cell(context.Context, string, string, string) ([]byte, bool, error) {
	return nil, false, nil
}

func (c *cells) Cells(_ context.Context, tenant, table, _ string, _ int) (out []cell.Cell, _ error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, v := range c.m {
		if name, ok := strings.CutPrefix(k, tenant+"|"+table+"|"); ok {
			out = append(out, cell.Cell{Key: name, Value: v})
		}
	}
	return out, nil
}

func (c *cells) PutCells(_ context.Context, tenant, table string, list ...cell.Cell) error {
	return c.PutCellsSoon(tenant, table, list...)
}

func (c *cells) PutCellsSoon(tenant, table string, list ...cell.Cell) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, x := range list {
		if k := tenant + "|" + table + "|" + x.Key; x.Value == nil {
			delete(c.m, k)
		} else {
			c.m[k] = x.Value
		}
	}
	return nil
}

// rig has timers that run, and what has fired.
type rig struct {
	*Timers
	cells *cells
	mu    sync.Mutex
	fired []string
	fails error
	start time.Time
	stop  func()
}

func (r *rig) begin() {
	r.Timers = New(Deps{
		Cells: r.cells, Log: slog.New(slog.DiscardHandler), Now: time.Now,
		Fire: func(_ context.Context, f Firing) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.fired = append(r.fired, fmt.Sprintf("%s %s after %v", f.Name, f.Payload, time.Since(r.start).Round(time.Second)))
			return r.fails
		},
	})
	_ = r.Load(context.Background(), "acme", "bot")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = r.Run(ctx) }() // ended by stop
	r.stop = func() { cancel(); <-done }
}

func (r *rig) log() string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.fired, ", ")
}

func (r *rig) set(t *testing.T, name string, in time.Duration) {
	t.Helper()
	if err := r.Set("acme", "bot", name, in, []byte(`{}`), 3); err != nil {
		t.Error(err)
	}
}

func inTime(t *testing.T, f func(t *testing.T, r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{cells: &cells{m: map[string][]byte{}}, start: time.Now()}
		r.begin()
		f(t, r)
		r.stop()
	})
}

func TestFire(t *testing.T) {
	inTime(t, func(t *testing.T, r *rig) {
		r.set(t, "b", 3*time.Second)
		r.set(t, "a", time.Second)
		r.set(t, "c", 2*time.Second)
		if err := r.Set("acme", "bot", "d", time.Second, nil, 3); !errors.Is(err, ErrTooMany) {
			t.Error(err)
		}
		r.set(t, "a", 4*time.Second) // in the place of the first
		if err := r.Cancel("acme", "bot", "c"); err != nil {
			t.Error(err)
		}
		time.Sleep(10 * time.Second)
		if got, want := r.log(), "b {} after 3s, a {} after 4s"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if r.Count() != 0 || len(r.cells.m) != 0 {
			t.Errorf("%d are set, %d are kept", r.Count(), len(r.cells.m))
		}
	})
}

func TestRestart(t *testing.T) {
	inTime(t, func(t *testing.T, r *rig) {
		r.set(t, "early", 5*time.Second)
		r.set(t, "late", time.Minute)
		r.stop()
		time.Sleep(10 * time.Second)
		r.begin()
		if got, want := r.log(), "early {} after 10s"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		time.Sleep(time.Minute)
		if got, want := r.log(), "early {} after 10s, late {} after 1m0s"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

func TestFailing(t *testing.T) {
	inTime(t, func(t *testing.T, r *rig) {
		r.fails = errors.New("away")
		r.set(t, "x", time.Second)
		time.Sleep(4500 * time.Millisecond)
		if got, want := r.log(), "x {} after 1s, x {} after 2s, x {} after 4s"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		time.Sleep(5 * time.Hour)
		if r.log(); len(r.fired) != maxTries || r.Count() != 0 || len(r.cells.m) != 0 {
			t.Errorf("tried %d times, %d are set", len(r.fired), r.Count())
		}
	})
}

func TestInvalid(t *testing.T) {
	r := New(Deps{Cells: &cells{m: map[string][]byte{}}, Now: time.Now})
	for _, err := range []error{
		r.Set("a", "p", "", 0, nil, 1), r.Set("a", "p", strings.Repeat("x", 129), 0, nil, 1), r.Set("a", "p", "x", -1, nil, 1),
		r.Set("a", "p", "x", MaxDelay+1, nil, 1), r.Set("a", "p", "x", 0, make([]byte, MaxPayload+1), 1),
	} {
		if !errors.Is(err, ErrInvalid) {
			t.Error(err)
		}
	}
}
