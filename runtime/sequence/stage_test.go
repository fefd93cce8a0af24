package sequence

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"sync"
	"testing"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/pipeline"
)

// continued is what the stage handed on.
type continued struct {
	ev  *event.Event
	err error
}

func stageOf(c Submitter) (*Stage, chan continued) {
	out := make(chan continued, 1)
	return NewStage(StageDeps{Committer: c, Continue: func(ev *event.Event, err error) { out <- continued{ev, err} }}), out
}

func newEvent(id string, effects ...event.Effect) *event.Event {
	ev := &event.Event{}
	ev.ID, ev.Tenant, ev.Room, ev.From = id, "acme", "conv:1", event.Sender{User: "ann", Device: "phone"}
	for _, e := range effects {
		e.Tenant = "acme"
		ev.Emit(e)
	}
	return ev
}

func effect(room, user string) event.Effect {
	e := event.Effect{Durable: true, Unread: true}
	e.Room, e.From.User, e.Action, e.Data = room, user, "message:send", []byte(`{}`)
	return e
}

func (r *rig) process(t *testing.T, ev *event.Event) continued {
	t.Helper()
	s, out := stageOf(r)
	if v, err := s.Process(t.Context(), ev); v != pipeline.Handled || err != nil {
		t.Fatalf("%v, %v", v, err)
	}
	return <-out
}

func TestStagePassesWhatIsNotDurable(t *testing.T) {
	s, _ := stageOf(nil)
	typing := effect("conv:1", "ann")
	typing.Durable = false
	if v, err := s.Process(t.Context(), newEvent("1", typing)); v != pipeline.Pass || err != nil {
		t.Errorf("%v, %v", v, err)
	}
}

func TestStageStoresTheFirstEffect(t *testing.T) {
	r := start(t, newFakeLog(), nil)
	typing := effect("conv:1", "ann")
	typing.Durable = false
	got := r.process(t, newEvent("1", typing, effect("conv:1", "ann")))
	if got.err != nil || got.ev.Stored.Offset != 1 || got.ev.StoredID == "" || got.ev.Repeat || got.ev.Effects[1].Key != "1" {
		t.Errorf("%+v", got)
	}
	again := r.process(t, newEvent("1", typing, effect("conv:1", "ann")))
	if again.err != nil || again.ev.Stored != got.ev.Stored || again.ev.StoredID != got.ev.StoredID || !again.ev.Repeat {
		t.Errorf("%+v", again)
	}
	r.stop()
	rec := r.pub.seen[0]
	if rec.Type != event.TypeMessage || rec.Key != "1" || !rec.Unread || rec.From.User != "ann" || rec.Action != "message:send" {
		t.Errorf("%+v", rec)
	}
}

func TestStageJoinsEffects(t *testing.T) {
	r := start(t, newFakeLog(), nil)
	ev := func() *event.Event {
		return newEvent("1", effect("conv:1", "ann"), effect("user:bob", "ann"), effect("user:cem", ""), effect("conv:1", "ann"))
	}
	got := r.process(t, ev())
	if got.err != nil || got.ev.Stored.Offset != 1 || len(r.pub.seen) != 4 {
		t.Fatalf("%+v, %d published", got, len(r.pub.seen))
	}
	again := r.process(t, ev())
	if again.err != nil || again.ev.Stored != got.ev.Stored || len(r.pub.seen) != 4 {
		t.Errorf("%+v, %d published", again, len(r.pub.seen))
	}
}

// The same id may be used in each room, and what it brings to a third one is
// stored each time.
func TestOneIDInTwoRooms(t *testing.T) {
	read, create := func() []event.Effect { return []event.Effect{effect("user:ann", "ann")} }, func() []event.Effect {
		return []event.Effect{effect("", "ann"), effect("user:bob", "ann"), effect("user:cem", "")}
	}
	for _, c := range []struct {
		name    string
		effects func() []event.Effect // "" is the event's own room
		want    map[string]int        // records by room, after both
	}{
		{"message:read", read, map[string]int{"user:ann": 2}},
		{"room:create", create, map[string]int{"conv:1": 1, "conv:2": 1, "user:bob": 2, "user:cem": 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := start(t, newFakeLog(), nil)
			for round := range 2 {
				for _, room := range []string{"conv:1", "conv:2"} {
					ev := newEvent("r1", c.effects()...)
					ev.Room = room
					for i := range ev.Effects {
						ev.Effects[i].Room = cmp.Or(ev.Effects[i].Room, room)
					}
					if got := r.process(t, ev); got.err != nil || got.ev.Repeat != (round == 1) {
						t.Errorf("round %d in %s: %+v", round, room, got)
					}
				}
			}
			r.stop()
			got := map[string]int{}
			for i := range r.pub.seen {
				got[r.pub.seen[i].Room]++
			}
			if !maps.Equal(got, c.want) {
				t.Errorf("stored %v, want %v", got, c.want)
			}
		})
	}
}

// What a first attempt did not finish, the next one does.
func TestStageCompletesAnEventThatFailedHalfway(t *testing.T) {
	log := newFakeLog()
	r := start(t, log, nil)
	log.mu.Lock()
	log.failAppend = func(batch []event.Record) error {
		if batch[0].Room == "user:bob" {
			return errFault
		}
		return nil
	}
	log.mu.Unlock()
	got := r.process(t, newEvent("1", effect("conv:1", "ann"), effect("user:bob", "ann")))
	if !fault.Is(got.err, fault.Unavailable) {
		t.Fatalf("%+v", got)
	}
	log.mu.Lock()
	log.failAppend = nil
	log.mu.Unlock()
	got = r.process(t, newEvent("1", effect("conv:1", "ann"), effect("user:bob", "ann")))
	if got.err != nil || !got.ev.Repeat || len(r.pub.seen) != 2 {
		t.Errorf("%+v, %d published", got, len(r.pub.seen))
	}
}

func TestStageStopsAtARefusedFirstEffect(t *testing.T) {
	r := start(t, newFakeLog(), nil)
	create := effect("conv:1", "ann")
	create.Create = true
	if got := r.process(t, newEvent("1", create, effect("user:bob", "ann"))); got.err != nil {
		t.Fatal(got.err)
	}
	got := r.process(t, newEvent("2", create, effect("user:bob", "ann")))
	if !fault.Is(got.err, fault.Conflict) || len(r.pub.seen) != 2 {
		t.Errorf("%+v, %d published", got, len(r.pub.seen))
	}
}

func TestStageRejectsWhatIsNotTaken(t *testing.T) {
	r := start(t, newFakeLog(), func(_ *Config, d *Deps) { d.Space = func() bool { return false } })
	s, _ := stageOf(r)
	if v, err := s.Process(t.Context(), newEvent("1", effect("conv:1", "ann"))); v != pipeline.Reject || !fault.Is(err, fault.StorageFull) {
		t.Errorf("%v, %v", v, err)
	}
}

// fullQueues takes the first effect and refuses to take more without waiting.
type fullQueues struct{ refused int }

func (*fullQueues) Submit(_ context.Context, s *Submission) error {
	s.Done.Committed(Outcome{Stored: Stored{ID: "x"}})
	return nil
}

func (f *fullQueues) Offer(*Submission) error {
	f.refused++
	return fault.New(fault.Overloaded, "", "")
}

func TestStageDoesNotWaitForTheQueueOfAFurtherEffect(t *testing.T) {
	f := &fullQueues{}
	s, out := stageOf(f)
	_, err := s.Process(t.Context(), newEvent("1", effect("conv:1", "ann"), effect("user:bob", "ann"), effect("user:cem", "ann")))
	if got := <-out; err != nil || !fault.Is(got.err, fault.Overloaded) || f.refused != 2 {
		t.Errorf("%+v, %v, %d refused", got, err, f.refused)
	}
}

// However small the queues are, and however many effects an event has in one of them, it
// is stored whole, also where others fill them: at once, or when it is tried again.
func TestStageStoresMoreEffectsThanAQueueHolds(t *testing.T) {
	const effects, events = 600, 8
	for name, c := range map[string]struct {
		events int
		bound  func(c *Config)
	}{
		"one that is longer than the queue":      {1, func(c *Config) { c.QueueLen = 16 }},
		"a queue of one":                         {1, func(c *Config) { c.QueueLen = 1 }},
		"one that has more bytes than the queue": {1, func(c *Config) { c.QueueBytes = 8 * overhead }},
		"many at once":                           {events, func(c *Config) { c.QueueLen = 64 }},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, newFakeLog(), func(cfg *Config, _ *Deps) { c.bound(cfg) })
			var running sync.WaitGroup
			for n := range c.events {
				running.Go(func() {
					for tries := 0; ; tries++ {
						all := []event.Effect{effect("conv:1", "ann")}
						for range effects {
							all = append(all, effect("conv:1", ""))
						}
						got := r.process(t, newEvent(fmt.Sprint("e", n), all...))
						switch {
						case got.err == nil && (tries == 0 || got.ev.Repeat):
							return
						case c.events == 1 || !fault.Is(got.err, fault.Overloaded) || tries > 1000:
							t.Errorf("try %d: %v", tries, got.err)
							return
						}
					}
				})
			}
			running.Wait()
			r.stop()
			if want := c.events * (effects + 1); len(r.pub.seen) != want {
				t.Errorf("%d records, want %d", len(r.pub.seen), want)
			}
		})
	}
}

// No two effects of different events, senders or places share a key, however a
// sender chooses ids.
func TestKeysOfEffectsAreDistinct(t *testing.T) {
	seen := map[Key][]any{}
	check := func(id, user, in string) {
		for i, speaker := range []string{user, user, "", "", user} {
			for _, to := range []string{"conv:1", "user:ann"} {
				ev := newEvent(id, effect(to, ""), effect(to, ""), effect(to, ""), effect(to, ""), effect(to, ""))
				ev.From.User, ev.Room = user, in
				ev.Effects[i].From.User = speaker
				k := Key{Room: to, User: speaker, ID: keyOf(ev, i, i == 0)}
				if other, twice := seen[k]; twice {
					t.Errorf("%+v is effect %d of %q by %q in %q, and %v", k, i, id, user, in, other)
				}
				seen[k] = []any{i, id, user, in}
			}
		}
	}
	for _, id := range []string{"1", "1#", "1##", "1#2", "1##2", "1#2@ann", "#", "#2", "1#2@", "2@ann", "1#2:conv:2", "1#2:"} {
		for _, user := range []string{"ann", "bob", "ann#2", "2@ann", ":conv:2", "#@ann", "ann@bob"} {
			for _, in := range []string{"conv:1", "conv:2", "user:ann", "", "conv:2#", "conv:2#@ann", "#@ann", "conv:2@ann", "@ann"} {
				check(id, user, in)
			}
		}
	}
	named := effect("conv:1", "")
	named.Name = "orders.before.1"
	if a, b := keyOf(newEvent("abc", effect("conv:1", "ann"), named), 1, false), keyOf(newEvent("abc", effect("conv:1", "ann"), effect("conv:1", "ann"), named), 2, false); a != b || a != "abc#orders.before.1@ann" {
		t.Errorf("the key of an effect with a name: %q and %q", a, b)
	}
	if k := keyOf(newEvent("abc", effect("conv:1", "ann")), 0, true); k != "abc" {
		t.Errorf("the sender's own id became %q", k)
	}
}

// answered completes at once.
type answered struct{}

func (answered) Submit(_ context.Context, s *Submission) error {
	s.Done.Committed(Outcome{Stored: Stored{ID: "x"}})
	return nil
}
func (answered) Offer(*Submission) error { return nil }

func BenchmarkStage(b *testing.B) {
	s := NewStage(StageDeps{Committer: answered{}, Continue: func(*event.Event, error) {}})
	ev := newEvent("1", effect("conv:1", "ann"))
	b.ReportAllocs()
	for range b.N {
		if v, err := s.Process(b.Context(), ev); v != pipeline.Handled || err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCommitter(b *testing.B) {
	r := start(b, newFakeLog(), func(c *Config, _ *Deps) { c.Partitions = 1 })
	tickets := make([]*ticket, 64)
	for i := range tickets {
		tickets[i] = newTicket(nil, "conv:1", "ann", "")
		tickets[i].out <- Outcome{}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		tk := tickets[i%len(tickets)]
		<-tk.out
		if err := r.Submit(context.Background(), &tk.Submission); err != nil {
			b.Fatal(err)
		}
	}
	for _, tk := range tickets {
		<-tk.out
	}
}
