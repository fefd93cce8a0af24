package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/session"
)

// line is nodes that ask each other, in a bubble. What is asked of one that is mute is
// given up after a second.
type line struct {
	mu    sync.Mutex
	nodes map[string]*Directory
	mute  map[string]int // how many requests are lost, by node
	asked atomic.Int64
}

func (l *line) ask(to string, kind byte, body []byte, done func([]byte, error)) error {
	l.asked.Add(1)
	go func() { // ends within a second, or with the answer
		l.mu.Lock()
		d, lost := l.nodes[to], l.mute[to] > 0
		l.mute[to]--
		l.mu.Unlock()
		if d == nil || lost {
			time.Sleep(time.Second)
			done(nil, fault.Wrap("test", fault.Unavailable, errors.New("silent")))
			return
		}
		d.Answer(kind, body, done)
	}()
	return nil
}

// nobody listens.
type nobody struct{ *node }

func (nobody) OnlineElsewhere(string, string, string, *atomic.Int64) {}
func (nobody) Offline(string, string, *atomic.Int64)                 {}
func (nobody) JoinedRoom(string, string, string, *atomic.Int64)      {}
func (nobody) OpenedElsewhere(session.Place)                         {}

// silence has a node lose so many requests.
func (l *line) silence(node string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mute[node] = n
}

// local are the sessions of one node.
type local struct {
	nobody
	mu    sync.Mutex
	calls []string
	took  time.Duration
	err   error
}

func (s *local) call(what string) {
	time.Sleep(s.took)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, what)
}

func (s *local) Release(_ context.Context, tenant, id string) error {
	s.call("release " + tenant + " " + id)
	return s.err
}

func (s *local) Hangup(_ context.Context, f session.Filter, reconnect bool) int {
	s.call(fmt.Sprintf("%+v %v", f, reconnect))
	return 2
}

// online runs a test with nodes a, b and c.
func online(t *testing.T, f func(t *testing.T, l *line, at map[string]*local)) {
	synctest.Test(t, func(t *testing.T) {
		l, at := &line{nodes: map[string]*Directory{}, mute: map[string]int{}}, map[string]*local{}
		names := []string{"a", "b", "c"}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for _, name := range names {
			at[name] = &local{}
			d := New(Deps{
				Node: name, Broadcast: func([]byte) {}, Ask: l.ask, Shared: func(string) bool { return true }, Clock: func() int64 { return 0 },
				Presence: nobody{}, Sessions: at[name], Log: quiet,
			})
			l.nodes[name] = d
			wg.Go(func() { _ = d.Run(ctx) }) // it never fails
		}
		for _, name := range names {
			l.nodes[name].Alive(names)
		}
		synctest.Wait()
		f(t, l, at)
		cancel()
		wg.Wait()
		time.Sleep(2 * time.Second) // what was asked is given up
	})
}

func TestRelease(t *testing.T) {
	place := &session.Place{Node: "b", Tenant: "acme", Session: "s1"}
	online(t, func(t *testing.T, l *line, at map[string]*local) {
		a, begun := l.nodes["a"], time.Now()
		if err := a.Release(t.Context(), place); err != nil || time.Since(begun) != 0 {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		at["b"].err = fault.New(fault.Unavailable, "", "the store is away")
		if err := a.Release(t.Context(), place); err == nil {
			t.Error("what the other node can not do is said to be done")
		}
		same(t, at["b"].calls, []string{"release acme s1", "release acme s1"})
		if err := a.Release(t.Context(), &session.Place{Node: "z"}); err == nil {
			t.Error("a node that is not there has let go")
		}
	})
	online(t, func(t *testing.T, l *line, at map[string]*local) {
		a, asked := l.nodes["a"], l.asked.Load()
		l.silence("b", 1000)
		for i, want := range []time.Duration{releasing, 0, 0} {
			begun := time.Now()
			if err := a.Release(t.Context(), place); err == nil || time.Since(begun) != want {
				t.Errorf("%d: %v after %v", i, err, time.Since(begun))
			}
		}
		if n := l.asked.Load() - asked; n != 1 {
			t.Errorf("a node that does not answer was asked %d times", n)
		}
		l.silence("b", 0)
		a.Receive((&pending{}).message("b", l.nodes["b"].incarnation, 0, 0))
		if err := a.Release(t.Context(), place); err != nil {
			t.Errorf("it was heard again: %v", err)
		}
	})
}

func TestHangup(t *testing.T) {
	f := session.Filter{Tenant: "acme", User: "ann", Device: "phone", Session: "s1"}
	for _, c := range []struct {
		name string
		mute int
		dies bool
		n    int
		fail bool
	}{
		{"all answer", 0, false, 6, false},
		{"one does in the end", hangups - 1, false, 6, false},
		{"one never does", 1000, false, 4, true},
		{"one dies", 1000, true, 4, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			online(t, func(t *testing.T, l *line, at map[string]*local) {
				l.silence("b", c.mute)
				if c.dies {
					time.AfterFunc(500*time.Millisecond, func() { l.nodes["a"].Alive([]string{"a", "c"}) })
				}
				n, err := l.nodes["a"].Hangup(t.Context(), f, true)
				if n != c.n || (err != nil) != c.fail || err != nil && !fault.Is(err, fault.Unavailable) {
					t.Errorf("%d, %v", n, err)
				}
				for _, name := range []string{"a", "c"} {
					same(t, at[name].calls, []string{fmt.Sprintf("%+v true", f)})
				}
			})
		})
	}
}

// TestBusy: no more requests wait for the store than may, and those end before Run does.
func TestBusy(t *testing.T) {
	online(t, func(t *testing.T, l *line, at map[string]*local) {
		at["b"].took = 100 * time.Millisecond
		var wg sync.WaitGroup
		var mu sync.Mutex
		var errs []error
		for range waiting + 5 {
			wg.Go(func() {
				err := l.nodes["a"].Release(t.Context(), &session.Place{Node: "b", Tenant: "acme", Session: "s"})
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			})
		}
		wg.Wait()
		refused := slices.DeleteFunc(errs, func(err error) bool { return err == nil })
		if len(refused) != 5 || !errors.Is(refused[0], errBusy) || len(at["b"].calls) != waiting {
			t.Errorf("%d refused, %d served", len(refused), len(at["b"].calls))
		}
	})
}
