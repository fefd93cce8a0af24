package socket

import (
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
)

func beating(interval time.Duration, maxMissed int) func(*Config, *Deps) {
	return func(c *Config, _ *Deps) { c.Heartbeat.Interval, c.Heartbeat.MaxMissed = interval, maxMissed }
}

func TestDeadPeerIsClosed(t *testing.T) {
	a := newApp()
	s := serve(t, a, func(c *Config, d *Deps) {
		beating(40*time.Millisecond, 2)(c, d)
		c.CloseTimeout = time.Second
	})
	c := upgrade(t, s)
	c.expectClose(4002, "heartbeat_timeout")
	if _, _, err := c.next(); err == nil {
		t.Error("the network connection is open")
	}
	if cause := receive(t, "closed", a.closed); !fault.Is(cause, fault.HeartbeatTimeout) {
		t.Errorf("cause %v", cause)
	}
}

func TestRoundTripIsMeasured(t *testing.T) {
	a := newApp()
	s := serve(t, a, beating(20*time.Millisecond, 100))
	c := upgrade(t, s)
	conn := receive(t, "open", a.opened)
	eventually(t, "measured", func() bool { // and nothing is missed, as long as we are in time
		first, p, err := c.next()
		if err != nil || first != 0x89 || len(p) != 8 {
			t.Fatalf("%#x %q %v", first, p, err)
		}
		c.send(0x8a, string(p))
		q := conn.Quality()
		return s.Stats().RTT.Count >= 5 && q.RTT > 0 && q.RTT < patience && q.Missed == 0
	})
	echo := func() {
		c.send(0x81, "x")
		c.message()
	}
	echo() // behind all pongs
	before := s.Stats().RTT.Count
	c.send(0x8a, "forged..")
	echo()
	if s.Stats().RTT.Count != before {
		t.Errorf("a pong that answers nothing was measured")
	}
}

// TestAnyFrameIsASignOfLife: who goes on to send is not closed. A machine on which that
// takes longer than a heartbeat proves nothing, and gets a slower one.
func TestAnyFrameIsASignOfLife(t *testing.T) {
	for interval := 100 * time.Millisecond; interval < patience; interval *= 2 {
		a := newApp()
		c := upgrade(t, serve(t, a, beating(interval, 2)))
		conn := receive(t, "open", a.opened)
		begun, longest, err := time.Now(), time.Duration(0), error(nil)
		for last := begun; err == nil && last.Sub(begun) < 5*interval; {
			if _, err = c.Write(masked(0x81, []byte("x"))); err == nil {
				_, _, err = c.next()
			}
			now := time.Now()
			last, longest = now, max(longest, now.Sub(last))
		}
		switch {
		case err == nil && conn.state.Load() == open:
			return
		case longest < interval:
			t.Fatalf("closed, and never silent for longer than %v: %v", longest, err)
		}
	}
	t.Error("never in time")
}

func TestQuality(t *testing.T) {
	var q quality
	for _, tc := range []struct {
		rtt    time.Duration
		missed uint8
		want   Grade
	}{
		{20 * time.Millisecond, 0, Good},
		{200 * time.Millisecond, 0, Fair},
		{20 * time.Millisecond, 0, Good},
		{20 * time.Millisecond, 1, Fair},
		{900 * time.Millisecond, 0, Poor},
		{20 * time.Millisecond, 0, Fair}, // the jitter remembers
	} {
		was := q.grade
		q.missed = tc.missed
		q.measure(tc.rtt)
		if changed := q.regrade(); q.grade != tc.want || changed != (was != q.grade) {
			t.Errorf("%v, %d missed: %v, changed %v, want %v", tc.rtt, tc.missed, q.grade, changed, tc.want)
		}
	}
	if r := q.report(); r.RTT != 20*time.Millisecond || r.Jitter < 100*time.Millisecond || r.Jitter > 150*time.Millisecond {
		t.Errorf("%+v", r)
	}
}

func TestGradeChangesAreTold(t *testing.T) {
	a := newApp()
	told := make(chan Quality, 8)
	s := serve(t, a, func(c *Config, d *Deps) {
		c.Heartbeat.Interval, c.Heartbeat.MaxMissed = 20*time.Millisecond, 50
		d.OnQuality = func(_ *Conn, q Quality) { told <- q }
	})
	upgrade(t, s)
	if q := receive(t, "fair", told); q.Grade != Fair || q.Missed != 1 {
		t.Errorf("%+v", q)
	}
	if q := receive(t, "poor", told); q.Grade != Poor || q.Missed != 2 {
		t.Errorf("%+v", q)
	}
}

func TestWheelFindsEveryConnectionOnce(t *testing.T) {
	w := newWheel(time.Second)
	conns := make([]*Conn, 1000)
	for i := range conns {
		conns[i] = &Conn{id: uint64(i)}
		w.add(conns[i])
	}
	for i, c := range conns {
		if i%3 == 0 {
			w.remove(c)
			w.remove(c)
		}
	}
	seen := map[uint64]int{}
	w.each(func(c *Conn) bool { seen[c.id]++; return true })
	for i := range conns {
		if want := min(i%3, 1); seen[uint64(i)] != want {
			t.Fatalf("connection %d seen %d times", i, seen[uint64(i)])
		}
	}
}
