package guest

import "time"

// clock is the time as one guest is told it. It comes from the plan, or stands still at
// the call's own time; within a call it never goes back, and the steady one, which
// programs measure durations with, never does.
type clock struct {
	given  time.Time     // the call's own, zero if it has none
	told   time.Time     // the latest in this call, zero before the first
	last   time.Time     // the latest ever told, zero before the first
	steady time.Duration // at last
}

// begin is that of a call.
func (c *clock) begin(given time.Time) { c.given, c.told = given, time.Time{} }

// read tells the time of day, and the steady one.
func (c *clock) read(now func() time.Time) (time.Time, time.Duration) {
	t := c.given
	if t.IsZero() {
		t = now()
	}
	if t.Before(c.told) {
		t = c.told
	}
	switch {
	case c.last.IsZero():
		c.steady = time.Second // from somewhere; 0 is what languages take for no time
	default:
		c.steady = max(c.steady, c.steady+t.Sub(c.last)) // also if that is too much
	}
	c.told, c.last = t, t
	return t, c.steady
}

// pass lets time go by that the guest sleeps, if the time is the call's own. That of
// the node goes by itself.
func (c *clock) pass(d time.Duration) {
	if !c.given.IsZero() && d > 0 {
		c.given = c.given.Add(d)
	}
}
