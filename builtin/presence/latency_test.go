package presence

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/deliver"
	"github.com/heddle-rt/heddle/runtime/dialect/native"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/room"
)

// sink is a connection that counts what it is sent.
type sink struct {
	catchup deliver.Catchup
	frames  *atomic.Int64 // of all sinks
}

func (*sink) Encoder() deliver.Encoder           { return native.JSON{} }
func (s *sink) Sink() deliver.Sink               { return s }
func (s *sink) Catchup() *deliver.Catchup        { return &s.catchup }
func (*sink) Drained(context.Context, int) error { return nil }
func (*sink) Ended(*deliver.Sub)                 {}
func (*sink) Lost(*deliver.Sub, error)           {}
func (s *sink) Push(*frame.Frame) bool           { s.frames.Add(1); return true }
func (s *sink) PushAll([]*frame.Frame) bool      { return true }

// node is a Presence with a hub, as an application wires them. ann is online.
type node struct {
	*Presence
	hub    *deliver.Hub
	frames atomic.Int64
	used   atomic.Int64
}

func newNode(tb testing.TB, cfg Config, emit ...Emitter) *node {
	w := &world{begun: time.Now(), rows: map[string][]byte{}}
	n := &node{hub: deliver.New(deliver.Config{}, deliver.Deps{Log: slog.New(slog.DiscardHandler)})}
	emit = append(emit, n.hub)
	n.Presence = New(cfg, Deps{
		Emit: emit[0], Rooms: room.New(types, w), Notes: w, Clock: func() int64 { return int64(time.Since(w.begun)) + 1 },
		Mode: func(string) string { return room.PresenceMembers },
	})
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() { _ = n.Run(ctx) }) // ended by the cleanup
	tb.Cleanup(func() { cancel(); run.Wait() })
	if err := n.Online(ctx, "acme", "ann", "phone", false, &n.used); err != nil {
		tb.Fatal(err)
	}
	return n
}

func (n *node) watchedBy(watchers int, name string) {
	for i := range watchers {
		n.hub.Subscribe("acme", name, &sink{frames: &n.frames}, event.Position{}, event.Membership{})
		n.JoinedRoom("acme", fmt.Sprint("w", i), name, new(atomic.Int64))
	}
}

// change has ann choose something else.
func (n *node) change(i int) {
	n.Observe(&event.Record{Envelope: event.Envelope{
		Tenant: "acme", Room: "user:ann", Action: actionUpdate, Data: fmt.Appendf(nil, `{"status":"dnd","text":"%d"}`, i),
	}})
}

// BenchmarkWatchers is the time from a change, as the committer tells it, until the
// last watcher's connection has the frame.
func BenchmarkWatchers(b *testing.B) {
	for _, c := range []struct {
		name     string
		watchers int
		room     string
		batch    int
		pause    time.Duration // between two changes
	}{
		{"10 of a user", 10, "user:ann", 100, 0},
		{"1000 of a user, each change at once", 1000, "user:ann", 1000, 0},
		{"1000 of a user, one change right behind another", 1000, "user:ann", 100, 0},
		{"1000 of a user, changes now and then", 1000, "user:ann", 100, time.Second},
		{"1000 of a room, changes now and then", 1000, "conv:1", 100, time.Second},
	} {
		b.Run(c.name, func(b *testing.B) {
			cfg := config
			cfg.BatchAbove = c.batch
			n := newNode(b, cfg)
			n.JoinedRoom("acme", "ann", "conv:1", &n.used)
			n.watchedBy(c.watchers, c.room+"/presence")
			time.Sleep(300 * time.Millisecond) // being online is told
			var took []time.Duration
			for i := 0; b.Loop(); i++ {
				time.Sleep(rand.N(c.pause + 1))
				before := n.frames.Load()
				begun := time.Now()
				n.change(i)
				for n.frames.Load() < before+int64(c.watchers) {
					time.Sleep(10 * time.Microsecond)
				}
				took = append(took, time.Since(begun))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
		})
	}
}

// TestWatchersInTime holds the worst of a few changes to a bound that a busy machine
// keeps as well.
func TestWatchersInTime(t *testing.T) {
	n := newNode(t, config)
	n.watchedBy(1000, "user:ann/presence")
	for i := range 3 { // the first at once, the others an interval behind
		before, begun := n.frames.Load(), time.Now()
		n.change(i)
		for n.frames.Load() < before+1000 {
			if time.Since(begun) > 20*time.Second {
				t.Fatalf("%d frames of %d: %+v", n.frames.Load(), before+1000, n.Stats())
			}
			<-time.After(time.Millisecond)
		}
	}
}

// TestLastWordIsTrue: whatever happens at once, what watchers were told last is how
// things are.
func TestLastWordIsTrue(t *testing.T) {
	cfg := config
	cfg.Grace, cfg.Interval, cfg.BatchAbove, cfg.Large, cfg.Named = 0, 5*time.Millisecond, 0, 3, 2
	last := &latest{}
	n := newNode(t, cfg, last)
	for i := range 8 {
		n.watchedBy(1, fmt.Sprintf("user:u%d/presence", i))
		n.watchedBy(1, fmt.Sprintf("conv:%d/presence", i))
	}
	var users sync.WaitGroup
	for i := range 8 {
		users.Go(func() {
			user := fmt.Sprintf("u%d", i)
			for range 300 {
				used := new(atomic.Int64)
				used.Store(int64(n.now()))
				if err := n.Online(t.Context(), "acme", user, "", false, used); err != nil {
					t.Error(err)
				}
				for r := range 8 {
					n.JoinedRoom("acme", user, fmt.Sprintf("conv:%d", r), used)
				}
				n.LeftRoom("acme", user, "conv:0", used)
				_ = n.page("acme", "conv:1", "", 3)
				_ = n.each("acme", []string{"u0", "u1"})
				n.Active("acme", user)
				n.Offline("acme", user, used)
			}
		})
	}
	users.Wait()
	deadline := time.Now().Add(30 * time.Second)
	for st := n.Stats(); st.Users != 1 || st.Rooms != 8; st = n.Stats() { // ann, and the rooms that are watched
		if time.Now().After(deadline) {
			t.Fatalf("users or rooms stay: %+v", st)
		}
		<-time.After(time.Millisecond)
	}
	for r := range 8 {
		for _, want := range []struct{ room, data string }{{fmt.Sprintf("user:u%d/presence", r), `"offline"`}, {fmt.Sprintf("conv:%d/presence", r), `"online":0,"away":0,"dnd":0`}} {
			for !last.says(want.room, want.data) {
				if time.Now().After(deadline) {
					t.Fatalf("%s was told %v at last: %+v", want.room, last.get(want.room), n.Stats())
				}
				<-time.After(time.Millisecond)
			}
		}
	}
}

// latest keeps what each room was told last.
type latest struct{ rooms sync.Map }

func (l *latest) Emit(env *event.Envelope, _ string) { l.rooms.Store(env.Room, string(env.Data)) }

func (l *latest) get(name string) string {
	data, _ := l.rooms.Load(name)
	s, _ := data.(string)
	return s
}

// says also holds of a room that was told nothing: all came to nothing there.
func (l *latest) says(name, part string) bool {
	s := l.get(name)
	return s == "" || strings.Contains(s, part)
}

// BenchmarkConnection is what presence costs a session with ten rooms, from opening
// to closing.
func BenchmarkConnection(b *testing.B) {
	n := newNode(b, config)
	var names [10]string
	for i := range names {
		names[i] = fmt.Sprint("conv:", i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		used := new(atomic.Int64)
		user := fmt.Sprint("u", i%1000)
		if err := n.Online(b.Context(), "acme", user, "phone", true, used); err != nil {
			b.Fatal(err)
		}
		for _, name := range names {
			n.JoinedRoom("acme", user, name, used)
		}
		n.Offline("acme", user, used)
	}
}

// BenchmarkPage is presence:subscribe in a room of 5,000.
func BenchmarkPage(b *testing.B) {
	n := newNode(b, config)
	for i := range 5000 {
		used := new(atomic.Int64)
		user := fmt.Sprintf("a-user-with-a-name%04d", i)
		if err := n.Online(b.Context(), "acme", user, "phone", false, used); err != nil {
			b.Fatal(err)
		}
		n.JoinedRoom("acme", user, "conv:1", used)
	}
	b.ReportAllocs()
	for b.Loop() {
		if len(n.page("acme", "conv:1", "", 50)) < 1000 {
			b.Fatal("nobody is there")
		}
	}
}
