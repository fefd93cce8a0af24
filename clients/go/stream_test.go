package heddle

import (
	"testing"
	"time"

	"github.com/heddle-rt/heddle/clients/go/heddletest"
	"github.com/heddle-rt/heddle/clients/go/wire"
)

func TestRepairsDeliveries(t *testing.T) {
	type tamper func(e wire.Envelope) []wire.Envelope
	for name, c := range map[string]struct {
		make  func() tamper
		after time.Duration // until what is missing is taken for lost
		want  func(Stats) bool
	}{
		"repeated": {
			func() tamper { return func(e wire.Envelope) []wire.Envelope { return []wire.Envelope{e, e} } },
			patience,
			func(s Stats) bool { return s.Repeats >= 19 && s.Connects == 1 },
		},
		"swapped": {
			func() tamper {
				var kept []wire.Envelope
				return func(e wire.Envelope) []wire.Envelope {
					if e.Offset%2 == 1 {
						kept = []wire.Envelope{e}
						return nil
					}
					return append([]wire.Envelope{e}, kept...)
				}
			},
			patience,
			func(s Stats) bool { return s.Held == 10 && s.Connects == 1 },
		},
		"lost": {
			func() tamper {
				return func(e wire.Envelope) []wire.Envelope {
					if e.Offset == 7 {
						return nil
					}
					return []wire.Envelope{e}
				}
			},
			100 * time.Millisecond,
			func(s Stats) bool { return s.Held > 0 && s.Connects > 1 && s.Recoveries > 0 },
		},
	} {
		t.Run(name, func(t *testing.T) {
			spoil := c.make()
			s := node(t, heddletest.Options{Tamper: func(_ string, e wire.Envelope) []wire.Envelope { return spoil(e) }})
			opt := fast(s.URL(), "ann")
			opt.GapAfter = c.after
			ann := start(t, opt)
			next1(t, ann.sessions)
			for range 20 {
				s.Publish("conv:1", "message:send", Message{Text: "x"})
			}
			ann.offsets(1, 20)
			if st := ann.Stats(); !c.want(st) {
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestNewEpochStartsOver(t *testing.T) {
	s := node(t, heddletest.Options{})
	ann := start(t, fast(s.URL(), "ann"))
	next1(t, ann.sessions)
	s.Publish("conv:1", "message:send", Message{Text: "a"})
	s.Publish("conv:1", "message:send", Message{Text: "b"})
	ann.offsets(1, 2)
	s.Renew("conv:1")
	s.Publish("conv:1", "message:send", Message{Text: "c"})
	ann.offsets(1, 1)
}

func TestSlowHandlerLosesNothingDurable(t *testing.T) {
	s := node(t, heddletest.Options{})
	opt := fast(s.URL(), "ann")
	opt.Queue = 2
	gate, got := make(chan bool), make(chan Event, 500)
	opt.OnEvent = func(e Event) { <-gate; got <- e }
	ann := start(t, opt)
	next1(t, ann.sessions)
	for range 100 {
		s.Publish("conv:1", "message:send", Message{Text: "x"})
	}
	waitFor(t, func() bool { return ann.Stats().Received >= 2 })
	s.Cut()
	close(gate)
	for want := uint64(1); want <= 100; want++ {
		if e := next1(t, got); e.Offset != want {
			t.Fatalf("offset %d, want %d", e.Offset, want)
		}
	}
}

func TestAcksFollowTheHandler(t *testing.T) {
	s := node(t, heddletest.Options{})
	opt := fast(s.URL(), "ann")
	opt.Acks = true
	handled := make(chan bool)
	opt.OnEvent = func(Event) { <-handled }
	ann := start(t, opt)
	next1(t, ann.sessions)
	for range 3 {
		s.Publish("conv:1", "message:send", Message{Text: "x"})
	}
	handled <- true
	waitFor(t, func() bool { return s.Handled("conv:1") == 1 })
	handled <- true
	handled <- true
	waitFor(t, func() bool { return s.Handled("conv:1") == 3 })
}

func TestARepeatIsAcknowledgedAgain(t *testing.T) {
	s := node(t, heddletest.Options{})
	opt := fast(s.URL(), "ann")
	opt.Acks = true
	ann := start(t, opt)
	next1(t, ann.sessions)
	s.Publish("conv:1", "message:send", Message{Text: "x"})
	waitFor(t, func() bool { return s.Handled("conv:1") == 1 })
	s.Resend("conv:1")
	waitFor(t, func() bool { return s.Handled("conv:1") == 1 })
	if n := ann.Stats().Repeats; n != 1 {
		t.Errorf("%d repeats", n)
	}
}
