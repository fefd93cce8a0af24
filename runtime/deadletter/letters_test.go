package deadletter

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

func sorted(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

func TestWhatIsKept(t *testing.T) {
	for _, c := range []struct {
		name   string
		kind   fault.Kind
		change func(*event.Event)
		kept   bool
	}{
		{"internal", fault.Internal, nil, true},
		{"timeout", fault.Timeout, nil, true},
		{"unavailable", fault.Unavailable, nil, true},
		{"overloaded", fault.Overloaded, nil, false},
		{"the sender's own fault", fault.Invalid, nil, false},
		{"forbidden", fault.Forbidden, nil, false},
		{"a query that came too late", fault.Timeout, func(ev *event.Event) { ev.Spec.Durable = false }, false},
		{"a query that panicked", fault.Internal, func(ev *event.Event) { ev.Spec.Durable = false }, true},
		{"before a session", fault.Internal, func(ev *event.Event) { ev.Spec.Permission = event.BeforeSession }, false},
		{"nobody's", fault.Internal, func(ev *event.Event) { ev.Origin = origin{} }, false},
		{"unreadable", fault.Internal, func(ev *event.Event) { ev.Spec = nil }, false},
		{"not JSON", fault.Internal, func(ev *event.Event) { ev.Data = []byte(`{"text"`) }, false},
		{"an unknown action", fault.Internal, func(ev *event.Event) { ev.Spec.Name = "unknown" }, false},
		{"with a token", fault.Internal, func(ev *event.Event) { ev.Action, ev.Spec.Name = "auth:refresh", "auth:refresh" }, false},
		{"of the server", fault.Internal, func(ev *event.Event) { ev.Origin = origin{&event.Identity{Tenant: "acme"}} }, true},
		{"without an error", fault.Internal, func(ev *event.Event) { ev.Err = nil }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, ev := letters(newStore(), nil), failed("1")
			if c.change != nil {
				c.change(ev)
			}
			l.Event(ev, c.kind)
			list := l.List("", "", 10)
			if (len(list) == 1) != c.kept {
				t.Fatalf("kept %+v", list)
			}
			if !c.kept {
				return
			}
			var env struct {
				ID, Room string
				Payload  struct {
					Action string
					Data   json.RawMessage
				}
			}
			if err := json.Unmarshal(list[0].Envelope, &env); err != nil || env.ID != "1" || env.Room != "channel:x" ||
				env.Payload.Action != "message:send" || string(env.Payload.Data) != `{"text":"x"}` {
				t.Errorf("%v: %s", err, list[0].Envelope)
			}
			if list[0].Code != c.kind.Code() {
				t.Errorf("%+v", list[0])
			}
		})
	}
}

func TestAnEventThatFailsAgainIsOneLetter(t *testing.T) {
	l := letters(newStore(), nil)
	for range 3 {
		l.Event(failed("1"), fault.Unavailable)
	}
	l.Event(failed("2"), fault.Timeout)
	for range 2 {
		l.Event(failed(""), fault.Timeout) // two events without an id
	}
	list := l.List("acme", "", 10)
	if len(list) != 4 || list[0].Attempts != 3 || list[2].EventID != list[2].ID {
		t.Errorf("%+v", list)
	}
}

func TestBounds(t *testing.T) {
	for _, c := range []struct {
		name  string
		deps  func(*Deps)
		most  int
		least int
	}{
		{"letters", func(d *Deps) { d.Count = 10 }, 10, 10},
		{"bytes", func(d *Deps) { d.Bytes = 20_000 }, 20, 10},
		{"one larger than all", func(d *Deps) { d.Bytes = 1 }, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := letters(newStore(), c.deps)
			for i := range 100 {
				ev := failed(fmt.Sprint(i))
				ev.Err = fault.Wrap(strings.Repeat("x", 5000), fault.Internal, errAway)
				l.Event(ev, fault.Internal)
			}
			list := l.List("acme", "", 1000)
			if len(list) > c.most || len(list) < min(c.least, 10) || list[len(list)-1].EventID != "99" {
				t.Errorf("%d letters, the last %s", len(list), list[len(list)-1].EventID)
			}
			if got := l.Dropped.Load(); got != uint64(100-len(list)) {
				t.Errorf("%d dropped", got)
			}
			l.Event(&event.Event{Envelope: failed("1").Envelope, Origin: origin{&event.Identity{Tenant: "globex"}}, Spec: failed("").Spec}, fault.Internal)
			if n := l.Counts(); n["globex"] != 1 || n["acme"] != len(list) {
				t.Errorf("one tenant takes from the other: %v", n)
			}
		})
	}
}

// TestStore has letters survive, while the store fails and behind it.
func TestStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		l := letters(s, func(d *Deps) { d.Count = 5 })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx) }() // ended by cancel
		l.Event(failed("1"), fault.Unavailable)
		l.Event(failed("2"), fault.Unavailable)
		synctest.Wait()
		if s.len() != 2 {
			t.Fatalf("%d rows", s.len())
		}
		s.fail(true)
		before := s.commits
		for i := range 50 {
			l.Event(failed(fmt.Sprint("late", i)), fault.Unavailable)
		}
		synctest.Wait()
		if n := len(l.List("", "", 100)); n != 5 || s.len() != 2 {
			t.Errorf("%d letters, %d rows", n, s.len())
		}
		if tries := s.commits - before; tries != 1 {
			t.Errorf("%d tries of a store that fails", tries)
		}
		s.fail(false)
		time.Sleep(defaultRetry + time.Second)
		synctest.Wait()
		if s.len() != 5 || l.Failed.Load() == 0 {
			t.Errorf("%d rows", s.len())
		}
		first := l.List("", "", 1)[0]
		if !l.Drop(first.ID) || l.Drop(first.ID) {
			t.Error("dropped other than once")
		}
		cancel() // the store is told all the same
		if err := <-done; err != nil {
			t.Error(err)
		}
		s.rows["unreadable"] = "{"
		again := letters(s, nil)
		if err := again.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		if list := again.List("acme", "", 100); len(list) != 4 || list[0].EventID != "late46" || list[0].Tenant != "acme" {
			t.Errorf("%+v", list)
		}
		again.Event(failed("late46"), fault.Unavailable)
		if list := again.List("acme", "", 100); len(list) != 4 || list[0].Attempts != 2 {
			t.Errorf("it is not known again: %+v", list)
		}
		s.fail(true)
		if err := letters(s, nil).Load(t.Context()); err == nil {
			t.Error("a store that cannot be read is no error")
		}
	})
}

func TestAtTheSameTime(t *testing.T) {
	s := newStore()
	l := letters(s, func(d *Deps) { d.Count = 20 })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }() // ended by cancel
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 200 {
				l.Event(failed(fmt.Sprint(g, "-", i)), fault.Internal)
				for _, n := range l.List("", "", 2) {
					l.Drop(n.ID)
				}
			}
		})
	}
	wg.Wait()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(5 * time.Second); ; <-tick.C {
		ids := map[string]string{}
		for _, n := range l.List("", "", 100) {
			ids[n.ID] = ""
		}
		s.mu.Lock()
		same := slices.Equal(sorted(ids), sorted(s.rows))
		s.mu.Unlock()
		if same {
			break
		}
		if time.Now().After(end) {
			t.Fatal("store and memory never agree")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// again notes what is replayed.
type again struct {
	err  error
	done []string
}

func (a *again) Replay(_ context.Context, n *Letter) error {
	a.done = append(a.done, n.EventID)
	return a.err
}

func TestReplay(t *testing.T) {
	old := func(ago time.Duration, user, key string) event.Record {
		return event.Record{Key: key, Envelope: event.Envelope{
			Room: "channel:x", Timestamp: time.Now().Add(-ago).UnixMilli(), From: event.Sender{User: user}, Position: event.Position{Offset: 1},
		}}
	}
	for _, c := range []struct {
		name    string
		records []event.Record
		err     error
		status  int
		ran     bool
	}{
		{"done", nil, nil, 200, true},
		{"fails again", nil, fault.New(fault.Forbidden, "room", "no"), 403, true},
		{"stored meanwhile", []event.Record{old(0, "ann", "a##1")}, nil, 200, false},
		{"another's id", []event.Record{old(0, "ben", "a##1")}, nil, 200, true},
		{"another id", []event.Record{old(0, "ann", "a#1")}, nil, 200, true},
		{"long before", []event.Record{old(time.Hour, "ann", "a##1")}, nil, 200, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStore()
			s.records = c.records
			l := letters(s, func(d *Deps) { d.History = s })
			l.Event(failed("a#1"), fault.Timeout)
			by, mux := &again{err: c.err}, http.NewServeMux()
			for pattern, h := range l.Routes(by) {
				mux.Handle(pattern, h)
			}
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, httptest.NewRequest("POST", "/deadletters/"+l.List("", "", 1)[0].ID+"/replay", nil))
			if w.Code != c.status || (len(by.done) == 1) != c.ran {
				t.Errorf("%d %s, ran %v", w.Code, w.Body, by.done)
			}
			if left := len(l.List("", "", 1)); (left == 0) != (c.status == 200) {
				t.Errorf("%d are left", left)
			}
		})
	}
}
