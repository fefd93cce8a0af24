package heddle

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/clients/go/heddletest"
	"github.com/heddle-rt/heddle/clients/go/wire"
)

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

// fast are options for tests: short times, everything recorded.
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

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func next1[T any](t *testing.T, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(5 * time.Second):
		t.Fatal("nothing came")
		panic("unreachable")
	}
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

func TestActionsInBothDialects(t *testing.T) {
	for _, d := range []Dialect{JSON, MessagePack} {
		t.Run(d.String(), func(t *testing.T) {
			s := node(t, heddletest.Options{})
			opt := fast(s.URL(), "ann")
			opt.Dialect = d
			ann := start(t, opt)
			ctx := within(t)
			a, err := ann.Send(ctx, "conv:1", Message{Text: "hé\"llo", Mentions: []string{"bob"}, Meta: []byte(`{"n":12345678901,"f":1.5}`)})
			if err != nil || a.Offset != 1 || a.Transmitted != 1 {
				t.Fatalf("%+v %v", a, err)
			}
			e := next1(t, ann.events)
			m, err := e.Message()
			if err != nil || m.Text != "hé\"llo" || m.Mentions[0] != "bob" || string(m.Meta) != `{"n":12345678901,"f":1.5}` || e.User != "ann" || e.Device != "phone" || e.ID != a.ID {
				t.Errorf("%+v %+v %v", e, m, err)
			}
			if _, err := ann.Send(ctx, "conv:1", Message{Text: "soon gone", Ephemeral: true}); err != nil {
				t.Fatal(err)
			}
			if e := next1(t, ann.events); e.Durable() {
				t.Errorf("ephemeral, but durable: %+v", e)
			}
			if u, err := ann.Read(ctx, "conv:1", a.Position); err != nil || u.Offset != 1 || u.Unread != 0 {
				t.Errorf("read: %+v %v", u, err)
			}
			if name, err := ann.CreateRoom(ctx, "conv:2", RoomSpec{Members: []string{"bob", "cid"}}); err != nil || name != "conv:2" {
				t.Errorf("create: %q %v", name, err)
			}
			if ms, more, err := ann.Members(ctx, "conv:2", "", 2); err != nil || len(ms) != 2 || ms[0].User != "ann" || more != "bob" {
				t.Errorf("members: %v %q %v", ms, more, err)
			}
			if page, err := ann.History(ctx, "conv:1", Range{Limit: 10}); err != nil || len(page.Events) != 1 || page.Events[0].ID != a.ID || page.More {
				t.Errorf("history: %+v %v", page, err)
			}
			if rtt, err := ann.Ping(ctx); err != nil || rtt <= 0 {
				t.Errorf("ping: %v %v", rtt, err)
			}
			if err := ann.Leave(ctx, "conv:1"); err != nil {
				t.Error(err)
			}
			var refused *Error
			if _, err := ann.Send(ctx, "conv:1", Message{Text: "x"}); !errors.As(err, &refused) || refused.Code != "forbidden" {
				t.Errorf("send after leave: %v", err)
			}
			if st, n, err := ann.Join(ctx, "conv:1", &Position{a.Epoch, 0}); err != nil || st.Offset != 1 || n != 1 {
				t.Errorf("join: %+v %d %v", st, n, err)
			}
			ann.offsets(1, 1)
			if err := ann.Close(ctx); err != nil {
				t.Error(err)
			}
			if err := next1(t, ann.result); err != nil {
				t.Error(err)
			}
			if _, err := ann.Send(ctx, "conv:1", Message{Text: "x"}); !errors.Is(err, ErrClosed) {
				t.Errorf("send after close: %v", err)
			}
		})
	}
}

func TestResumesWithoutLossOrRepeat(t *testing.T) {
	for name, cut := range map[string]func(*heddletest.Server){
		"cut":                 (*heddletest.Server).Cut,
		"slow consumer":       func(s *heddletest.Server) { s.Disconnect(4001, "slow_consumer") },
		"draining":            func(s *heddletest.Server) { s.Drain(5) },
		"session forgotten":   func(s *heddletest.Server) { s.Forget(); s.Cut() },
		"session gone (4100)": func(s *heddletest.Server) { s.Disconnect(4100, "session_lost") },
	} {
		t.Run(name, func(t *testing.T) {
			s := node(t, heddletest.Options{})
			ann := start(t, fast(s.URL(), "ann"))
			first := next1(t, ann.sessions)
			s.Publish("conv:1", "message:send", Message{Text: "1"})
			ann.offsets(1, 1)
			cut(s)
			for range 10 {
				s.Publish("conv:1", "message:send", Message{Text: "2"})
			}
			for next1(t, ann.sessions).ID == "" {
			}
			s.Publish("conv:1", "message:send", Message{Text: "3"})
			for want := uint64(2); want <= 12; {
				e := next1(t, ann.events)
				if !e.Durable() {
					continue
				}
				if e.Offset != want {
					t.Fatalf("offset %d, want %d", e.Offset, want)
				}
				want++
			}
			if first.Recovered || len(ann.gaps) != 0 {
				t.Errorf("first %+v, gaps %d", first, len(ann.gaps))
			}
		})
	}
}

func TestSendsSurviveCuts(t *testing.T) {
	const senders, each = 8, 40
	s := node(t, heddletest.Options{})
	ann := start(t, fast(s.URL(), "ann"))
	ctx := within(t)
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() { // ends after its messages
			for n := range each {
				if _, err := ann.Send(ctx, "conv:1", Message{Text: fmt.Sprint(i, " ", n)}); err != nil {
					t.Error(err)
					return
				}
				if i == 0 && n%10 == 5 {
					s.Cut()
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, e := range s.Events("conv:1") {
		if seen[string(e.Data)] {
			t.Errorf("twice: %s", e.Data)
		}
		seen[string(e.Data)] = true
	}
	if len(seen) != senders*each {
		t.Errorf("%d of %d stored", len(seen), senders*each)
	}
	ann.offsets(1, senders*each)
	if st := ann.Stats(); st.Connects < 2 {
		t.Errorf("the cuts cut nothing: %+v", st)
	}
}

func TestRetriesUnderOneID(t *testing.T) {
	for name, f := range map[string]*heddletest.Failure{
		"lost request":    {Silent: true},
		"lost answer":     {Silent: true, Done: true},
		"retryable error": {Code: "overloaded", Retryable: true, RetryAfterMS: 5},
	} {
		t.Run(name, func(t *testing.T) {
			var ids []string
			s := node(t, heddletest.Options{Refuse: func(_ string, e *wire.Envelope) *heddletest.Failure {
				if e.Action != "message:send" {
					return nil
				}
				if ids = append(ids, e.ID); len(ids) < 3 {
					return f
				}
				return nil
			}})
			ann := start(t, fast(s.URL(), "ann"))
			a, err := ann.Send(within(t), "conv:1", Message{Text: "once"})
			if err != nil || a.Offset != 1 || a.Transmitted != 3 || a.Repeat != f.Done {
				t.Errorf("%+v %v", a, err)
			}
			if len(s.Events("conv:1")) != 1 || ids[0] != ids[1] || ids[1] != ids[2] {
				t.Errorf("%d stored under %v", len(s.Events("conv:1")), ids)
			}
		})
	}
}

func TestRepairsDeliveries(t *testing.T) {
	type tamper func(e wire.Envelope) []wire.Envelope
	for name, c := range map[string]struct {
		make func() tamper
		want func(Stats) bool
	}{
		"repeated": {
			func() tamper { return func(e wire.Envelope) []wire.Envelope { return []wire.Envelope{e, e} } },
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
			func(s Stats) bool { return s.Held >= 13 && s.Connects == 2 && s.Recoveries == 1 },
		},
	} {
		t.Run(name, func(t *testing.T) {
			spoil := c.make()
			s := node(t, heddletest.Options{Tamper: func(_ string, e wire.Envelope) []wire.Envelope { return spoil(e) }})
			ann := start(t, fast(s.URL(), "ann"))
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

func TestGapsThatStayAreReported(t *testing.T) {
	var door sync.Mutex
	s := node(t, heddletest.Options{Authorize: func(user string) (string, *heddletest.Failure) {
		door.Lock()
		defer door.Unlock()
		return user, nil
	}})
	ann := start(t, fast(s.URL(), "ann"))
	next1(t, ann.sessions)
	s.Publish("conv:1", "message:send", Message{Text: "1"})
	ann.offsets(1, 1)
	s.Disconnect(4100, "") // a new session joins at the top, and asks for the rest
	for range 9 {
		s.Publish("conv:1", "message:send", Message{Text: "x"})
	}
	next1(t, ann.sessions)
	ann.offsets(2, 10)
	door.Lock()
	s.Cut()
	for range 10 {
		s.Publish("conv:1", "message:send", Message{Text: "x"})
	}
	s.Trim("conv:1", 2)
	door.Unlock()
	next1(t, ann.sessions)
	s.Publish("conv:1", "message:send", Message{Text: "x"})
	if g := next1(t, ann.gaps); g.Room != "conv:1" || g.After != 10 {
		t.Errorf("%+v", g)
	}
	ann.offsets(19, 21)
}

func TestJoinTellsWhereTheRoomStands(t *testing.T) {
	for name, c := range map[string]struct {
		since uint64
		first uint64 // offset of the first event that comes
	}{
		"from now on": {first: 7},
		"since":       {since: 2, first: 3},
	} {
		t.Run(name, func(t *testing.T) {
			// The first event behind the join is lost on its way.
			s := node(t, heddletest.Options{Tamper: func(_ string, e wire.Envelope) []wire.Envelope {
				if e.Offset == 7 {
					return nil
				}
				return []wire.Envelope{e}
			}})
			ann := start(t, fast(s.URL(), "ann"))
			var at Position
			for range 6 {
				at = Position(s.Publish("conv:9", "message:send", Message{Text: "x"}))
			}
			var since *Position
			if c.since > 0 {
				since = &Position{at.Epoch, c.since}
			}
			if _, _, err := ann.Join(within(t), "conv:9", since); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				s.Publish("conv:9", "message:send", Message{Text: "x"})
			}
			ann.offsets(c.first, 8)
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

func TestCloseCodes(t *testing.T) {
	for _, c := range []struct {
		code uint16
		want next
	}{
		{1000, stop}, {1001, resume}, {1005, resume}, {1006, resume}, {1011, resume}, {1012, resume}, {1014, resume}, {1002, stop}, {1009, stop},
		{4000, resume}, {4001, resume}, {4099, resume}, {4100, reopen}, {4199, reopen}, {4400, stop}, {4401, stop}, {4402, refresh}, {4499, stop},
	} {
		if got := afterClose(c.code); got != c.want {
			t.Errorf("%d: %v, want %v", c.code, got, c.want)
		}
	}
}

func TestRunEnds(t *testing.T) {
	expired := &heddletest.Failure{Code: "token_expired"}
	for name, c := range map[string]struct {
		authorize func(string) (string, *heddletest.Failure)
		refuse    *heddletest.Failure
		close     uint16
		want      string
	}{
		"bad token":     {authorize: func(string) (string, *heddletest.Failure) { return "", &heddletest.Failure{Code: "unauthenticated"} }, want: "unauthenticated"},
		"expired token": {authorize: func(string) (string, *heddletest.Failure) { return "", expired }, want: "token_expired"},
		"open refused":  {refuse: &heddletest.Failure{Code: "forbidden"}, want: "forbidden"},
		"replaced":      {close: 4406, want: "4406"},
		"done":          {close: 1000},
	} {
		t.Run(name, func(t *testing.T) {
			s := node(t, heddletest.Options{Authorize: c.authorize, Refuse: func(string, *wire.Envelope) *heddletest.Failure { return c.refuse }})
			ann := start(t, fast(s.URL(), "ann"))
			if c.close != 0 {
				next1(t, ann.sessions)
				s.Disconnect(c.close, "")
			}
			err := next1(t, ann.result)
			if (c.want == "") != (err == nil) || (err != nil && !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if ann.State() != Closed {
				t.Errorf("state %v", ann.State())
			}
		})
	}
}

func TestFreshTokenAfterExpiry(t *testing.T) {
	s := node(t, heddletest.Options{Authorize: func(token string) (string, *heddletest.Failure) {
		if token == "token-1" {
			return "", &heddletest.Failure{Code: "token_expired"}
		}
		return "ann", nil
	}})
	opt := fast(s.URL(), "")
	n := 0
	opt.TokenSource = func(context.Context) (string, error) { n++; return fmt.Sprint("token-", n), nil }
	ann := start(t, opt)
	next1(t, ann.sessions)
	s.Disconnect(4402, "token_expired")
	if got := next1(t, ann.sessions); !got.Recovered {
		t.Errorf("%+v", got)
	}
}

func TestStates(t *testing.T) {
	s := node(t, heddletest.Options{})
	ann := start(t, fast(s.URL(), "ann"))
	expect := func(want ...State) {
		t.Helper()
		for _, w := range want {
			if got := next1(t, ann.states); got != w {
				t.Fatalf("%v, want %v", got, w)
			}
		}
	}
	expect(Connecting, Syncing, Active)
	s.Drain(1)
	expect(Draining, Waiting, Connecting, Syncing, Active)
	s.Cut()
	expect(Waiting, Connecting, Syncing, Active)
	if err := ann.Close(within(t)); err != nil {
		t.Fatal(err)
	}
	expect(Closed)
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

func waitFor(t *testing.T, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.After(5 * time.Second); !cond(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("condition never held")
		}
	}
}

func TestBatchesWhatWaits(t *testing.T) {
	s := node(t, heddletest.Options{})
	opt := fast(s.URL(), "ann")
	opt.RetryAfter = 5 * time.Second
	c, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	var answers sync.WaitGroup
	var order []uint64 // written by the reader alone
	for range 200 {    // they wait for the connection together
		answers.Add(1)
		err := c.SendAsync(within(t), "conv:1", Message{Text: "x"}, func(a Ack, err error) { order = append(order, a.Offset); answers.Done() })
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }() // ends with ctx
	answers.Wait()
	frames, batches := s.Frames()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if frames > 10 || batches < 3 {
		t.Errorf("%d frames, %d batches for 200 messages", frames, batches)
	}
	for i, n := range order {
		if n != uint64(i+1) {
			t.Fatalf("answer %d is for offset %d", i, n)
		}
	}
}

func TestBounds(t *testing.T) {
	s := node(t, heddletest.Options{Refuse: func(_ string, e *wire.Envelope) *heddletest.Failure {
		if e.Action == "message:send" {
			return &heddletest.Failure{Silent: true}
		}
		return nil
	}})
	opt := fast(s.URL(), "ann")
	opt.MaxPending = 2
	ann := start(t, opt)
	ctx, cancel := context.WithCancel(context.Background())
	errs := make(chan error, 2)
	for range 2 {
		if err := ann.SendAsync(ctx, "conv:1", Message{Text: "x"}, func(_ Ack, err error) { errs <- err }); err != nil {
			t.Fatal(err)
		}
	}
	if err := ann.SendAsync(ctx, "conv:1", Message{Text: "x"}, func(Ack, error) {}); !errors.Is(err, ErrBusy) {
		t.Errorf("a third: %v", err)
	}
	cancel()
	for range 2 {
		if err := next1(t, errs); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	if _, err := ann.Send(within(t), "conv:1", Message{Text: string(make([]byte, 70000))}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	if _, err := ann.Ping(within(t)); err != nil { // the slots are free again
		t.Error(err)
	}
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

func BenchmarkSend(b *testing.B) {
	s := heddletest.New(heddletest.Options{})
	defer s.Close()
	opt := fast(s.URL(), "ann")
	opt.RetryAfter = 10 * time.Second
	c, err := New(opt)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }() // ends with ctx
	b.ReportAllocs()
	b.SetParallelism(64)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if _, err := c.Send(ctx, "conv:1", Message{Text: "a message of a usual length, as people write them"}); err != nil {
				b.Error(err)
			}
		}
	})
	cancel()
	<-done
}
