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
