package guest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
)

// text runs one event and returns what the guest has to say about it.
func text(t *testing.T, i *Instance, at time.Time, action, payload string) string {
	t.Helper()
	var out Output
	if err := i.Run(&Call{Host: &recorder{}, Records: []hostapi.Record{record(action, payload)}, Now: at}, &out); err != nil {
		t.Fatal(err)
	}
	if len(out.Actions) == 0 {
		return ""
	}
	return string(out.Actions[0].A)
}

// TestGivenTime has all clocks of the guest stand at the call's time, also the one that
// it measures with; a guest that sleeps has its time at once.
func TestGivenTime(t *testing.T) {
	i := instance(t, program(t, "", nil))
	at := time.UnixMilli(1767225600000)
	for _, step := range []struct {
		later  time.Duration
		sleeps string
		want   string // behind the two times of day
	}{
		{0, "", "0s 0s"}, {time.Second, "", "1s 0s"}, {time.Millisecond, "", "1ms 0s"}, {0, "2m0s", "0s 2m0s"}, {time.Hour, "", "1h0m0s 0s"},
	} {
		at = at.Add(step.later)
		want := fmt.Sprintf("%d %d %s", at.UnixMilli(), at.UnixMilli(), step.want)
		if got := text(t, i, at, "clocks", step.sleeps); got != want {
			t.Errorf("%v later it is %s, want %s", step.later, got, want)
		}
	}
}

// TestPlanTime has a clock that is set back: within a call the guest does not see it,
// and what it measures is never less than nothing.
func TestPlanTime(t *testing.T) {
	at := time.UnixMilli(1767225600000)
	step := time.Duration(0)
	i := instance(t, program(t, "", func(p *Plan) {
		p.Now = func() time.Time { at = at.Add(step); return at }
	}))
	before := at
	if got, want := text(t, i, time.Time{}, "clocks", ""), fmt.Sprintf("%d %[1]d 0s 0s", at.UnixMilli()); got != want {
		t.Errorf("it is %s, want %s", got, want)
	}
	step = -time.Minute
	got := text(t, i, time.Time{}, "clocks", "")
	if day := at.Add(time.Minute); at.Equal(before) || !strings.HasSuffix(got, " 0s 0s") || strings.HasPrefix(got, fmt.Sprint(day.UnixMilli())) {
		t.Errorf("the clock goes back with each look, and the guest sees %s", got)
	}
	var wall, host int64
	if _, err := fmt.Sscan(got, &wall, &host); err != nil || wall != host {
		t.Errorf("within a call it goes back: %s", got)
	}
}

// TestNodesTime has the guest's clocks go, and its sleep be one.
func TestNodesTime(t *testing.T) {
	i := instance(t, program(t, "", func(p *Plan) { p.Limits.Timeout, p.Limits.Fuel = time.Minute, 1e12 }))
	var wall, host int64
	var since, slept string
	before := time.Now().UnixMilli()
	if _, err := fmt.Sscan(text(t, i, time.Time{}, "clocks", "3ms"), &wall, &host, &since, &slept); err != nil {
		t.Fatal(err)
	}
	after := time.Now().UnixMilli()
	if d, err := time.ParseDuration(slept); err != nil || d < 3*time.Millisecond || wall < before || host < wall || host > after {
		t.Errorf("%d and %d between %d and %d; 3 ms of sleep were %s", wall, host, before, after, slept)
	}
}

// TestSeedIsBounded has a guest that never comes back when it is told its seed: that is
// behind each event of a stateless plugin, and has a tenth of an event's time.
func TestSeedIsBounded(t *testing.T) {
	p := program(t, "seed", func(p *Plan) {
		p.Limits.Fuel, p.Limits.Timeout, p.Limits.Start = 1e12, 20*time.Millisecond, time.Hour
	})
	_, err := p.New(t.Context())
	var trap *Trap
	if !errors.As(err, &trap) || trap.Reason != TrapDeadline || !strings.Contains(trap.Why, " 2ms") {
		t.Errorf("%v", err)
	}
}
