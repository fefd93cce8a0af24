package pool

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/kv"
	"github.com/heddle-rt/heddle/runtime/cell/celltest"
)

// meddler is a reach with something that happens while a guest looks somebody up.
type meddler struct {
	reach
	meddle func()
}

func (m *meddler) Lookup(context.Context, hostapi.Lookup, string) ([]byte, hostapi.Status) {
	m.meddle()
	return nil, hostapi.NotFound
}

// stored is a pool of the guest in C, with one lane, one slot and a store.
func stored(t *testing.T, quota int64, change func(*Config, *Deps)) (p *Pool, m *meddler, c *celltest.Store) {
	t.Helper()
	m, c = &meddler{meddle: func() {}}, &celltest.Store{Reads: func(ctx context.Context, _ string) error { return ctx.Err() }}
	part, err := kv.New(c, nil).Open(t.Context(), "acme", "p", quota)
	if err != nil {
		t.Fatal(err)
	}
	p, _ = newPoolOf(t, builtC(t), func(cfg *Config, d *Deps) {
		cfg.Lanes, d.Reach, d.KV, d.Slots = 1, m, part, make(Slots, 1)
		if change != nil {
			change(cfg, d)
		}
	})
	return p, m, c
}

// until waits for something that another goroutine does.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// task is a job and who waits for it.
type task struct {
	*Job
	ctx    context.Context
	cancel context.CancelFunc
	action string
	err    error
}

func tasks(t *testing.T, actions ...string) (list []*task) {
	for _, a := range actions {
		n := &task{Job: job(1, a, "{}"), action: a}
		n.Job.Shadow = strings.HasPrefix(a, "shadow ")
		n.Record.Action = strings.TrimPrefix(a, "shadow ")
		n.ctx, n.cancel = context.WithCancel(context.Background())
		t.Cleanup(n.cancel)
		list = append(list, n)
	}
	return list
}

// bring has the tasks be one batch of the only lane, after they have waited and before
// is called.
func bring(t *testing.T, p *Pool, list []*task, before func()) {
	t.Helper()
	p.deps.Slots <- struct{}{}
	var wg sync.WaitGroup
	for i, n := range list {
		wg.Go(func() { n.err = p.Do(n.ctx, n.Job) })
		until(t, "standing in line", func() bool { return p.lanes[0].state() == fmt.Sprint("1 ", i) })
	}
	if before != nil {
		before()
	}
	<-p.deps.Slots
	wg.Wait()
}

func reasons(list []*task) string {
	var out []string
	for _, n := range list {
		out = append(out, n.action+"="+reason(n.err))
	}
	return strings.Join(out, " ")
}

func times(n int, action string) []string { return strings.Fields(strings.Repeat(action+" ", n)) }

// TestBreakerEndsHalving: a batch of events that all fail costs few calls.
func TestBreakerEndsHalving(t *testing.T) {
	p, m, _ := stored(t, 0, func(c *Config, _ *Deps) { c.BreakFrom = 20 })
	list := tasks(t, times(64, "trap")...)
	bring(t, p, list, nil)
	got := map[string]int{}
	for _, n := range list {
		got[reason(n.err)]++
	}
	if got["code"] != 20 || got[ReasonBroken] != 44 || p.Batches.Load() > 60 || p.Opened.Load() != 1 || p.Events.Load() != 20 {
		t.Errorf("%v in %d calls, opened %d times, %d events", got, p.Batches.Load(), p.Opened.Load(), p.Events.Load())
	}
	if lines := strings.Count(m.text(), "failed (code)"); lines != 20 {
		t.Errorf("%d lines", lines)
	}
}

// TestLeavingTheLine: whose time is over does not wait, and the others get their turn.
func TestLeavingTheLine(t *testing.T) {
	for name, gone := range map[string][]int{"who leads": {0}, "the next": {1}, "both": {0, 1}, "in the middle": {2}, "the last": {3}, "all": {0, 1, 2, 3}} {
		t.Run(name, func(t *testing.T) {
			p, _, _ := stored(t, 0, nil)
			list := tasks(t, "count", "count", "count", "count")
			left := map[int]bool{}
			p.deps.Slots <- struct{}{}
			var done []chan struct{}
			for i, n := range list {
				end := make(chan struct{})
				done = append(done, end)
				go func() { defer close(end); n.err = p.Do(n.ctx, n.Job) }() // ends with n's context or its turn
				until(t, "standing in line", func() bool { return p.lanes[0].state() == fmt.Sprint("1 ", i) })
			}
			for _, i := range gone {
				left[i] = true
				list[i].cancel()
				<-done[i] // though the slot is taken
			}
			<-p.deps.Slots
			for i, n := range list {
				<-done[i]
				if want := map[bool]string{true: ReasonBusy}[left[i]]; reason(n.err) != want {
					t.Errorf("%d: %v", i, n.err)
				}
			}
			if got := p.lanes[0].state(); got != "0 0" || len(p.deps.Slots) != 0 || p.Failed.Counts()[ReasonBusy] != uint64(len(gone)) {
				t.Errorf("the lane is %s, %d slots are taken, %v", got, len(p.deps.Slots), p.Failed.Counts())
			}
		})
	}
}

// TestNotRunAgain: who does not wait any more is left out when a batch is halved.
func TestNotRunAgain(t *testing.T) {
	p, m, _ := stored(t, 0, nil)
	list := tasks(t, "trap", "count", "count", "trap")
	m.meddle = func() { list[1].cancel(); list[3].cancel() }
	bring(t, p, list, nil)
	if got := reasons(list); got != "trap=code count=busy count= trap=busy" || p.Batches.Load() != 3 {
		t.Errorf("%s in %d calls", got, p.Batches.Load())
	}
	if got := fmt.Sprint(m.metrics); got != "[counted 1]" {
		t.Errorf("metrics: %s", got)
	}
}

// TestNeighbourGoesAway while the store is read in its name: it costs the others nothing.
func TestNeighbourGoesAway(t *testing.T) {
	p, m, c := stored(t, 0, func(c *Config, _ *Deps) { c.BreakFrom = 1 })
	list := tasks(t, "put", "count")
	m.meddle = func() { list[0].cancel() }
	bring(t, p, list, nil)
	if got := reasons(list); got != "put=busy count=" || c.Len() != 0 || p.Broken() {
		t.Errorf("%s, %d keys, broken: %v", got, c.Len(), p.Broken())
	}
}

// TestWhatTheBreakerCounts, and what tells it nothing.
func TestWhatTheBreakerCounts(t *testing.T) {
	now := time.Now()
	p, _, _ := stored(t, 0, func(c *Config, d *Deps) {
		c.BreakFrom, c.BreakFor, d.Now = 2, time.Second, func() time.Time { return now }
	})
	refuses := errors.New("it may not")
	do := func(action, want string) {
		t.Helper()
		n := tasks(t, action)[0]
		switch action {
		case "refuse":
			n.Job.Checker = checker{refuses}
		case "late":
			n.cancel()
		}
		if got := reason(p.Do(n.ctx, n.Job)); got != want {
			t.Errorf("%s: %q, want %q", action, got, want)
		}
	}
	opened := func(want bool) {
		t.Helper()
		if p.Broken() != want {
			t.Fatalf("open: %v", !want)
		}
	}
	for range 5 {
		do("refuse", ReasonAction)
	}
	opened(false)
	do("trap", "code")
	do("refuse", ReasonAction) // the guest has run well
	do("trap", "code")
	do("late", ReasonBusy)
	opened(false)
	do("trap", "code") // the second in a row
	opened(true)
	do("count", ReasonBroken)
	now = now.Add(1100 * time.Millisecond)
	do("late", ReasonBusy) // it was to try
	opened(true)
	do("refuse", ReasonAction) // so this one does
	opened(false)
	do("trap", "code") // the first in a row
	opened(false)
}

type checker struct{ err error }

func (c checker) Check(context.Context, *Job) error { return c.err }

// other is a call of somebody else's that sets a key, if it may within a moment.
func (m *meddler) other(t *testing.T, part *kv.Part, key string, value []byte) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	var o kv.Overlay
	o.Begin(ctx, part)
	if st := o.Put([]byte(key), value, 0); st != hostapi.OK {
		t.Error(st)
	}
	return o.Commit()
}

// TestAlone: a call has its turn though others are always faster, and what it measures
// counts once.
func TestAlone(t *testing.T) {
	p, m, _ := stored(t, 0, nil)
	var others, waited int
	m.meddle = func() {
		if err := m.other(t, p.deps.KV, "key", fmt.Append(nil, "other ", others)); err != nil {
			waited++
			return
		}
		others++
	}
	list := tasks(t, "put", "count")
	bring(t, p, list, nil)
	if got := reasons(list); got != "put= count=" || others != maxStale || waited != 1 || p.Stale.Load() != maxStale {
		t.Errorf("%s, %d others, %d have waited", got, others, waited)
	}
	if got := fmt.Sprint(m.metrics); got != "[put 1 counted 1]" {
		t.Errorf("metrics: %s", got)
	}
	m.meddle = func() {}
	if err := m.other(t, p.deps.KV, "key", []byte("again")); err != nil {
		t.Error("nobody runs alone any more:", err)
	}
}

// TestAloneInTime: whose time is over while another call runs alone has failed.
func TestAloneInTime(t *testing.T) {
	p, m, c := stored(t, 0, nil)
	c.Reads = nil // deaf to contexts
	n := tasks(t, "put")[0]
	var o kv.Overlay
	m.meddle = func() {
		if err := p.deps.KV.Alone(context.Background(), &o); err != nil {
			t.Error(err)
		}
		n.cancel()
	}
	if err := p.Do(n.ctx, n.Job); reason(err) != ReasonStale || p.Batches.Load() != 1 || c.Len() != 0 {
		t.Errorf("%v, after %d calls there are %d keys", err, p.Batches.Load(), c.Len())
	}
	p.deps.KV.Together(&o)
	m.meddle = func() {}
	if err := p.Do(t.Context(), job(1, "put", "{}")); err != nil || c.Len() != 2 {
		t.Errorf("%v, %d keys", err, c.Len())
	}
}

// TestQuotaOfABatch: others of the batch do not fail since one writes more than there is
// room for by now.
func TestQuotaOfABatch(t *testing.T) {
	p, m, _ := stored(t, 80, nil)
	full := false
	m.meddle = func() {
		if !full {
			full = true
			if err := m.other(t, p.deps.KV, "big", make([]byte, 60)); err != nil {
				t.Error(err)
			}
		}
	}
	list := tasks(t, "count", "put", "count")
	bring(t, p, list, nil)
	if got := reasons(list); got != "count= put= count=" {
		t.Error(got)
	}
	if got := len(m.metrics); got != 3 {
		t.Errorf("metrics: %v", m.metrics)
	}
}

// TestMetricsThatDoNotCount are a shadow's, and those of calls that have failed.
func TestMetricsThatDoNotCount(t *testing.T) {
	p, m, _ := stored(t, 0, nil)
	list := tasks(t, "shadow count", "shadow put", "shadow trap")
	bring(t, p, list, nil)
	list = append(list, tasks(t, "count", "trap", "count", "trap")...)
	bring(t, p, list[3:], nil)
	if got := reasons(list); got != "shadow count= shadow put= shadow trap=code count= trap=code count= trap=code" || fmt.Sprint(m.metrics) != "[counted 1 counted 1]" {
		t.Errorf("%s: %v", got, m.metrics)
	}
}

// TestWrites: events fail when the tenant has written what it may, nothing of theirs is
// kept, and the developer is told why.
func TestWrites(t *testing.T) {
	left := int64(250) // one call writes two keys
	p, m, c := stored(t, 0, nil)
	p.deps.KV = limited(t, c, func(_ string, n int64) bool {
		if n > left {
			return false
		}
		left -= n
		return true
	})
	first := tasks(t, "put")
	bring(t, p, first, nil)
	list := tasks(t, "put", "nothing", "put")
	bring(t, p, list, nil)
	if got := reasons(first) + " " + reasons(list); got != "put= put=store nothing= put=store" || p.Failed.Counts()[ReasonStore] != 2 || string(c.Value("acme", "kv/p", "other")[8:]) != "1" {
		t.Errorf("%s, %v, %v", got, p.Failed.Counts(), c.Value("acme", "kv/p", "other"))
	}
	if !strings.Contains(m.text(), "failed (store): kv: the tenant's plugins write more bytes a second than they may") {
		t.Error(m.text())
	}
}

// TestCheckerThatCannotPay: what fails because something cannot be written is the store's
// failure, of that event alone.
func TestCheckerThatCannotPay(t *testing.T) {
	p, _, _ := stored(t, 0, nil)
	list := tasks(t, "refuse", "count", "refuse")
	for _, n := range list {
		n.Record.Room = ""
	}
	list[0].Checker = checker{&Failure{Reason: ReasonStore, Why: "nothing is left"}}
	bring(t, p, list, nil)
	if got := reasons(list); got != "refuse=store count= refuse=" || len(list[2].Actions) != 1 {
		t.Error(got)
	}
}

// limited is a store with a budget of writes.
func limited(t *testing.T, c *celltest.Store, writes func(string, int64) bool) *kv.Part {
	t.Helper()
	store := kv.New(c, nil)
	store.Writes = writes
	part, err := store.Open(t.Context(), "acme", "p", 0)
	if err != nil {
		t.Fatal(err)
	}
	return part
}
