package deliver

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/room"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// offsets is a dialect whose payload is the offset alone.
type offsets struct{}

func (offsets) Index() int { return 0 }
func (offsets) Encode(env *event.Envelope, c frame.Class, key string) *frame.Frame {
	return frame.Finish(binary.BigEndian.AppendUint64(frame.Begin(8), env.Offset), true, c, key)
}

// receiver is a session that notes the offsets it gets.
type receiver struct {
	mu      sync.Mutex
	got     []uint64
	lost    error
	ended   int
	catchup Catchup
}

func (*receiver) Encoder() Encoder                   { return offsets{} }
func (r *receiver) Sink() Sink                       { return r }
func (r *receiver) Catchup() *Catchup                { return &r.catchup }
func (r *receiver) Push(f *frame.Frame) bool         { return r.PushAll([]*frame.Frame{f}) }
func (*receiver) Drained(context.Context, int) error { return nil }
func (r *receiver) PushAll(fs []*frame.Frame) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range fs {
		r.got = append(r.got, binary.BigEndian.Uint64(f.Payload()))
	}
	return true
}

func (r *receiver) taken() []uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func (r *receiver) Ended(*Sub) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended++
}

func (r *receiver) Lost(_ *Sub, why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost = why
}

// memory is a room's history.
type memory struct {
	mu      sync.Mutex
	records []event.Record
	first   uint64 // what retention has left
	err     error
}

const (
	tenant = "acme"
	conv   = "conv:1"
	epoch  = "e1"
)

// store makes the next n records durable and returns them.
func (m *memory) store(n int) []event.Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	from := len(m.records)
	for range n {
		m.records = append(m.records, event.Record{Envelope: event.Envelope{
			Tenant: tenant, Room: conv, Position: event.Position{Epoch: epoch, Offset: uint64(len(m.records) + 1)}, Data: []byte("{}"),
		}})
	}
	return m.records[from:]
}

func (m *memory) Head(context.Context, string, string) (event.Head, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.records) == 0 {
		return event.Head{}, m.err
	}
	return event.Head{Position: m.records[len(m.records)-1].Position}, m.err
}

func (m *memory) After(_ context.Context, _, _ string, p event.Position, limit, _ int) ([]event.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return nil, m.err
	}
	if p.Offset+1 < m.first {
		return nil, room.ErrTrimmed
	}
	rest := m.records[min(p.Offset, uint64(len(m.records))):]
	return append([]event.Record(nil), rest[:min(limit, len(rest))]...), nil
}

func newHub(t *testing.T, h History) *Hub {
	return runHub(t, Config{Page: 7, PageBytes: 1 << 20, Readers: 2, Reorder: 4, Timeout: time.Second}, Deps{History: h})
}

func runHub(t *testing.T, cfg Config, deps Deps) *Hub {
	deps.Log = slog.New(slog.DiscardHandler)
	hub := New(cfg, deps)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { _ = hub.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return hub
}

// contiguous fails unless got is from, from+1, … to.
func contiguous(t *testing.T, got []uint64, from, to uint64) {
	t.Helper()
	if uint64(len(got)) != to-from+1 {
		t.Fatalf("got %d offsets, want %d to %d: %v", len(got), from, to, got)
	}
	for i, o := range got {
		if o != from+uint64(i) {
			t.Fatalf("offset %d in place of %d: %v", o, from+uint64(i), got)
		}
	}
}

func TestFromTheHeadOnlyNewEventsCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		m.store(10)
		hub, r := newHub(t, m), &receiver{}
		s := hub.Subscribe(tenant, conv, r, event.Position{Epoch: epoch, Offset: 10}, event.Membership{})
		hub.Start(s)
		synctest.Wait()
		hub.Publish(m.store(3))
		contiguous(t, r.got, 11, 13)
		if p := s.Position(); p.Offset != 13 {
			t.Errorf("position %v", p)
		}
	})
}

func TestCatchingUpWhileEventsFlow(t *testing.T) {
	for seed := range uint64(50) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, 2))
				m := &memory{}
				m.store(r.IntN(60))
				at := event.Position{}
				if n := len(m.records); n > 0 {
					at = event.Position{Epoch: epoch, Offset: uint64(r.IntN(n + 1))}
				}
				hub, rec := newHub(t, m), &receiver{}
				s := hub.Subscribe(tenant, conv, rec, at, event.Membership{})
				for range r.IntN(4) {
					hub.Publish(m.store(1 + r.IntN(5))) // before the answer is out
				}
				hub.Start(s)
				for range 20 {
					hub.Publish(m.store(1 + r.IntN(5)))
				}
				synctest.Wait()
				hub.Publish(m.store(1))
				contiguous(t, rec.got, at.Offset+1, uint64(len(m.records)))
			})
		})
	}
}

// TestABatchWithAHoleIsHealed: a committer that republishes leaves out what it
// cannot be sure of.
func TestABatchWithAHoleIsHealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		hub, r := newHub(t, m), &receiver{}
		hub.Start(hub.Subscribe(tenant, conv, r, event.Position{}, event.Membership{}))
		all := m.store(4)
		hub.Publish([]event.Record{all[0], all[1], all[3]})
		synctest.Wait()
		contiguous(t, r.got, 1, 4)
	})
}

func TestLostAndReorderedRecordsAreHealed(t *testing.T) {
	for seed := range uint64(50) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, 3))
				m := &memory{}
				m.store(1)
				hub, rec := newHub(t, m), &receiver{}
				s := hub.Subscribe(tenant, conv, rec, event.Position{Epoch: epoch, Offset: 1}, event.Membership{})
				hub.Start(s)
				for range 30 {
					batch := m.store(1 + r.IntN(3))
					switch r.IntN(4) {
					case 0: // lost
					case 1: // twice
						hub.Publish(batch)
						hub.Publish(batch)
					case 2: // behind a later one
						later := m.store(1)
						hub.Publish(later)
						hub.Publish(batch)
					default:
						hub.Publish(batch)
					}
				}
				hub.Publish(m.store(1)) // shows what was lost at the end
				synctest.Wait()
				contiguous(t, rec.got, 2, uint64(len(m.records)))
				if n, _ := hub.find(roomKey{tenant, conv}).holds(); n != 0 {
					t.Errorf("%d records are still held", n)
				}
			})
		})
	}
}

func TestAResendStartsAtTheFirstUnacknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		m.store(1)
		hub, rec := newHub(t, m), &receiver{}
		s := hub.Subscribe(tenant, conv, rec, event.Position{}, event.Membership{})
		hub.Start(s)
		hub.Publish(m.store(9))
		synctest.Wait()
		contiguous(t, rec.got, 1, 10)
		rec.got = nil
		hub.Rewind(s, 4)
		hub.Publish(m.store(1))
		hub.Start(s)
		synctest.Wait()
		contiguous(t, rec.got, 5, 11)
	})
}

func TestARoomThatCanNotBeReadIsLost(t *testing.T) {
	for name, c := range map[string]struct {
		m    *memory
		want error
	}{
		"trimmed": {&memory{first: 9}, room.ErrTrimmed},
		"broken":  {&memory{err: context.DeadlineExceeded}, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c.m.store(10)
				hub, rec := newHub(t, c.m), &receiver{}
				hub.Start(hub.Subscribe(tenant, conv, rec, event.Position{Epoch: epoch, Offset: 2}, event.Membership{}))
				synctest.Wait()
				if !fault.Is(rec.lost, fault.Unavailable) || !errors.Is(rec.lost, c.want) {
					t.Fatalf("told %v", rec.lost)
				}
			})
		})
	}
}

func TestANewLifeOfARoomStartsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		m.store(5)
		hub, rec := newHub(t, m), &receiver{}
		hub.Start(hub.Subscribe(tenant, conv, rec, event.Position{Epoch: epoch, Offset: 5}, event.Membership{}))
		synctest.Wait()
		next := event.Record{Envelope: event.Envelope{Tenant: tenant, Room: conv, Position: event.Position{Epoch: "e2", Offset: 1}, Data: []byte("{}")}}
		over := m.store(1)
		m.records = []event.Record{next}
		hub.Publish(m.records)
		contiguous(t, rec.got, 1, 1)
		hub.Publish(over) // of the life that is over
		synctest.Wait()
		contiguous(t, rec.got, 1, 1)
		next.Offset++
		m.records = append(m.records, next)
		hub.Publish(m.records[1:])
		contiguous(t, rec.got, 1, 2)
	})
}

// TestWhoKnowsARoomsFirstEventsBeforeTheFeed joins between the moment when a room's
// first events are durable and the one when they are published.
func TestWhoKnowsARoomsFirstEventsBeforeTheFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		hub := newHub(t, m)
		early, late := &receiver{}, &receiver{}
		hub.Start(hub.Subscribe(tenant, conv, early, event.Position{}, event.Membership{}))
		first := m.store(3)
		hub.Start(hub.Subscribe(tenant, conv, late, event.Position{Epoch: epoch, Offset: 2}, event.Membership{}))
		synctest.Wait()
		hub.Publish(first)
		hub.Publish(m.store(2))
		synctest.Wait()
		if early.lost != nil || late.lost != nil {
			t.Fatal(early.lost, late.lost)
		}
		if got := fmt.Sprint(early.got, late.got); got != "[1 2 3 4 5] [3 4 5]" {
			t.Error(got)
		}
	})
}

// TestTheEndOfARoomIsTold to those who are live and to those who catch up.
func TestTheEndOfARoomIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		m.store(3)
		hub := newHub(t, m)
		live, late := &receiver{}, &receiver{}
		hub.Start(hub.Subscribe(tenant, conv, live, event.Position{Epoch: epoch, Offset: 3}, event.Membership{}))
		synctest.Wait()
		last := m.store(1)
		last[0].Ends = true
		hub.Publish(last)
		hub.Start(hub.Subscribe(tenant, conv, late, event.Position{Epoch: epoch, Offset: 1}, event.Membership{}))
		synctest.Wait()
		for _, r := range []*receiver{live, late} {
			if r.ended != 1 || r.got[len(r.got)-1] != 4 {
				t.Errorf("told %d times, behind %v", r.ended, r.got)
			}
		}
	})
}

func TestUnsubscribedGetNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{}
		hub, gone, stays := newHub(t, m), &receiver{}, &receiver{}
		s := hub.Subscribe(tenant, conv, gone, event.Position{}, event.Membership{})
		hub.Start(s)
		hub.Start(hub.Subscribe(tenant, conv, stays, event.Position{}, event.Membership{}))
		synctest.Wait()
		hub.Unsubscribe(s)
		hub.Unsubscribe(s)
		hub.Publish(m.store(2))
		hub.Emit(&event.Envelope{Tenant: tenant, Room: conv}, "")
		hub.Emit(&event.Envelope{Tenant: "other", Room: conv}, "")
		if len(gone.got) != 0 || len(stays.got) != 3 || hub.Subs.Load() != 1 || hub.Rooms.Load() != 1 {
			t.Fatalf("%v, %v, %d subs, %d rooms", gone.got, stays.got, hub.Subs.Load(), hub.Rooms.Load())
		}
	})
}

// TestTheFirstRecordOfALifeIsLost: it was stored, and not published; those behind it
// were.
func TestTheFirstRecordOfALifeIsLost(t *testing.T) {
	for name, c := range map[string]struct {
		stored int             // in the life before
		late   bool            // the first record comes behind the second
		fail   func(m *memory) // before the second one is published
		want   string
		lost   bool
	}{
		"of a room without events":        {want: "[1 2 3 4]"},
		"of a room that was there before": {stored: 3, want: "[1 2 3 4]"},
		"it is only late":                 {stored: 3, late: true, want: "[1 2 3 4]"},
		"history fails":                   {stored: 3, fail: func(m *memory) { m.err = context.DeadlineExceeded }, want: "[]", lost: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &memory{}
				m.store(c.stored)
				hub, r := newHub(t, m), &receiver{}
				head, _ := m.Head(t.Context(), tenant, conv)
				hub.Start(hub.Subscribe(tenant, conv, r, head.Position, event.Membership{}))
				synctest.Wait()
				m.records = nil
				all := m.store(4)
				for i := range all {
					all[i].Epoch = "e2"
				}
				if c.fail != nil {
					c.fail(m)
				}
				m.records = all[:2]
				hub.Publish(all[1:2])
				if c.late {
					hub.Publish(all[:1])
				}
				synctest.Wait()
				if !c.lost {
					contiguous(t, r.taken(), 1, 2)
				}
				m.records = all
				hub.Publish(all[2:3])
				hub.Publish(all[3:])
				synctest.Wait()
				if got := fmt.Sprint(r.got); got != c.want || c.lost != (r.lost != nil) {
					t.Errorf("got %v, lost %v", got, r.lost)
				}
				if n, healing := hub.find(roomKey{tenant, conv}).holds(); n != 0 || healing {
					t.Errorf("%d are held, healing %v", n, healing)
				}
			})
		})
	}
}

type sink struct{ receiver }

func (s *sink) Sink() Sink                { return s }
func (*sink) Push(*frame.Frame) bool      { return true }
func (*sink) PushAll([]*frame.Frame) bool { return true }

func BenchmarkEmit1000(b *testing.B) {
	hub := New(Config{Readers: 1}, Deps{})
	for range 1000 {
		hub.Subscribe(tenant, conv, &sink{}, event.Position{}, event.Membership{})
	}
	env := &event.Envelope{Tenant: tenant, Room: conv}
	b.ReportAllocs()
	for b.Loop() {
		hub.Emit(env, "")
	}
}

func BenchmarkPublish(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			hub := New(Config{Readers: 1}, Deps{Observe: func(*event.Record) {}})
			for range n {
				sub := hub.Subscribe(tenant, conv, &sink{}, event.Position{}, event.Membership{})
				sub.feed.known = true
				hub.Start(sub)
			}
			one := make([]event.Record, 1)
			one[0].Tenant, one[0].Room, one[0].Action, one[0].Data = tenant, conv, "message:send", []byte("{}")
			b.ReportAllocs()
			for i := uint64(1); b.Loop(); i++ {
				one[0].Position = event.Position{Epoch: epoch, Offset: i}
				hub.Publish(one)
			}
			if got := hub.Deliveries.Load(); got != uint64(n*b.N) {
				b.Errorf("%d deliveries", got)
			}
		})
	}
}
