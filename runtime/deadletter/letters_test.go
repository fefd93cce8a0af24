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
	for end := time.Now().Add(30 * time.Second); ; <-tick.C {
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

// TestReplayOfWhatIsStoredElsewhere: the first effect of an event without a room is in
// another one, where it has another key.
func TestReplayOfWhatIsStoredElsewhere(t *testing.T) {
	stored := event.Record{Key: "m1#1:", Envelope: event.Envelope{
		Tenant: "acme", Room: "user:bob", From: event.Sender{User: "ann"}, Timestamp: time.Now().UnixMilli(), Position: event.Position{Offset: 1},
	}}
	direct := func(room, key string) *event.Event {
		ev := failed("m1")
		ev.Room, ev.Action, ev.Spec.Name, ev.Data = "", "direct:send", "direct:send", []byte(`{"to":"bob","text":"x"}`)
		if room != "" {
			ev.Emit(event.Effect{Envelope: event.Envelope{Room: "user:ann"}}) // is stored nowhere
			ev.Emit(event.Effect{Envelope: event.Envelope{Room: room, From: event.Sender{User: "ann"}}, Durable: true, Key: key})
			ev.Emit(event.Effect{Envelope: event.Envelope{Room: "user:ann", From: event.Sender{User: "ann"}}, Durable: true})
		}
		return ev
	}
	for name, c := range map[string]struct {
		tries []*event.Event
		ran   bool
	}{
		"its ack was late":                     {[]*event.Event{direct("user:bob", "m1#1:")}, false},
		"and then it failed early":             {[]*event.Event{direct("user:bob", "m1#1:"), direct("", "")}, false},
		"it failed early, then its ack was":    {[]*event.Event{direct("", ""), direct("user:bob", "m1#1:")}, false},
		"it failed early":                      {[]*event.Event{direct("", "")}, true},
		"it was not handed over":               {[]*event.Event{direct("user:bob", "")}, true},
		"another is stored":                    {[]*event.Event{direct("user:bob", "m2#1:")}, true},
		"the same key is another's":            {[]*event.Event{direct("user:bob", "m1#1:@")}, true},
		"in another room there is none":        {[]*event.Event{direct("user:cat", "m1#1:")}, true},
		"an id that is the key, in its room":   {[]*event.Event{failed("m1#1:")}, true},
		"nothing is known of one that was not": {[]*event.Event{failed("m1")}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore()
			s.records = []event.Record{stored}
			l := letters(s, func(d *Deps) { d.History = s })
			for _, ev := range c.tries {
				l.Event(ev, fault.Timeout)
			}
			by := &again{}
			list := l.List("", "", 9)
			w := httptest.NewRecorder()
			l.replay(w, withID(list[0].ID), by)
			if (len(by.done) > 0) != c.ran || len(list) != 1 || w.Code != 200 {
				t.Errorf("%d %s, ran %v, of %d letters", w.Code, w.Body, by.done, len(list))
			}
		})
	}
}

func withID(id string) *http.Request {
	r := httptest.NewRequest("POST", "/", nil)
	r.SetPathValue("id", id)
	return r
}

// TestTenantsThatComeLater: their letters are read when there are such tenants, also
// if the store fails at first, and letters that were made meanwhile stay.
func TestTenantsThatComeLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		before := letters(s, nil)
		for _, id := range []string{"old1", "old2"} {
			before.Event(failed(id), fault.Internal)
			if err := before.settle(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		var mu sync.Mutex
		var tenants []string
		l := letters(s, func(d *Deps) {
			d.Tenants = func() []string { mu.Lock(); defer mu.Unlock(); return slices.Clone(tenants) }
		})
		if err := l.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx) }() // ended by cancel
		time.Sleep(time.Second)
		l.Event(failed("new"), fault.Internal)
		synctest.Wait()
		s.fail(true)
		mu.Lock()
		tenants = []string{"acme"}
		mu.Unlock()
		time.Sleep(time.Minute)
		s.fail(false)
		time.Sleep(2 * defaultRetry)
		synctest.Wait()
		var got []string
		for _, n := range l.List("acme", "", 100) {
			got = append(got, n.EventID)
		}
		if !slices.Equal(got, []string{"old1", "old2", "new"}) || s.len() != 3 || l.boxes["acme"].list[0].EventID != "old1" {
			t.Errorf("%q, %d rows", got, s.len())
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// late is a store that stores, and fails to say so.
type late struct{ *store }

func (s late) Commit(ctx context.Context, e event.Effect) error {
	if err := s.store.Commit(ctx, e); err != nil || e.Action != actionKept {
		return err
	}
	return fault.Wrap("store", fault.Timeout, context.DeadlineExceeded)
}

// TestWhatMayBeStoredIsDropped: also if the store did not say that it has the letter.
func TestWhatMayBeStoredIsDropped(t *testing.T) {
	s := newStore()
	l := letters(s, func(d *Deps) { d.Committer = late{s} })
	l.Event(failed("m1"), fault.Internal)
	if err := l.settle(t.Context()); err == nil || s.len() != 1 {
		t.Fatalf("%v, %d rows", err, s.len())
	}
	l.Drop(l.List("", "", 1)[0].ID)
	if err := l.settle(t.Context()); err != nil || s.len() != 0 {
		t.Errorf("%v, %d rows", err, s.len())
	}
}
