package guest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest/guesttest"
	"github.com/heddle-rt/heddle/plugins/wasm"
)

// drops has a guest drop a segment: it cannot be captured.
func drops(m *wasm.Module) { m.HasCount = true }

// dropping is code that does, in front of other code.
func dropping(then wat) wat { return wat{}.With(wasm.OpDataDrop, 0).Join(then) }

// TestStartsOnTheRoute: a guest that cannot be captured has the time of a call to initialise
// itself, and no more than there is until an event's deadline, however long the first start
// may last.
func TestStartsOnTheRoute(t *testing.T) {
	e, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	at := time.UnixMilli(0)
	late := wat{}.Call(0).Op(wasm.Op(0xa7)).When(wat{}.Forever(nil)).I32(0) // 0xa7: i32.wrap_i64
	for name, init := range map[string]small{
		"init":  {Imports: []string{"now"}, Init: dropping(late), Change: drops},
		"start": {Imports: []string{"now"}, Init: dropping(wat{}.I32(0)), Start: late.Op(wasm.OpDrop), Change: drops},
	} {
		t.Run(name, func(t *testing.T) {
			plan := Plan{Limits: limits(), Host: &recorder{}, Now: func() time.Time { return at }}
			plan.Limits.Start = time.Hour
			p, err := e.Compile(t.Context(), init.Module(), plan)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = p.Close() }()
			if p.Captured() {
				t.Fatal("it was captured")
			}
			at = time.UnixMilli(1)
			defer func() { at = time.UnixMilli(0) }()
			p.plan.Limits.Timeout = 30 * time.Millisecond
			_, err = p.New(t.Context())
			if err == nil || !strings.Contains(err.Error(), "out of time: a call may last 30ms") {
				t.Error(err)
			}
			p.plan.Limits.Timeout = time.Hour
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			if _, err = p.New(ctx); err == nil || !strings.Contains(err.Error(), "out of time: ") {
				t.Error(err)
			}
		})
	}
}

// TestSlowStartIsRefused, of a guest that cannot be captured, in words that say what to do.
func TestSlowStartIsRefused(t *testing.T) {
	e, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	slow := wat{}.Times(30e6, 2, nil).I32(0)
	for name, c := range map[string]struct {
		guest   small
		timeout time.Duration
		refused bool
	}{
		"slow and not captured":           {small{Init: dropping(slow), Change: drops}, time.Millisecond, true},
		"slow, not captured, and in time": {small{Init: dropping(slow), Change: drops}, time.Minute, false},
		"slow and captured":               {small{Init: slow}, time.Millisecond, false},
	} {
		plan := Plan{Limits: limits(), Host: &recorder{}}
		plan.Limits.Timeout = c.timeout
		p, err := e.Compile(t.Context(), c.guest.Module(), plan)
		switch {
		case err == nil && c.refused:
			t.Errorf("%s: it is taken", name)
		case err != nil && !c.refused:
			t.Errorf("%s: %v", name, err)
		case c.refused && (!strings.Contains(err.Error(), "and limits.timeout is 1ms: ") || !strings.Contains(err.Error(), "the module drops segments") || !strings.Contains(err.Error(), "less in heddle_init")):
			t.Error(err)
		}
		if err == nil {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestManyActions: one event may want so many, and not one more; those of another do not
// count.
func TestManyActions(t *testing.T) {
	for n, want := range map[int]bool{hostapi.MaxActions: true, hostapi.MaxActions + 1: false} {
		other := hostapi.Action{Kind: hostapi.Pass, Record: 1}
		guest := small{Pages: 4, Out: guesttest.FreeAt, OutCap: 64 << 10}
		for range n {
			guest.Actions = append(guest.Actions, hostapi.Action{Kind: hostapi.Pass}, other)
		}
		guest.Actions = guest.Actions[:2*n-1]
		i := started(t, guest, nil)
		var out Output
		err := i.Run(&Call{Host: &recorder{}, Records: append(event(), event()...)}, &out)
		var trap *Trap
		switch {
		case want && (err != nil || len(out.Actions) != 2*n-1):
			t.Errorf("%d: %v", n, err)
		case !want && (!errors.As(err, &trap) || trap.Reason != TrapOutput || trap.Why != "the output has more than 256 actions about one event"):
			t.Errorf("%d: %v", n, err)
		}
	}
}

// TestMoreRecordsThanThereMayBe is the node's fault, and harms nobody.
func TestMoreRecordsThanThereMayBe(t *testing.T) {
	i := started(t, small{}, nil)
	var out Output
	var trap *Trap
	if err := i.Run(&Call{Host: &recorder{}, Records: make([]hostapi.Record, hostapi.MaxBatch+1)}, &out); !errors.As(err, &trap) || trap.Reason != TrapHost {
		t.Error(err)
	}
}
