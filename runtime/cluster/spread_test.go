package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/heddle-rt/heddle/runtime/adapter/codec"
	"github.com/heddle-rt/heddle/runtime/deliver"
	"github.com/heddle-rt/heddle/runtime/event"
)

// heard is a Hub that notes what it is told.
type heard struct {
	mu      sync.Mutex
	events  []string
	emitted []string
	tops    map[string]event.Position
	healed  int
}

func (h *heard) Publish(records []event.Record) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range records {
		r := &records[i]
		h.events = append(h.events, fmt.Sprintf("%s %d", r.Room, r.Offset))
		h.tops[r.Room] = r.Position
	}
}

func (h *heard) Emit(env *event.Envelope, merge string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.emitted = append(h.emitted, env.Room+" "+env.Action+" "+merge+" "+string(env.Data))
}

// Reached stands where it is told to, as if it had read what was missing.
func (h *heard) Reached(_, room string, p event.Position) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if top, known := h.tops[room]; known && top.Offset < p.Offset {
		h.tops[room] = p
		h.healed++
	}
}

func (h *heard) Positions(pick func(tenant, room string) bool) (out []deliver.Where) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, p := range h.tops {
		if pick("acme", name) {
			out = append(out, deliver.Where{Tenant: "acme", Room: name, Position: p})
		}
	}
	return out
}

func (h *heard) at(room string) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tops[room].Offset
}

// air carries messages to all nodes, or loses them.
type air struct {
	mu    sync.Mutex
	nodes []*Spread
	lose  bool
	sent  int
}

func (a *air) Publish(partition int, message []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.sent++; a.lose {
		return
	}
	for _, s := range a.nodes {
		s.Received(partition, message)
	}
}

// spreads are nodes that share a store and the air.
func spreads(t *testing.T, s Tables, cfg SpreadConfig) (map[string]*Spread, map[string]*heard, *air) {
	t.Helper()
	over := &air{}
	out, hubs := map[string]*Spread{}, map[string]*heard{}
	all, reads := readers(t, s, func() bool { return true })
	for name, n := range all {
		hubs[name] = &heard{tops: map[string]event.Position{}}
		out[name] = NewSpread(cfg, SpreadDeps{Self: name, Router: n.Router, Owned: reads[name].owned, Channel: over, Hub: hubs[name], Log: slog.New(slog.DiscardHandler)})
		over.nodes = append(over.nodes, out[name])
	}
	for name := range all {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- out[name].Run(ctx) }() // ended by the cleanup
		t.Cleanup(func() { cancel(); <-ended })
	}
	return out, hubs, over
}

func batch(room string, from, to uint64) (out []event.Record) {
	for n := from; n <= to; n++ {
		r := event.Record{}
		r.Tenant, r.Room, r.Epoch, r.Offset, r.Action = "acme", room, "e", n, "message:send"
		out = append(out, r)
	}
	return out
}

func until(t *testing.T, what string, true func() bool) {
	t.Helper()
	for late := time.Now().Add(patience); !true(); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("not in time: ", what)
		}
	}
}

// TestSpread: what is committed or emitted on one node reaches all, that one once.
func TestSpread(t *testing.T) {
	all, hubs, _ := spreads(t, filled(t), SpreadConfig{Beat: time.Hour, Check: time.Hour})
	large := batch("conv:1", 1, 3)
	for i := range large {
		large[i].Data = make([]byte, maxMessage) // each goes in a message of its own
	}
	all["a"].Publish(large)
	all["b"].Emit(&event.Envelope{Tenant: "acme", Room: "conv:1", Action: "typing:start", Data: []byte("{}")}, "m")
	for name, h := range hubs {
		if want := []string{"conv:1 1", "conv:1 2", "conv:1 3"}; !slices.Equal(h.events, want) || !slices.Equal(h.emitted, []string{"conv:1 typing:start m {}"}) {
			t.Errorf("%s has %v and %v", name, h.events, h.emitted)
		}
	}
}

// TestLostEventsAreNoticed by the beat behind them, and by a check.
func TestLostEventsAreNoticed(t *testing.T) {
	t.Run("beat", func(t *testing.T) {
		all, hubs, over := spreads(t, filled(t), SpreadConfig{Beat: 5 * time.Millisecond, Check: time.Hour})
		all["a"].Publish(batch("conv:1", 1, 1))
		over.mu.Lock()
		over.lose = true
		over.mu.Unlock()
		all["a"].Publish(batch("conv:1", 2, 4))
		over.mu.Lock()
		over.lose = false
		over.mu.Unlock()
		until(t, "all have them", func() bool { return hubs["b"].at("conv:1") == 4 && hubs["c"].at("conv:1") == 4 })
	})
	t.Run("one beat is behind each burst", func(t *testing.T) {
		all, _, over := spreads(t, filled(t), SpreadConfig{Beat: time.Hour, Check: time.Hour})
		a := all["a"]
		p := a.deps.Router.PartitionOf("acme", "conv:1")
		for i, c := range []struct {
			publish bool
			sent    int // together, behind a beat
		}{{true, 1}, {true, 2}, {false, 3}, {false, 3}, {true, 4}, {false, 5}} {
			if c.publish {
				a.Publish(batch("conv:1", uint64(i)+1, uint64(i)+1))
			}
			if a.tell(p); over.sent != c.sent {
				t.Errorf("%d messages after %d beats, want %d", over.sent, i+1, c.sent)
			}
		}
	})
	t.Run("check", func(t *testing.T) {
		all, hubs, _ := spreads(t, filled(t), SpreadConfig{Beat: time.Hour, Check: time.Hour})
		for name, h := range hubs { // each stands behind what the store has: 5
			h.mu.Lock()
			for i := range 10 {
				h.tops[fmt.Sprint("conv:", i)] = event.Position{Epoch: "e", Offset: 2}
			}
			h.mu.Unlock()
			for p := range 16 {
				all[name].Missed(p)
			}
		}
		for name, h := range hubs {
			until(t, "all have them", func() bool {
				for i := range 10 {
					room := fmt.Sprint("conv:", i)
					if all[name].deps.Router.OwnerOf(all[name].deps.Router.PartitionOf("acme", room)) != name && h.at(room) != 5 {
						return false
					}
				}
				return true
			})
		}
	})
}

func TestMessagesComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := func(name string) string { return rapid.String().Draw(t, name) }
		env := event.Envelope{Type: event.TypeEvent, ID: text("id"), Tenant: text("tenant"), Room: text("room"), From: event.Sender{User: text("user"), Device: text("device")},
			Ref: text("ref"), Action: text("action"), Timestamp: rapid.Int64().Draw(t, "at"), Expires: rapid.Int64().Draw(t, "expires"), Data: []byte("x" + text("data"))}
		merge := text("merge")
		d := codec.Bare(appendEnvelope(nil, &env, merge))
		if got, m := envelope(d); d.Done() != nil || m != merge || !reflect.DeepEqual(got, env) {
			t.Fatalf("%+v %q", got, m)
		}
		q := query{op: op(rapid.Byte().Draw(t, "op")), tenant: text("t"), room: text("r"), user: text("u"), kind: text("k"), key: text("key"), epoch: text("e"),
			from: rapid.Uint64().Draw(t, "from"), to: rapid.Uint64().Draw(t, "to"), limit: rapid.IntMin(0).Draw(t, "limit"), max: rapid.IntMin(0).Draw(t, "max")}
		for range rapid.IntRange(0, 3).Draw(t, "rooms") {
			q.rooms = append(q.rooms, text("of"))
		}
		if got, err := decodeQuery(q.append(nil)); err != nil || !reflect.DeepEqual(got, q) {
			t.Fatalf("%+v, %v; want %+v", got, err, q)
		}
	})
}

// FuzzReceived feeds messages to all nodes: none may panic.
func FuzzReceived(f *testing.F) {
	s := &Spread{deps: SpreadDeps{Self: "a"}}
	f.Add(appendRecords(s.begin(messageRecords, 0), batch("conv:1", 1, 2)))
	f.Add(appendEnvelope(s.begin(messageEmit, 0), &event.Envelope{Room: "conv:1"}, ""))
	f.Add(appendWheres(s.begin(messageHeads, 0), []deliver.Where{{Tenant: "acme", Room: "conv:1"}}))
	f.Add([]byte{byte(rand.IntN(256))})
	f.Fuzz(func(t *testing.T, message []byte) {
		p := NewPeers(PeersConfig{Timeout: time.Hour, Pending: 9}, "b", busFunc(func(string, []byte) {}), slog.New(slog.DiscardHandler))
		r := NewRouter(RouterConfig{Patience: time.Millisecond, Retry: time.Hour, Queue: 9}, RouterDeps{Self: "b", Partitions: 1, Peers: p, Now: time.Now})
		s := NewSpread(SpreadConfig{}, SpreadDeps{Self: "b", Router: r, Hub: &heard{tops: map[string]event.Position{}}, Told: func([]byte) {}, Log: slog.New(slog.DiscardHandler)})
		s.Received(0, message)
		_, _ = decodeQuery(message)
		q := query{op: opMembers}
		_, _ = q.decode(message)
	})
}
