package typing

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/runtime/authorize"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/validate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// config is the default one.
var config = Config{Interval: time.Second, Timeout: 6 * time.Second, Throttle: time.Second, Typers: 100, Rooms: 10000}

// rooms write down what they are told.
type rooms struct {
	mu    sync.Mutex
	begun time.Time
	told  []event.Envelope
	lines []string
}

func (r *rooms) Emit(env *event.Envelope, merge string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	line := fmt.Sprintf("%v %s %s", time.Since(r.begun), env.Room, env.Data)
	want := event.Envelope{
		Type: event.TypeEvent, Tenant: env.Tenant, Timestamp: time.Now().UnixMilli(), Room: env.Room, Action: "typing:update", Data: env.Data,
	}
	if string(env.Data) != `{"users":[],"others":0}` {
		want.Expires = want.Timestamp + 8000
	}
	if got, want := fmt.Sprintf("%+v", *env), fmt.Sprintf("%+v", want); got != want || merge != "typing:"+env.Room {
		line += " as " + got + " " + merge
	}
	r.told = append(r.told, *env)
	r.lines = append(r.lines, line)
}

// read waits until all is told that is due.
func (r *rooms) read() (told []event.Envelope, lines []string) {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.told), slices.Clone(r.lines)
}

// in runs a test in a bubble, with Typing at work.
func in(t *testing.T, cfg Config, f func(ty *Typing, r *rooms)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rooms{begun: time.Now()}
		ty := New(cfg, Deps{Emit: r})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- ty.Run(ctx) }()
		f(ty, r)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// session has these rights in every room, or has joined none.
type session struct {
	user   string
	member event.Membership
	out    bool
}

func (s session) Identity() *event.Identity                     { return &event.Identity{Tenant: "acme", User: s.user} }
func (session) Opened() bool                                    { return true }
func (s session) Member(string) (m event.Membership, join bool) { return s.member, !s.out }

// call takes an event through validate, authorize and its handler.
func call(t *testing.T, ty *Typing, from session, action, room, data string) (*event.Event, error) {
	t.Helper()
	ev := &event.Event{Origin: from, Envelope: event.Envelope{
		Type: event.TypeEvent, Tenant: "acme", Room: room, From: event.Sender{User: from.user, Device: "phone"}, Action: action, Data: []byte(data),
	}}
	all := ty.Actions()
	ev.Spec = &all[slices.IndexFunc(all, func(a event.Action) bool { return a.Name == action })]
	if _, err := validate.New().Process(t.Context(), ev); err != nil {
		return ev, err
	}
	if _, err := authorize.New().Process(t.Context(), ev); err != nil {
		return ev, err
	}
	if err := ev.Spec.Handle(t.Context(), ev); err != nil {
		return ev, err
	}
	for _, e := range ev.Effects {
		e.Do() // as the stage deliver does
	}
	return ev, nil
}

// play does the lines of a script, "AT DEED USER [ROOM]", in time, and waits until
// end.
func play(t *testing.T, ty *Typing, script []string, end time.Duration) {
	t.Helper()
	begun := time.Now()
	for _, line := range script {
		word := strings.Fields(line)
		at, err := time.ParseDuration(word[0])
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(begun.Add(at)))
		synctest.Wait()
		room := "conv:1"
		if len(word) > 3 {
			room = word[3]
		}
		if word[1] == "left" {
			ty.Stop("acme", room, word[2])
			continue
		}
		ev, err := call(t, ty, session{user: word[2], member: event.Membership{Publish: true}}, "typing:"+word[1], room, `{}`)
		if err != nil || len(ev.Effects) != 1 || ev.Reply != nil {
			t.Fatalf("%s: %v, %+v", line, err, ev)
		}
	}
	time.Sleep(time.Until(begun.Add(end)))
}

func TestUpdates(t *testing.T) {
	for _, c := range []struct {
		name   string
		script []string
		end    string
		want   []string
	}{
		{"begin and stop", []string{"0s start ann", "2500ms stop ann"}, "20s",
			[]string{`0s conv:1 ["ann"] 0`, `2.5s conv:1 [] 0`}},
		{"changes of one interval are one event", []string{"0s start ann", "200ms start ben", "300ms start cat", "400ms stop ann", "1500ms stop ben", "1600ms stop cat"}, "20s",
			[]string{`0s conv:1 ["ann"] 0`, `1s conv:1 ["ben","cat"] 0`, `2s conv:1 [] 0`}},
		{"what came to nothing is not told", []string{"0s start ann", "200ms start ben", "300ms stop ben", "4s stop ann"}, "20s",
			[]string{`0s conv:1 ["ann"] 0`, `4s conv:1 [] 0`}},
		{"stopped before anybody was told", []string{"0s start ann", "0s stop ann"}, "20s", []string{`0s conv:1 ["ann"] 0`, `1s conv:1 [] 0`}},
		{"silence is a stop", []string{"0s start ann"}, "20s",
			[]string{`0s conv:1 ["ann"] 0`, `6s conv:1 [] 0`}},
		{"each in time", []string{"0s start ann", "2s start ben", "3s start ann"}, "20s",
			[]string{`0s conv:1 ["ann"] 0`, `2s conv:1 ["ann","ben"] 0`, `8s conv:1 ["ann"] 0`, `9s conv:1 [] 0`}},
		{"silence right behind an event waits for its interval", []string{"0s start ann", "5500ms start ben"}, "20s",
			[]string{`0s conv:1 ["ann"] 0`, `5.5s conv:1 ["ann","ben"] 0`, `6.5s conv:1 ["ben"] 0`, `11.5s conv:1 [] 0`}},
		{"one who goes on is told again", []string{"0s start ann", "3s start ann", "6s start ann", "9s start ann"}, "30s",
			[]string{`0s conv:1 ["ann"] 0`, `6s conv:1 ["ann"] 0`, `12s conv:1 ["ann"] 0`, `15s conv:1 [] 0`}},
		{"a repeat that comes too soon does not count", []string{"0s start ann", "999ms start ann"}, "20s",
			[]string{`0s conv:1 ["ann"] 0`, `6s conv:1 [] 0`}},
		{"one that does not", []string{"0s start ann", "1s start ann"}, "20s",
			[]string{`0s conv:1 ["ann"] 0`, `6s conv:1 ["ann"] 0`, `7s conv:1 [] 0`}},
		{"beginning again at once", []string{"0s start ann", "1500ms stop ann", "1600ms start ann", "5s stop ann"}, "20s",
			[]string{`0s conv:1 ["ann"] 0`, `1.5s conv:1 [] 0`, `2.5s conv:1 ["ann"] 0`, `5s conv:1 [] 0`}},
		{"names keep their places", []string{"0s start cat", "1s start ann", "2s start ben", "2500ms start cat", "4s stop ann", "4500ms start ann"}, "5400ms",
			[]string{`0s conv:1 ["cat"] 0`, `1s conv:1 ["cat","ann"] 0`, `2s conv:1 ["cat","ann","ben"] 0`, `4s conv:1 ["cat","ben"] 0`, `5s conv:1 ["cat","ben","ann"] 0`}},
		{"left", []string{"0s start ann", "0s start ben", "2s left ann", "3s left cat", "3s left ben conv:2", "4s left ben"}, "20s",
			[]string{`0s conv:1 ["ann"] 0`, `1s conv:1 ["ann","ben"] 0`, `2s conv:1 ["ben"] 0`, `4s conv:1 [] 0`}},
		{"stop of one who does not type", []string{"0s stop ann", "1s start ann", "2s stop ben"}, "6s",
			[]string{`1s conv:1 ["ann"] 0`}},
		{"rooms are told each for itself", []string{"0s start ann", "100ms start ann conv:2", "200ms start ben conv:2"}, "5s",
			[]string{`0s conv:1 ["ann"] 0`, `100ms conv:2 ["ann"] 0`, `1.1s conv:2 ["ann","ben"] 0`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, config, func(ty *Typing, r *rooms) {
				end, err := time.ParseDuration(c.end)
				if err != nil {
					t.Fatal(err)
				}
				play(t, ty, c.script, end)
				for i, line := range c.want { // "AT ROOM USERS MORE"
					word := strings.Fields(line)
					c.want[i] = fmt.Sprintf(`%s %s {"users":%s,"others":%s}`, word[0], word[1], word[2], word[3])
				}
				_, got := r.read()
				same(t, got, c.want)
			})
		})
	}
}

func same(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func TestRefused(t *testing.T) {
	writer := session{user: "ann", member: event.Membership{Publish: true}}
	reader := session{user: "ann", member: event.Membership{Durable: true}}
	for _, c := range []struct {
		name, action, room, data string
		from                     session
		want                     string
	}{
		{"start without a room", "typing:start", "", `{}`, writer, "invalid in room: is missing"},
		{"stop without a room", "typing:stop", "", `{}`, writer, "invalid in room: is missing"},
		{"no room's name", "typing:start", "conv", `{}`, writer, "invalid in room: must be type:id, type:id/feature or type:id/participant/user; type and feature: a lower-case letter and up to 31 of [a-z0-9_-]; id and user: 1 to 128 characters of [A-Za-z0-9._~@|+=-]"},
		{"no object", "typing:start", "conv:1", `[]`, writer, "invalid in payload.data: must be an object"},
		{"no JSON", "typing:stop", "conv:1", `{"a"}`, writer, "malformed in payload.data: not JSON"},
		{"stranger starts", "typing:start", "conv:1", `{}`, session{user: "ann", out: true}, "forbidden in room: the session has not joined this room"},
		{"stranger stops", "typing:stop", "conv:1", `{}`, session{user: "ann", out: true}, "forbidden in room: the session has not joined this room"},
		{"reader", "typing:start", "conv:1", `{}`, reader, "forbidden in room: this room is read-only for this user"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, config, func(ty *Typing, r *rooms) {
				ev, err := call(t, ty, c.from, c.action, c.room, c.data)
				f := fault.Of(err)
				if got := fmt.Sprintf("%s in %s: %s", f.Kind, f.Field, f.Message()); err == nil || got != c.want {
					t.Errorf("%v, want %s", err, c.want)
				}
				_, told := r.read()
				if st := ty.Stats(); len(ev.Effects) != 0 || len(told) != 0 || st != (Stats{}) {
					t.Errorf("refused, and yet: %+v %q %+v", ev.Effects, told, st)
				}
			})
		})
	}
}

// TestStopIsFree: one whose right to publish was withdrawn may still stop.
func TestStopIsFree(t *testing.T) {
	in(t, config, func(ty *Typing, r *rooms) {
		ty.start("acme", "conv:1", "ann")
		if _, err := call(t, ty, session{user: "ann"}, "typing:stop", "conv:1", `{}`); err != nil {
			t.Fatal(err)
		}
		if st := ty.Stats(); st.Stops != 1 || st.Typers != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestTenantsAreApart(t *testing.T) {
	in(t, config, func(ty *Typing, r *rooms) {
		ty.start("acme", "conv:1", "ann")
		ty.start("umbrella", "conv:1", "eve")
		ty.Stop("umbrella", "conv:1", "ann")
		told, _ := r.read()
		got := map[string]string{}
		for _, env := range told {
			got[env.Tenant] += string(env.Data)
		}
		if len(told) != 2 || got["acme"] != `{"users":["ann"],"others":0}` || got["umbrella"] != `{"users":["eve"],"others":0}` {
			t.Errorf("%q", got)
		}
	})
}
