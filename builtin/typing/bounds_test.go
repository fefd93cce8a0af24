package typing

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
)

func TestNames(t *testing.T) {
	in(t, config, func(ty *Typing, r *rooms) {
		var names []string
		for i := range 13 {
			names = append(names, fmt.Sprintf(`"u%02d"`, 50-i))
			ty.start("acme", "conv:1", fmt.Sprintf("u%02d", 50-i))
		}
		time.Sleep(2 * time.Second) // the first event may have come before all were there
		told, _ := r.read()
		want := fmt.Sprintf(`{"users":[%s],"others":3}`, strings.Join(names[:10], ","))
		if got := string(told[len(told)-1].Data); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

func TestFull(t *testing.T) {
	cfg := config
	cfg.Typers, cfg.Rooms = 2, 3
	in(t, cfg, func(ty *Typing, r *rooms) {
		for _, user := range []string{"ann", "ben", "cat"} {
			ty.start("acme", "conv:1", user)
		}
		for i := range 10 {
			ty.start("acme", fmt.Sprintf("conv:%d", i+1), "ann")
		}
		ty.start("umbrella", "conv:9", "eve")
		want := Stats{Starts: 14, Throttled: 1, TypersFull: 1, RoomsFull: 7, Typers: 5, Rooms: 4}
		got := ty.Stats()
		got.Updates = 0
		if got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		ty.Stop("acme", "conv:1", "ann")
		ty.start("acme", "conv:1", "cat")
		if st := ty.Stats(); st.Typers != 5 {
			t.Errorf("a place that is free again is not taken: %+v", st)
		}
		time.Sleep(8 * time.Second)
		synctest.Wait()
		if st := ty.Stats(); st.Typers != 0 || st.Rooms != 0 || st.Timeouts != 5 {
			t.Errorf("silence, and yet %+v", st)
		}
		ty.start("acme", "conv:7", "ann")
		if st := ty.Stats(); st.Typers != 1 || st.Rooms != 1 {
			t.Errorf("the tenant's rooms stay counted: %+v", st)
		}
	})
}

// TestFigures measures what doc.go states: 50 typers of a room of 500, for a
// minute.
func TestFigures(t *testing.T) {
	const typers, minute = 50, 60 * time.Second
	for _, c := range []struct {
		name string
		user func(ty *Typing, user string, end time.Time)
		most int // events that each member of the room gets
	}{
		{"all of the time", func(ty *Typing, user string, end time.Time) {
			for time.Now().Before(end) {
				ty.start("acme", "conv:1", user)
				time.Sleep(3 * time.Second)
			}
		}, 13},
		{"on and off", func(ty *Typing, user string, end time.Time) {
			for time.Now().Before(end) {
				ty.start("acme", "conv:1", user)
				time.Sleep(rand.N(4 * time.Second))
				ty.Stop("acme", "conv:1", user)
				time.Sleep(rand.N(4 * time.Second))
			}
		}, 61},
		{"as fast as they can", func(ty *Typing, user string, end time.Time) {
			for time.Now().Before(end) {
				ty.start("acme", "conv:1", user)
				time.Sleep(rand.N(100 * time.Millisecond))
				ty.Stop("acme", "conv:1", user)
				time.Sleep(rand.N(100 * time.Millisecond))
			}
		}, 61},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, config, func(ty *Typing, r *rooms) {
				end := time.Now().Add(minute)
				for i := range typers {
					go func() { // ends with the minute
						time.Sleep(rand.N(3 * time.Second))
						c.user(ty, fmt.Sprintf("a-user-with-a-name%02d", i), end)
					}()
				}
				time.Sleep(minute)
				told, _ := r.read()
				longest := 0
				for i := range told {
					longest = max(longest, len(told[i].Data))
				}
				t.Logf("%d events to each member, the longest has %d bytes: %+v", len(told), longest, ty.Stats())
				if n := len(told); n > c.most || n < 10 || longest > 300 {
					t.Errorf("%d events, the longest has %d bytes", n, longest)
				}
				time.Sleep(10 * time.Second)
				if st := ty.Stats(); st.Rooms != 0 || st.Typers != 0 {
					t.Errorf("afterwards %+v", st)
				}
			})
		})
	}
}

// TestLastWordIsTrue: whatever happens at once, what a room was told last is who
// types.
func TestLastWordIsTrue(t *testing.T) {
	cfg := config
	cfg.Interval = 100 * time.Millisecond
	r := &latest{}
	ty := New(cfg, Deps{Emit: r})
	ctx, cancel := context.WithCancel(t.Context())
	var run, users sync.WaitGroup
	run.Go(func() { _ = ty.Run(ctx) })
	for i := range 8 {
		users.Go(func() {
			user := fmt.Sprintf("u%d", i)
			for n := range 2000 {
				room := fmt.Sprintf("conv:%d", n%20)
				ty.start("acme", room, user)
				if n%3 != 0 {
					ty.Stop("acme", room, user)
				}
			}
			for n := range 20 {
				ty.Stop("acme", fmt.Sprintf("conv:%d", n), user)
			}
		})
	}
	until := func(what string, is func(Stats) bool) {
		t.Helper()
		for deadline := time.Now().Add(5 * time.Second); !is(ty.Stats()); <-time.After(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("it never happened that %s: %+v", what, ty.Stats())
			}
		}
	}
	ty.start("acme", "conv:0", "last") // all others may have stopped before anything was told
	until("somebody was told", func(st Stats) bool { return st.Updates > 0 })
	users.Wait()
	ty.Stop("acme", "conv:0", "last")
	until("rooms are gone", func(st Stats) bool { return st.Rooms == 0 })
	cancel()
	run.Wait()
	r.room.Range(func(room, data any) bool {
		if data != string(nobody) {
			t.Errorf("nobody types in %s, and it was told %s", room, data)
		}
		return true
	})
	if st := ty.Stats(); st.Typers != 0 || st.Updates == 0 {
		t.Errorf("%+v", st)
	}
}

// latest keeps what each room was told last.
type latest struct{ room sync.Map }

func (l *latest) Emit(env *event.Envelope, _ string) { l.room.Store(env.Room, string(env.Data)) }

// nowhere is a hub without rooms.
type nowhere struct{}

func (nowhere) Emit(*event.Envelope, string) {}

// BenchmarkStart is typing:start, as its handler is called, of one of 50 typers of
// a room: one that counts, and one that comes too soon.
func BenchmarkStart(b *testing.B) {
	for _, c := range []struct {
		name string
		step time.Duration
	}{{"counts", 2 * time.Second}, {"too soon", 0}} {
		b.Run(c.name, func(b *testing.B) {
			now := time.Now()
			ty := New(config, Deps{Emit: nowhere{}, Now: func() time.Time { return now }})
			var events [50]*event.Event
			for i := range events {
				events[i] = &event.Event{Envelope: event.Envelope{Tenant: "acme", Room: "conv:1", From: event.Sender{User: fmt.Sprintf("a-user-with-a-name%02d", i)}}}
				ty.start("acme", "conv:1", events[i].From.User)
			}
			start := func(ev *event.Event) { ty.start(ev.Tenant, ev.Room, ev.From.User) }
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				now = now.Add(c.step)
				start(events[i%len(events)])
			}
		})
	}
}

// BenchmarkStartParallel is typing:start from all processors, in 16 rooms, with Run at
// work.
func BenchmarkStartParallel(b *testing.B) {
	ty := New(config, Deps{Emit: nowhere{}})
	ctx, cancel := context.WithCancel(b.Context())
	var run sync.WaitGroup
	run.Go(func() { _ = ty.Run(ctx) })
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		room, user := fmt.Sprintf("conv:%d", rand.N(16)), fmt.Sprintf("u%d", rand.N(50))
		for pb.Next() {
			ty.start("acme", room, user)
		}
	})
	b.StopTimer()
	cancel()
	run.Wait()
}

// BenchmarkUpdate is an event of a room with 50 typers, from the change to the hub.
func BenchmarkUpdate(b *testing.B) {
	now := time.Now()
	cfg := config
	cfg.Timeout = 1 << 60
	ty := New(cfg, Deps{Emit: nowhere{}, Now: func() time.Time { return now }})
	for i := range 50 {
		ty.start("acme", "conv:1", fmt.Sprintf("a-user-with-a-name%02d", i))
	}
	s := ty.shard(roomKey{"acme", "conv:1"})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		now = now.Add(time.Second)
		if i%2 == 0 {
			ty.Stop("acme", "conv:1", "a-user-with-a-name49")
		} else {
			ty.start("acme", "conv:1", "a-user-with-a-name49")
		}
		if env, _, _ := ty.next(s); env == nil {
			b.Fatal("nothing to tell")
		}
	}
}
