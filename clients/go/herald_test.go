package heddle

import (
	"context"
	"reflect"
	"sync"
	"testing"

	"github.com/heddle-rt/heddle/clients/go/heddletest"
)

// callbacks runs a client with OnSession and OnEvent of the test's own.
func callbacks(t *testing.T, opt Options) *Client {
	t.Helper()
	c, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }() // ends with ctx
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestRequestsInOnSessionAreAnswered(t *testing.T) {
	s := node(t, heddletest.Options{})
	answers := make(chan error, 8)
	ready := make(chan *Client, 1)
	opt := fast(s.URL(), "ann")
	opt.OnSession = func(Session) {
		c := <-ready
		_, err := c.Ping(within(t))
		ready <- c
		answers <- err
	}
	ready <- callbacks(t, opt)
	for range 3 {
		if err := next1(t, answers); err != nil {
			t.Fatal(err)
		}
		s.Cut()
	}
}

// TestRequestsInOnSessionAreAnsweredBehindManyEvents has more events stand before the
// answer than may wait for OnEvent, which waits for OnSession.
func TestRequestsInOnSessionAreAnsweredBehindManyEvents(t *testing.T) {
	const many = 200
	s := node(t, heddletest.Options{})
	answers, events := make(chan error, 1), make(chan Event, many)
	ready := make(chan *Client, 1)
	opt := fast(s.URL(), "ann")
	opt.Queue = 4
	opt.OnEvent = func(e Event) { events <- e }
	var once sync.Once
	opt.OnSession = func(Session) {
		once.Do(func() {
			c := <-ready
			for range many {
				s.Publish("conv:1", "message:send", Message{Text: "x"})
			}
			_, err := c.Ping(within(t))
			answers <- err
		})
	}
	ready <- callbacks(t, opt)
	if err := next1(t, answers); err != nil {
		t.Error(err)
	}
	for want := uint64(1); want <= many; want++ {
		if e := next1(t, events); e.Offset != want {
			t.Fatalf("offset %d, want %d", e.Offset, want)
		}
	}
}

func TestEventsWaitForOnSession(t *testing.T) {
	s := node(t, heddletest.Options{})
	begun, release, order := make(chan bool), make(chan bool), make(chan string, 2)
	opt := fast(s.URL(), "ann")
	opt.OnSession = func(Session) {
		close(begun)
		<-release
		order <- "session"
	}
	opt.OnEvent = func(Event) { order <- "event" }
	c := callbacks(t, opt)
	free := sync.OnceFunc(func() { close(release) })
	t.Cleanup(free)
	next1(t, begun)
	s.Publish("conv:1", "message:send", Message{Text: "x"})
	waitFor(t, func() bool { return c.Stats().Received == 1 })
	free()
	for _, want := range []string{"session", "event"} {
		if got := next1(t, order); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestSessionsThatWaitAreMerged has several sessions follow while OnSession is busy.
func TestSessionsThatWaitAreMerged(t *testing.T) {
	lost := func(room string) []LostRoom { return []LostRoom{{Room: room, Reason: "trimmed"}} }
	whole := Session{ID: "2", Recovered: true}
	for name, c := range map[string]struct {
		then []Session
		want Session
	}{
		"all recovered":   {[]Session{{ID: "1", Recovered: true}, whole}, whole},
		"a new one, then": {[]Session{{ID: "1", Reason: "session_unknown"}, whole}, Session{ID: "2", Reason: "session_unknown"}},
		"losses": {
			[]Session{{ID: "1", Reason: "positions_lost", Lost: lost("a")}, {ID: "1", Reason: "positions_lost", Lost: lost("b")}},
			Session{ID: "1", Reason: "positions_lost", Lost: append(lost("a"), lost("b")...)},
		},
		"losses, then whole": {[]Session{{ID: "1", Reason: "positions_lost", Lost: lost("a")}, whole}, Session{ID: "2", Reason: "positions_lost", Lost: lost("a")}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHerald()
			told, busy := []Session{}, make(chan bool)
			ended := make(chan bool)
			go func() { // ends with h.stop
				defer close(ended)
				h.run(func(s Session) {
					if s.ID == "" {
						<-busy
					}
					told = append(told, s)
				})
			}()
			h.tell(Session{})
			waitFor(t, func() bool { h.mu.Lock(); defer h.mu.Unlock(); return h.next == nil })
			for _, s := range c.then {
				h.tell(s)
			}
			close(busy)
			h.wait()
			h.stop()
			<-ended
			if want := []Session{{}, c.want}; !reflect.DeepEqual(told, want) {
				t.Errorf("told %+v, want %+v", told, want)
			}
		})
	}
}
