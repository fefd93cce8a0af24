package heddle

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/clients/go/heddletest"
)

// patience bounds every wait for what has to come.
const patience = time.Minute

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// probe is a running client and what it was told.
type probe struct {
	*Client
	t        *testing.T
	events   chan Event
	states   chan State
	sessions chan Session
	gaps     chan Gap
	result   chan error
}

// fast are options for tests: short times, everything recorded. On a slow machine a
// request may be sent twice with them, and an event that is late be taken for lost.
func fast(url, user string) Options {
	return Options{
		URL: url, Token: user, Device: "phone", Rooms: []string{"conv:1"}, BackoffMin: time.Millisecond, BackoffMax: 5 * time.Millisecond,
		GapAfter: 40 * time.Millisecond, AckEvery: 5 * time.Millisecond, RetryAfter: 100 * time.Millisecond,
	}
}

func start(t *testing.T, opt Options) *probe {
	t.Helper()
	p := &probe{
		t: t, events: make(chan Event, 4096), states: make(chan State, 4096), sessions: make(chan Session, 256), gaps: make(chan Gap, 256),
		result: make(chan error, 1),
	}
	if opt.OnEvent == nil {
		opt.OnEvent = func(e Event) { p.events <- e }
	}
	opt.OnState = func(s State, _ error) { p.states <- s }
	opt.OnSession = func(s Session) { p.sessions <- s }
	opt.OnGap = func(g Gap) { p.gaps <- g }
	c, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	p.Client = c
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { // ends when the test cancels ctx
		defer close(done)
		p.result <- c.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return p
}

// offsets reads durable events until one has the last offset, and fails if they
// are not contiguous.
func (p *probe) offsets(first, last uint64) {
	p.t.Helper()
	for want := first; want <= last; want++ {
		if e := next1(p.t, p.events); e.Offset != want {
			p.t.Fatalf("offset %d, want %d", e.Offset, want)
		}
	}
}

func node(t *testing.T, opt heddletest.Options) *heddletest.Server {
	s := heddletest.New(opt)
	t.Cleanup(s.Close)
	return s
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func next1[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

func waitFor(t *testing.T, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.After(patience); !cond(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("condition never held")
		}
	}
}
