package timer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/runtime/cell"
	"github.com/heddle-rt/heddle/runtime/cell/celltest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig has timers that run, and what has fired.
type rig struct {
	*Timers
	cells *celltest.Store
	mu    sync.Mutex
	fired []string
	fails error
	start time.Time
	stop  func()
	gone  bool
	busy  bool
	rate  float64
	given []string
	ids   []string
	left  *int64 // bytes that may be written; nil: no bound
	t     *testing.T
	again time.Duration // a timer that fires is set again; 0: it is not
}

// Set sets a timer, and waits for that.
func (r *rig) Set(tenant, plugin, name string, in time.Duration, payload []byte, limit int) error {
	return r.changed(tenant, plugin, limit, Change{Name: name, Delay: in, Payload: payload})
}

// Cancel takes one back, likewise.
func (r *rig) Cancel(tenant, plugin, name string) error {
	return r.changed(tenant, plugin, 0, Change{Name: name, Cancel: true})
}

func (r *rig) changed(tenant, plugin string, limit int, list ...Change) error {
	out := make(chan error, 1)
	r.Soon(tenant, plugin, limit, list, func(err error) { out <- err })
	return <-out
}

func (r *rig) begin() {
	r.Timers = New(Deps{
		Cells: r.cells, Log: slog.New(slog.DiscardHandler), Now: time.Now,
		Fire: func(_ context.Context, f Firing) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			if r.again > 0 && len(r.fired) < 5000 {
				_ = r.Set("acme", "bot", f.Name, r.again-1, f.Payload, 3)
			}
			r.ids = append(r.ids, f.ID+" "+strconv.FormatInt(f.Due.UnixMilli()-r.start.UnixMilli(), 10))
			r.fired = append(r.fired, fmt.Sprintf("%s %s after %v", f.Name, f.Payload, time.Since(r.start).Round(time.Second)))
			return r.fails
		},
		There: func(string, string) bool { return !r.gone }, Busy: func(error) bool { return r.busy },
		GivenUp: func(f Firing, tries int, err error) {
			r.given = append(r.given, fmt.Sprintf("%s of %s after %d: %v", f.Name, f.Plugin, tries, err))
		},
		Rate: func(string) float64 { return r.rate },
		Writes: func(_ string, n int64) bool {
			if r.left != nil {
				*r.left -= n
			}
			return r.left == nil || *r.left >= 0
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
		r := &rig{cells: &celltest.Store{}, start: time.Now(), rate: 100}
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
		if r.Count() != 0 || r.cells.Len() != 0 {
			t.Errorf("%d are set, %d are kept", r.Count(), r.cells.Len())
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
		if r.log(); len(r.fired) != maxTries || r.Count() != 0 || r.cells.Len() != 0 {
			t.Errorf("tried %d times, %d are set", len(r.fired), r.Count())
		}
		if got, want := strings.Join(r.given, ", "), "x of bot after 20: away"; got != want {
			t.Errorf("told %q, want %q", got, want)
		}
	})
}

func TestInvalid(t *testing.T) {
	inTime(t, func(t *testing.T, r *rig) {
		for _, err := range []error{
			r.Set("a", "p", "", 0, nil, 1), r.Set("a", "p", strings.Repeat("x", 129), 0, nil, 1), r.Set("a", "p", "x", -1, nil, 1),
			r.Set("a", "p", "x", MaxDelay+1, nil, 1), r.Set("a", "p", "x", 0, make([]byte, MaxPayload+1), 1),
		} {
			if !errors.Is(err, ErrInvalid) {
				t.Error(err)
			}
		}
	})
}

// TestBusy: a plugin that is not asked at all uses up none of its tries.
func TestBusy(t *testing.T) {
	inTime(t, func(t *testing.T, r *rig) {
		r.fails, r.busy = errors.New("broken"), true
		r.set(t, "x", time.Second)
		time.Sleep(5 * time.Hour)
		r.log()
		if n := len(r.fired); n < 5*59 || n > 5*61+10 || r.Count() != 1 || len(r.given) != 0 {
			t.Errorf("tried %d times, %d are set, %q", n, r.Count(), r.given)
		}
		r.mu.Lock()
		r.fails = nil
		r.mu.Unlock()
		time.Sleep(2 * time.Minute)
		if r.log(); r.Count() != 0 || r.cells.Len() != 0 || r.Fired.Load() != 1 {
			t.Errorf("%d are set, %d have fired", r.Count(), r.Fired.Load())
		}
	})
}

// TestRate: a timer that sets itself again at once fires so many times a second, and so
// do many that are due together; none is lost.
func TestRate(t *testing.T) {
	inTime(t, func(t *testing.T, r *rig) {
		r.again = 1
		r.set(t, "self", 0)
		time.Sleep(10 * time.Second)
		r.mu.Lock()
		n := len(r.fired)
		r.again = 0
		r.mu.Unlock()
		if n < 900 || n > 1010 {
			t.Errorf("it fired %d times in 10 s", n)
		}
		time.Sleep(time.Second)
		before := r.Fired.Load()
		for i := range 500 {
			if err := r.Set("acme", "bot", fmt.Sprint(i), 0, nil, 1000); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 100 { // taken back, or set again, while they wait
			if err := r.Set("acme", "bot", fmt.Sprint(400+i), 0, nil, 1000); err != nil {
				t.Fatal(err)
			}
			if err := r.Cancel("acme", "bot", fmt.Sprint(300+i)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Second)
		if n := r.Fired.Load() - before; n < 190 || n > 215 {
			t.Errorf("%d of those due at once fired in 2 s", n)
		}
		time.Sleep(10 * time.Second)
		// A few may have fired before they were taken back, or set again.
		if n := r.Fired.Load() - before; n < 400 || n > 420 || r.Count() != 0 || r.cells.Len() != 0 || len(r.queue) != 0 {
			t.Errorf("%d fired in the end, %d are set", n, r.Count())
		}
	})
}

// TestPayloadsAreOnDisk until their timers fire.
func TestPayloadsAreOnDisk(t *testing.T) {
	inTime(t, func(t *testing.T, r *rig) {
		r.set(t, "x", time.Second)
		if err := r.cells.PutCellsSoon("acme", "timer/bot", cell.Cell{Key: "x", Value: pack(0, 0, []byte("from the disk"))}); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Second)
		if got, want := r.log(), "x from the disk after 1s"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

// TestGone: a plugin that was removed leaves no timers behind, not even by a call that is
// under way; those of one whose tenant is away are kept.
func TestGone(t *testing.T) {
	inTime(t, func(t *testing.T, r *rig) {
		r.set(t, "x", time.Hour)
		r.gone = true
		r.Unload(func(tenant, plugin string) bool { return tenant == "acme" && plugin == "bot" })
		if r.Count() != 0 || len(r.queue) != 0 || r.cells.Len() != 1 {
			t.Errorf("unloaded: %d are set, %d kept", r.Count(), r.cells.Len())
		}
		if err := r.Load(t.Context(), "acme", "bot"); err != nil || r.Count() != 0 {
			t.Errorf("%v; %d are loaded of one that is gone", err, r.Count())
		}
		r.gone = false
		if err := r.Load(t.Context(), "acme", "bot"); err != nil || r.Count() != 1 {
			t.Errorf("%v; %d are loaded", err, r.Count())
		}
		r.cells.Set("acme", "timer/bot", "not loaded", pack(0, 0, nil))
		r.gone = true
		if err := r.Drop(t.Context(), "acme", "bot"); err != nil {
			t.Error(err)
		}
		if err := r.Set("acme", "bot", "y", time.Hour, nil, 3); !errors.Is(err, ErrGone) {
			t.Errorf("set after that: %v", err)
		}
		if r.Count() != 0 || r.cells.Len() != 0 || len(r.owners) != 0 {
			t.Errorf("dropped: %d are set, %d kept", r.Count(), r.cells.Len())
		}
	})
}

// TestFirings: what a firing is known by, and when it was due, is the same however often
// it is tried, also when the node has begun again; when the timer is set again, be it for
// the same moment and while it fires, it is another one.
func TestFirings(t *testing.T) {
	inTime(t, func(t *testing.T, r *rig) {
		r.fails = errors.New("away")
		r.set(t, "x", time.Second)
		time.Sleep(2500 * time.Millisecond) // tried after 1 and 2 s
		r.stop()
		r.begin()
		r.log()
		r.mu.Lock()
		r.fails, r.again = nil, 1 // it sets itself again in the millisecond in which it fires
		r.mu.Unlock()
		time.Sleep(1050 * time.Millisecond)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.again = 0
		if len(r.ids) < 6 {
			t.Fatal(r.ids)
		}
		for i, id := range r.ids[:4] {
			if id != r.ids[0] || !strings.HasSuffix(id, " 1000") {
				t.Errorf("try %d: %s, the first %s", i, id, r.ids[0])
			}
		}
		others := slices.Clone(r.ids[3:])
		for i := range others {
			others[i], _, _ = strings.Cut(others[i], " ")
		}
		slices.Sort(others)
		if n := len(others); len(slices.Compact(others)) != n {
			t.Errorf("two of %d have one id: %v", n, r.ids)
		}
	})
}

// TestCost: what is paid for a timer is what is written of it, and what removes it. Setting
// one takes nothing: whoever wants it has paid.
func TestCost(t *testing.T) {
	inTime(t, func(t *testing.T, r *rig) {
		want := cell.Cost("x", pack(0, 0, []byte(`{}`))) + cell.Cost("x", nil)
		if got := Cost("x", []byte(`{}`)); got != want {
			t.Errorf("%d, want %d", got, want)
		}
		left := want
		r.left = &left
		if !r.Pay("acme", want) || r.Pay("acme", 1) {
			t.Errorf("%d are left", left)
		}
		r.set(t, "x", time.Second)
		time.Sleep(2 * time.Second)
		if got, want := r.log(), "x {} after 1s"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

// TestFirstFailure: a plugin that was busy for long, and then fails, is asked again as soon
// as any other.
func TestFirstFailure(t *testing.T) {
	inTime(t, func(t *testing.T, r *rig) {
		r.fails, r.busy = errors.New("away"), true
		r.set(t, "x", time.Second)
		time.Sleep(5 * time.Hour)
		r.log()
		r.mu.Lock()
		r.fired, r.busy = nil, false
		r.mu.Unlock()
		time.Sleep(62 * time.Second) // it is tried within a minute, then after 1, 2, 4, 8, … s
		first := r.log()
		time.Sleep(10 * time.Second)
		if r.log(); len(r.fired) < 4 {
			t.Errorf("tried %d times, first %s", len(r.fired), first)
		}
		r.mu.Lock()
		r.fired, r.busy = nil, true // and one that is busy again likewise: 1, 2, 4, … s, then each minute
		r.mu.Unlock()
		time.Sleep(15 * time.Minute)
		if r.log(); len(r.fired) < 18 {
			t.Errorf("tried %d times while it is busy", len(r.fired))
		}
	})
}
