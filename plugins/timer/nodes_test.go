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

	"github.com/heddle-rt/heddle/runtime/cell/celltest"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// town is a cluster: nodes with the same store, of which one has all timers.
type town struct {
	cells celltest.Store
	start time.Time

	mu    sync.Mutex
	nodes map[string]*villager
	owner string
	fired []string
}

// villager is a node of it.
type villager struct {
	*Timers
	town    *town
	name    string
	fancied bool          // it takes itself to be the owner
	takes   time.Duration // a firing
	hangs   chan struct{}
	stop    func()
}

func (v *villager) Mine(string, string) bool {
	v.town.mu.Lock()
	defer v.town.mu.Unlock()
	return v.fancied || v.town.owner == v.name
}

func (v *villager) Hand(ctx context.Context, _, _ string, b []byte) ([]byte, error) {
	v.town.mu.Lock()
	to := v.town.nodes[v.town.owner]
	v.town.mu.Unlock()
	if to == nil {
		return nil, fault.New(fault.Unavailable, "", "nobody is there")
	}
	return to.Take(ctx, b)
}

func (o *town) join(name string) *villager {
	v := &villager{town: o, name: name}
	v.Timers = New(Deps{
		Cells: &o.cells, Log: slog.New(slog.DiscardHandler), Now: time.Now, Nodes: v,
		Fire: func(ctx context.Context, f Firing) error {
			o.mu.Lock()
			o.fired = append(o.fired, fmt.Sprintf("%s at %s after %v", f.Name, name, time.Since(o.start).Round(time.Second)))
			hangs, takes := v.hangs, v.takes
			o.mu.Unlock()
			time.Sleep(takes) // of the bubble's clock
			if hangs == nil {
				return nil
			}
			<-hangs
			return errors.New("it has died")
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = v.Run(ctx) }() // ended by stop
	v.stop = func() { cancel(); <-done }
	o.mu.Lock()
	defer o.mu.Unlock()
	o.nodes[name] = v
	return v
}

// elect has a node have the timers, and all learn that.
func (o *town) elect(t *testing.T, name string) {
	t.Helper()
	o.mu.Lock()
	o.owner = name
	all := []*villager{}
	for _, v := range o.nodes {
		all = append(all, v)
	}
	o.mu.Unlock()
	for _, v := range all {
		if err := v.Settle(t.Context(), "acme", "bot", false); err != nil {
			t.Error(err)
		}
	}
}

func (o *town) log() string {
	synctest.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(o.fired, ", ")
}

func (v *villager) set(limit int, list ...Change) error {
	out := make(chan error, 1)
	v.Soon("acme", "bot", limit, list, func(err error) { out <- err })
	return <-out
}

func inTown(t *testing.T, f func(t *testing.T, o *town, a, b *villager)) {
	synctest.Test(t, func(t *testing.T) {
		o := &town{start: time.Now(), nodes: map[string]*villager{}}
		a, b := o.join("a"), o.join("b")
		o.elect(t, "a")
		f(t, o, a, b)
		a.stop()
		b.stop()
	})
}

// TestNodesSet: whichever node sets a timer, it fires once, at the node that has it; its
// bound is that of all.
func TestNodesSet(t *testing.T) {
	inTown(t, func(t *testing.T, o *town, a, b *villager) {
		for _, err := range []error{
			a.set(3, Change{Name: "here", Delay: time.Second}),
			b.set(3, Change{Name: "there", Delay: 2 * time.Second}, Change{Name: "never", Delay: time.Second}),
			b.set(3, Change{Name: "never", Cancel: true}),
			a.set(3, Change{Name: "third", Delay: time.Hour}),
		} {
			if err != nil {
				t.Error(err)
			}
		}
		if err := b.set(3, Change{Name: "fourth", Delay: time.Hour}); err == nil || !strings.Contains(err.Error(), ErrTooMany.Error()) {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		if got := o.log(); got != "here at a after 1s, there at a after 2s" {
			t.Error(got)
		}
		if a.Count() != 1 || b.Count() != 0 || o.cells.Len() != 1 {
			t.Errorf("%d and %d are set, %d kept", a.Count(), b.Count(), o.cells.Len())
		}
	})
}

// TestNodesTakeOver: timers go on at the node that has them next; what is set meanwhile
// waits for it.
func TestNodesTakeOver(t *testing.T) {
	inTown(t, func(t *testing.T, o *town, a, b *villager) {
		if err := b.set(3, Change{Name: "x", Delay: 10 * time.Second}); err != nil {
			t.Fatal(err)
		}
		o.elect(t, "nobody")
		set := make(chan error, 1)
		go func() { set <- a.set(3, Change{Name: "y", Delay: time.Second}) }() // ended below
		time.Sleep(2 * time.Second)
		if len(set) != 0 || a.Count() != 0 {
			t.Error("it did not wait")
		}
		o.elect(t, "b")
		if err := <-set; err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		if got := o.log(); got != "y at b after 2s, x at b after 10s" {
			t.Error(got)
		}
		o.elect(t, "nobody")
		if err := a.set(3, Change{Name: "z"}); !fault.Is(err, fault.Unavailable) {
			t.Error(err)
		}
	})
}

// TestTwoOwners: of two nodes that both take themselves to have a timer one fires it.
func TestTwoOwners(t *testing.T) {
	inTown(t, func(t *testing.T, o *town, a, b *villager) {
		for n := range 20 {
			if err := a.set(100, Change{Name: fmt.Sprint("x", n), Delay: time.Second}); err != nil {
				t.Fatal(err)
			}
		}
		o.mu.Lock()
		a.fancied, a.takes, b.takes = true, 50*time.Millisecond, 70*time.Millisecond
		o.mu.Unlock()
		o.elect(t, "b")
		time.Sleep(time.Minute)
		here, there := strings.Count(o.log(), " at a "), strings.Count(o.log(), " at b ")
		if here == 0 || there == 0 || here+there != 20 {
			t.Errorf("%d have fired here, %d there: %s", here, there, o.log())
		}
		if a.Count()+b.Count()+o.cells.Len() != 0 {
			t.Errorf("%d and %d are set, %d kept", a.Count(), b.Count(), o.cells.Len())
		}
	})
}

// TestDeadWhileItFires: what a node that died was firing fires at the next one, when the
// first one would have been done.
func TestDeadWhileItFires(t *testing.T) {
	inTown(t, func(t *testing.T, o *town, a, b *villager) {
		if err := a.set(3, Change{Name: "x", Delay: time.Second}); err != nil {
			t.Fatal(err)
		}
		o.mu.Lock()
		a.hangs = make(chan struct{})
		o.mu.Unlock()
		time.Sleep(2 * time.Second)
		o.elect(t, "b")
		time.Sleep(time.Minute)
		if got := o.log(); got != "x at a after 1s, x at b after 31s" {
			t.Error(got)
		}
		close(a.hangs)
	})
}

// TestSetLate: what the node before has set when it was that no more fires, once it is
// looked for.
func TestSetLate(t *testing.T) {
	inTown(t, func(t *testing.T, o *town, a, b *villager) {
		o.mu.Lock()
		a.fancied = true
		o.mu.Unlock()
		o.elect(t, "b")
		if err := a.set(3, Change{Name: "x", Delay: time.Minute}); err != nil {
			t.Fatal(err)
		}
		o.mu.Lock()
		a.fancied = false
		o.mu.Unlock()
		o.elect(t, "b")
		if a.Count() != 0 || b.Count() != 0 {
			t.Errorf("%d and %d are set", a.Count(), b.Count())
		}
		if err := b.Settle(t.Context(), "acme", "bot", true); err != nil || b.Count() != 1 {
			t.Errorf("%v; %d are set", err, b.Count())
		}
		time.Sleep(2 * time.Minute)
		if got := o.log(); got != "x at b after 1m0s" {
			t.Error(got)
		}
	})
}
