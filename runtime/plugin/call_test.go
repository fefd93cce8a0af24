package plugin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/pool"
	"github.com/heddle-rt/heddle/plugins/timer"
	"github.com/heddle-rt/heddle/runtime/event"
)

// TestFiringComesAgain: when one thing that a firing wants fails, and it comes again, what
// it has emitted before has the same keys, and nothing else was done; another firing's
// are others.
func TestFiringComesAgain(t *testing.T) {
	r := newRig(t, before)
	v := r.host.For("acme").Named("cases").Choose("x")
	defer v.Release()
	emit := func(text string) hostapi.Action {
		return hostapi.Action{Kind: hostapi.Emit, Flags: hostapi.EmitDurable, A: []byte("conv:1"), B: []byte("order:due"), C: []byte(`{"text":"` + text + `"}`)}
	}
	wants := []hostapi.Action{emit("a"), {Kind: hostapi.SetTimer, A: []byte("again"), Number: 1}, emit("b")}
	var said []string
	fails := errors.New("away")
	r.Service.deps.Emit = func(_ context.Context, e event.Effect) error {
		if said = append(said, e.Key); strings.Contains(string(e.Data), "b") {
			return fails
		}
		return nil
	}
	fire := func(id string) (err error) {
		c := firing(timer.Firing{Tenant: "acme", Plugin: "cases", Name: "bell", ID: id, Due: time.Now()})
		c.service, c.version = r.Service, v
		said, r.outside.said = nil, nil
		if err := c.Check(t.Context(), &pool.Job{Actions: wants}); err != nil {
			t.Fatal(err)
		}
		return c.do(t.Context())
	}
	for range 2 {
		if err := fire("f1"); !errors.Is(err, fails) {
			t.Error(err)
		}
		if got := fmt.Sprint(said, r.outside.said); got != "[#timer.cases.f1.0 #timer.cases.f1.1] []" {
			t.Errorf("it failed, and did %s", got)
		}
	}
	fails = nil
	if err := fire("f2"); err != nil {
		t.Error(err)
	}
	if got := fmt.Sprint(said, r.outside.said); got != "[#timer.cases.f2.0 #timer.cases.f2.1] [set again in 1: ]" {
		t.Error(got)
	}
}

// TestAfterBytes: what waits for hooks that no event waits for is bounded in bytes, and
// what is not called is counted.
func TestAfterBytes(t *testing.T) {
	r := newRig(t, "bindings: [{hooks: [after], actions: ['case:*']}]\n")
	a := NewAfter(r.Service)
	ev := r.event("case:nothing", `{"text":"`+strings.Repeat("x", 64<<10)+`"}`)
	const offered = afterBytes / (64 << 10)
	for range offered {
		if _, err := a.Process(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
	}
	waiting := a.queue.Rest()
	for _, n := range waiting {
		n.version.Release()
	}
	// One tenant has half of it, and each call counts some bytes beside the payload.
	if n := len(waiting); n < offered/2-10 || n >= offered/2 || a.Missed.Load() != uint64(offered-n) {
		t.Errorf("%d of %d wait, %d are missed", n, offered, a.Missed.Load())
	}
}

// TestTimersArePaidFor where what a call wants is checked: if it cannot be, the call fails
// as one whose keys cannot be written, and what it wants does not happen. Who is checked
// again has paid, unless it wants more.
func TestTimersArePaidFor(t *testing.T) {
	r := newRig(t, before)
	v := r.host.For("acme").Named("cases").Choose("x")
	defer v.Release()
	set := func(name string) hostapi.Action {
		return hostapi.Action{Kind: hostapi.SetTimer, A: []byte(name), C: []byte("payload"), Number: 1}
	}
	one := timer.Cost("a", []byte("payload"))
	for name, check := range map[string]func(...hostapi.Action) error{
		"an event": func() func(...hostapi.Action) error {
			c := change{wants: wants{service: r.Service, version: v, hook: hostapi.HookBefore}, ev: r.event("message:send", `{}`)}
			return func(wants ...hostapi.Action) error { return c.check(t.Context(), wants) }
		}(),
		"a hook": func() func(...hostapi.Action) error {
			c := firing(timer.Firing{Tenant: "acme", Plugin: "cases", Name: "bell"})
			c.service, c.version = r.Service, v
			return func(wants ...hostapi.Action) error { return c.Check(t.Context(), &pool.Job{Actions: wants}) }
		}(),
	} {
		r.outside = outside{poor: true}
		err := check(set("a"))
		if f := (*pool.Failure)(nil); !errors.As(err, &f) || f.Reason != pool.ReasonStore || f.Why != timer.ErrWrites.Error() {
			t.Errorf("%s: %v", name, err)
		}
		r.outside = outside{}
		for _, wants := range [][]hostapi.Action{{}, {set("a")}, {set("a")}, {set("a"), set("b")}, {set("b")}} {
			if err := check(wants...); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got, want := fmt.Sprint(r.outside.paid, r.outside.said), fmt.Sprint([]int64{one, one}, []string{}); got != want {
			t.Errorf("%s: paid %s, want %s", name, got, want)
		}
	}
}
