package session

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/heddle-rt/heddle/runtime/ack"
	"github.com/heddle-rt/heddle/runtime/dialect/native"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/frame"
)

// sink is a connection that keeps nothing.
type sink struct{ conn }

func (*sink) Push(*frame.Frame) bool { return true }

// blackhole is a store that keeps nothing.
type blackhole struct{ Store }

func (blackhole) Save(context.Context, ...Record) error { return nil }

// quick opens a session as the route does, with what is needed for that alone.
func (n *node) quick(id *event.Identity, rooms []byte) *Session {
	s := n.New(&sink{}, native.JSON{}, id, "websocket")
	ev := event.Event{Origin: s, Spec: &n.actions[0]}
	ev.SetArg(len(ev.Spec.Payload)-1, rooms)
	ev.Err = ev.Spec.Handle(context.Background(), &ev)
	for i := range ev.Effects {
		e := &ev.Effects[i]
		if err := s.JoinRoom(context.Background(), e.Room, e.Position, e.Member, false); err != nil {
			n.t.Fatal(err)
		}
	}
	s.Answer(s.line.Begin(1), s.EncodeAnswer(&event.Envelope{Data: ev.Reply}), ack.StartRooms)
	return s
}

var twoRooms = []byte(`["channel:1","channel:2"]`)

func BenchmarkOpenAndClose(b *testing.B) {
	n := newNode(b)
	n.deps.Store = blackhole{}
	ids := make([]*event.Identity, 1000)
	for i := range ids {
		ids[i] = &event.Identity{Tenant: tenant, User: fmt.Sprint("u", i)}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		n.quick(ids[i%len(ids)], twoRooms).Closed()
	}
}

// BenchmarkIdle tells what an open session keeps in memory, its part of the hub
// included.
func BenchmarkIdle(b *testing.B) {
	n := newNode(b)
	n.deps.Store = blackhole{}
	id := func(i int) *event.Identity { return &event.Identity{Tenant: tenant, User: fmt.Sprint("u", i)} }
	heap := func() (m runtime.MemStats) {
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m
	}
	const sessions = 20_000
	for range b.N {
		for i := range sessions {
			n.quick(id(i), twoRooms)
		}
		n.saver.write(context.Background(), n.Manager)
		before := heap()
		for i := range sessions {
			n.quick(id(sessions+i), twoRooms)
		}
		n.saver.write(context.Background(), n.Manager)
		after := heap()
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/sessions, "B/session")
		b.ReportMetric(float64(after.HeapObjects-before.HeapObjects)/sessions, "objects/session")
	}
}
