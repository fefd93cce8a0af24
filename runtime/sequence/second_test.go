package sequence

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

func newProbe(room, user, key string) *ticket {
	tk := newTicket(nil, room, user, key)
	tk.Probe = true
	return tk
}

func TestProbe(t *testing.T) {
	log := newFakeLog()
	r := start(t, log, nil)
	first := r.send(t, "conv:1", "ann", "k")
	for _, c := range []struct {
		name, room, user, key string
		known                 bool
	}{
		{"known", "conv:1", "ann", "k", true},
		{"another id", "conv:1", "ann", "l", false},
		{"another room", "conv:2", "ann", "k", false},
		{"another user", "conv:1", "bob", "k", false},
		{"no id", "conv:1", "ann", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := <-r.submit(t, newProbe(c.room, c.user, c.key)).out
			if c.known && (o.Err != nil || !o.Repeat || o.Stored != first.Stored) || !c.known && !fault.Is(o.Err, fault.NotFound) {
				t.Errorf("%+v", o)
			}
		})
	}
	if o := r.send(t, "conv:2", "ann", "k"); o.Err != nil || o.Repeat || o.Offset != 1 {
		t.Errorf("behind a probe of the same key: %+v", o)
	}
	r.stop()
	if s := r.Stats(); len(r.pub.seen) != 2 || s[0].Refused+s[1].Refused != 0 {
		t.Errorf("%d published, %+v", len(r.pub.seen), s)
	}
}

// A probe of what is in flight is not answered before that is durable, and fails
// with it.
func TestProbeInFlight(t *testing.T) {
	for _, fails := range []bool{false, true} {
		t.Run(fmt.Sprintf("the first fails %v", fails), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := newFakeLog()
				log.gate = make(chan struct{})
				if fails {
					log.failWait = func([]event.Record) (bool, error) { return false, errFault }
				}
				r := start(t, log, nil)
				first := r.submit(t, newTicket(r.pub, "conv:1", "ann", "k"))
				synctest.Wait() // it is in flight alone
				asked := r.submit(t, newProbe("conv:1", "ann", "k"))
				synctest.Wait()
				if len(asked.out) > 0 {
					t.Fatal("answered before it was durable")
				}
				close(log.gate)
				a, b := <-first.out, <-asked.out
				if fails && !fault.Is(b.Err, fault.Unavailable) || !fails && (b.Err != nil || b.Stored != a.Stored || !b.Repeat) {
					t.Errorf("%+v, %+v", a, b)
				}
				r.stop()
			})
		})
	}
}

func TestSecond(t *testing.T) {
	r := start(t, newFakeLog(), nil)
	s, out := stageOf(r)
	leave := func(id string) *event.Event {
		ev := newEvent(id, effect("conv:1", "ann"), effect("user:ann", "ann"))
		ev.Spec = &event.Action{Name: "room:leave", Durable: true}
		return ev
	}
	first := r.process(t, leave("a#1")).ev
	reply := event.Payload{
		{Name: "room", Kind: event.String, Required: true}, {Name: "epoch", Kind: event.String, Required: true}, {Name: "offset", Kind: event.Int, Required: true},
		{Name: "unread", Kind: event.Int, Required: true}, {Name: "name", Kind: event.String, Required: true}, {Name: "member", Kind: event.Bool, Required: true},
		{Name: "users", Kind: event.Array, Required: true}, {Name: "more", Kind: event.Object, Required: true}, {Name: "body", Kind: event.Any, Required: true},
		{Name: "repeat", Kind: event.Bool},
	}
	shape := `{"room":"conv:1","epoch":"` + first.Stored.Epoch + `","offset":1,"unread":0,"name":"","member":false,"users":[],"more":{},"body":null}`
	forbidden := fault.New(fault.Forbidden, "room", "not a member")
	for _, c := range []struct {
		name    string
		id      string
		refused error
		change  func(*event.Event)
		taken   bool
		repeat  bool
	}{
		{"lost ack", "a#1", forbidden, nil, true, true},
		{"not found", "a#1", fault.New(fault.NotFound, "", ""), nil, true, true},
		{"conflict", "a#1", fault.Wrap("room", fault.Conflict, errFault), nil, true, true},
		{"new", "b", forbidden, nil, true, false},
		{"another user", "a#1", forbidden, func(ev *event.Event) { ev.From.User = "bob" }, true, false},
		{"another room", "a#1", forbidden, func(ev *event.Event) { ev.Room = "conv:2" }, true, false},
		{"another tenant", "a#1", forbidden, func(ev *event.Event) { ev.Tenant = "globex" }, true, false},
		{"invalid", "a#1", fault.New(fault.Invalid, "data", ""), nil, false, false},
		{"rate limited", "a#1", fault.New(fault.RateLimited, "", ""), nil, false, false},
		{"no fault", "a#1", errFault, nil, false, false},
		{"no id", "", forbidden, nil, false, false},
		{"no room", "a#1", forbidden, func(ev *event.Event) { ev.Room = "" }, false, false},
		{"no action", "a#1", forbidden, func(ev *event.Event) { ev.Spec = nil }, false, false},
		{"a reply with required fields", "a#1", forbidden, func(ev *event.Event) { ev.Spec = &event.Action{Durable: true, Reply: reply} }, true, true},
		{"a reply that the handler gave", "a#1", forbidden, func(ev *event.Event) { ev.Respond([]byte(`{"half":"done"}`)) }, true, true},
		{"not durable", "a#1", forbidden, func(ev *event.Event) { ev.Spec = &event.Action{} }, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			ev := leave(c.id)
			if c.change != nil {
				c.change(ev)
			}
			if taken := s.Second(t.Context(), ev, c.refused); taken != c.taken {
				t.Fatalf("taken: %v", taken)
			} else if !taken {
				if len(out) > 0 || len(ev.Effects) != 2 {
					t.Error("it was changed or went on")
				}
				return
			}
			got := <-out
			if got.ev != ev || ev.Effects != nil || ev.Repeat != c.repeat {
				t.Errorf("%+v", got)
			}
			if c.repeat && (got.err != nil || ev.Stored != first.Stored || ev.StoredID != first.StoredID || ev.Timestamp != first.Timestamp) {
				t.Errorf("%+v, the first was %+v", got, first)
			}
			want := `{}`
			switch {
			case strings.HasPrefix(c.name, "a reply with"):
				want = shape
			case strings.HasPrefix(c.name, "a reply that"):
				want = `{"half":"done"}`
			}
			if c.repeat && string(ev.Reply) != want {
				t.Errorf("reply %s, want %s", ev.Reply, want)
			}
			if !c.repeat && (!errors.Is(got.err, c.refused) || ev.Stored != (event.Position{})) {
				t.Errorf("%+v", got)
			}
		})
	}
	r.stop()
	if len(r.pub.seen) != 2 {
		t.Errorf("%d published", len(r.pub.seen))
	}
}

// Whether it is a repeat is not known: the refusal would be final.
func TestSecondWithoutAnAnswer(t *testing.T) {
	log := newFakeLog()
	log.failOpen = func(int) error { return errFault }
	r := start(t, log, nil)
	s, out := stageOf(r)
	ev := newEvent("1")
	ev.Spec = &event.Action{Durable: true}
	if !s.Second(t.Context(), ev, fault.New(fault.Forbidden, "", "")) {
		t.Fatal("not taken")
	}
	if got := <-out; !fault.Is(got.err, fault.Unavailable) {
		t.Errorf("%+v", got)
	}
	r.stop()
	if !s.Second(t.Context(), ev, fault.New(fault.Forbidden, "", "")) {
		t.Fatal("not taken by a committer that has ended")
	}
	if got := <-out; !fault.Is(got.err, fault.Draining) {
		t.Errorf("%+v", got)
	}
}
