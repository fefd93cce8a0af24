package pool

import (
	"strings"
	"testing"
	"time"
)

// TestTidying has a guest that never comes back from tidying up: its instance is gone
// when it was asked to, and the next one is not asked.
func TestTidying(t *testing.T) {
	for name, tc := range map[string]struct {
		events int
		quiet  time.Duration
		asked  bool
	}{
		"not called for a while": {1, 0, true},
		"called just now":        {1, time.Hour, false},
		"called often":           {tidyEvery, time.Hour, true},
		"called not so often":    {tidyEvery - 1, time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			later := time.Duration(0)
			p, r := newPool(t, func(c *Config, d *Deps) {
				c.Lanes = 1
				d.Now = func() time.Time { return time.Now().Add(later) }
			})
			do := func(action string, n int) {
				t.Helper()
				for range n {
					if err := p.Do(t.Context(), job(1, action, "{}")); err != nil {
						t.Fatal(err)
					}
				}
			}
			do("restless", tc.events)
			p.Idle(tc.quiet, 24*time.Hour)
			if asked := p.deps.Program.Instances() == 0; asked != tc.asked || strings.Contains(r.text(), "while it tidied up") != asked {
				t.Fatalf("asked: %v, its log: %s", asked, r.text())
			}
			if !tc.asked {
				return
			}
			do("restless", tc.events)
			later = time.Hour
			p.Idle(0, 24*time.Hour)
			if p.deps.Program.Instances() != 1 {
				t.Error("it was asked again")
			}
		})
	}
}

// TestTidyingHasItsShare has a guest whose tidying up takes a second each time.
func TestTidyingHasItsShare(t *testing.T) {
	now := time.Now()
	step := time.Duration(0)
	p, _ := newPool(t, func(c *Config, d *Deps) {
		c.Lanes = 1
		d.Now = func() time.Time { now = now.Add(step); return now }
	})
	times := func(looks int) (n int) {
		for range looks {
			if err := p.Do(t.Context(), job(1, "nothing", "{}")); err != nil {
				t.Fatal(err)
			}
			before := p.lanes[0].rest.tidied
			step = time.Second
			p.Idle(0, 24*time.Hour)
			step = 0
			if p.lanes[0].rest.tidied != before {
				n++
			}
		}
		return n
	}
	if n := times(100); n < 3 || n > 6 {
		t.Errorf("in 100 seconds it tidies up for %d", n)
	}
}
