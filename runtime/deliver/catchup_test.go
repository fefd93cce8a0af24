package deliver

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

// gated is a receiver whose client takes a page each time the gate opens.
type gated struct {
	receiver
	gate chan struct{}

	waiting, most int // calls of Drained
}

func (g *gated) Drained(ctx context.Context, _ int) error {
	g.wait(1)
	defer g.wait(-1)
	select {
	case _, open := <-g.gate:
		if !open {
			return net.ErrClosed
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *gated) wait(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting += n
	g.most = max(g.most, g.waiting)
}

// slow is a history that takes a while and notes which rooms are read.
type slow struct {
	memory
	takes time.Duration

	noted sync.Mutex
	rooms []string
}

func (s *slow) After(ctx context.Context, tn, rm string, p event.Position, limit, size int) ([]event.Record, error) {
	s.noted.Lock()
	s.rooms = append(s.rooms, rm)
	s.noted.Unlock()
	select {
	case <-time.After(s.takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return s.memory.After(ctx, tn, rm, p, limit, size)
}

func (s *slow) read() []string {
	s.noted.Lock()
	defer s.noted.Unlock()
	return slices.Clone(s.rooms)
}

func TestRoomsThatAreBehindTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &slow{}
		m.store(14) // of both rooms
		hub, g := newHub(t, m), &gated{gate: make(chan struct{})}
		for _, name := range []string{"conv:a", "conv:b", "conv:left"} {
			s := hub.Subscribe(tenant, name, g, event.Position{}, event.Membership{})
			hub.Start(s)
			hub.Start(s)
			if name == "conv:left" {
				hub.Unsubscribe(s)
			}
		}
		for page := range 4 {
			synctest.Wait()
			if len(m.read()) != page || len(g.got) != 7*page || g.waiting != 1 {
				t.Fatalf("after %d pages: %d were read, %d events sent, %d goroutines wait", page, len(m.read()), len(g.got), g.waiting)
			}
			g.gate <- struct{}{}
		}
		synctest.Wait()
		if got, want := m.read(), []string{"conv:a", "conv:b", "conv:a", "conv:b"}; !slices.Equal(got, want) {
			t.Errorf("read %v, want %v", got, want)
		}
		if len(g.got) != 28 || g.most != 1 || g.waiting != 0 || g.lost != nil {
			t.Errorf("%d events, %d goroutines at most and %d now, lost %v", len(g.got), g.most, g.waiting, g.lost)
		}
		if c := &g.catchup; c.running || c.subs != nil {
			t.Errorf("a goroutine is left: %+v", c.subs)
		}
	})
}

func TestWaitingForATurnHasNoTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &slow{takes: 600 * time.Millisecond}
		m.store(5)
		hub := runHub(t, Config{Page: 7, PageBytes: 1 << 20, Readers: 1, Reorder: 4, Timeout: time.Second}, Deps{History: m})
		crowd := make([]receiver, 20)
		for i := range crowd {
			hub.Start(hub.Subscribe(tenant, conv, &crowd[i], event.Position{}, event.Membership{}))
		}
		time.Sleep(time.Minute) // of the bubble's clock
		synctest.Wait()
		for i := range crowd {
			if crowd[i].lost != nil {
				t.Fatal(crowd[i].lost)
			}
			contiguous(t, crowd[i].got, 1, 5)
		}
	})
}

func TestWhatEndsCatchingUp(t *testing.T) {
	for name, c := range map[string]struct {
		takes time.Duration // of history
		gate  func(chan struct{})
		told  bool
		kind  fault.Kind
	}{
		"a slow client":        {gate: func(chan struct{}) {}, told: true, kind: fault.SlowConsumer},
		"a slow history":       {takes: time.Hour, gate: func(g chan struct{}) { g <- struct{}{} }, told: true, kind: fault.Unavailable},
		"a closing connection": {gate: func(g chan struct{}) { close(g) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &slow{takes: c.takes}
				m.store(5)
				hub, g := newHub(t, m), &gated{gate: make(chan struct{}, 1)}
				c.gate(g.gate)
				hub.Start(hub.Subscribe(tenant, conv, g, event.Position{}, event.Membership{}))
				time.Sleep(time.Minute) // of the bubble's clock
				synctest.Wait()
				if c.told != (g.lost != nil) || c.told && !fault.Is(g.lost, c.kind) {
					t.Errorf("told %v", g.lost)
				}
				if g.catchup.running {
					t.Error("the goroutine goes on")
				}
			})
		})
	}
}

// TestWhoLeavesWhileAPageIsReadGetsNothingOfIt waits for history when the membership
// ends: what is said then is in the page.
func TestWhoLeavesWhileAPageIsReadGetsNothingOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &slow{takes: time.Millisecond}
		m.store(5)
		hub, r, stays := newHub(t, m), &receiver{}, &receiver{}
		sub := hub.Subscribe(tenant, conv, r, event.Position{Epoch: epoch, Offset: 3}, event.Membership{})
		hub.Start(sub)
		hub.Start(hub.Subscribe(tenant, conv, stays, event.Position{Epoch: epoch, Offset: 3}, event.Membership{}))
		synctest.Wait()
		hub.Unsubscribe(sub)
		hub.Publish(m.store(1))
		time.Sleep(time.Second) // of the bubble's clock
		synctest.Wait()
		if len(r.got) != 0 || r.lost != nil || r.catchup.running {
			t.Errorf("got %v, lost %v, the goroutine goes on: %v", r.got, r.lost, r.catchup.running)
		}
		contiguous(t, stays.got, 4, 6)
	})
}

// TestNoPageGoesBeyondTheEndOfAMembership that is stored, and so in history, but has
// not been published yet: the session has not left.
func TestNoPageGoesBeyondTheEndOfAMembership(t *testing.T) {
	for _, observing := range []bool{false, true} {
		t.Run(fmt.Sprint("it is being observed: ", observing), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, there, gone, stays := &memory{}, &receiver{}, &receiver{}, &receiver{}
				m.store(4)
				var hub *Hub
				var ann *Sub
				catchUp := func() {
					hub.Start(ann)
					hub.Start(hub.Subscribe(tenant, conv, stays, event.Position{Epoch: epoch, Offset: 2}, event.Membership{}))
					synctest.Wait()
					if got := fmt.Sprint(gone.got, stays.got); got != "[3 4 5] [3 4 5]" {
						t.Errorf("before anybody has left: %s", got)
					}
				}
				hub = runHub(t, Config{Page: 7, PageBytes: 1 << 20, Readers: 2, Reorder: 4, Timeout: time.Second}, Deps{History: m, Observe: func(*event.Record) {
					if observing {
						catchUp()
					}
					hub.Unsubscribe(ann)
				}})
				ann = hub.Subscribe(tenant, conv, gone, event.Position{Epoch: epoch, Offset: 2}, event.Membership{})
				hub.Start(hub.Subscribe(tenant, conv, there, event.Position{Epoch: epoch, Offset: 4}, event.Membership{}))
				synctest.Wait()
				next := m.store(3)
				next[0].Action = room.ActionLeave
				if !observing {
					catchUp()
				}
				hub.Publish(next)
				synctest.Wait()
				contiguous(t, gone.got, 3, 5)
				contiguous(t, stays.got, 3, 7)
				contiguous(t, there.got, 5, 7)
			})
		})
	}
}

// hung is a history that does not answer.
type hung struct {
	memory
	hang chan struct{}
}

func (h *hung) Head(ctx context.Context, tn, rm string) (event.Head, error) {
	<-h.hang
	return h.memory.Head(ctx, tn, rm)
}

// Rooms start on goroutines that complete whole partitions.
func TestStartDoesNotWaitForHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &hung{hang: make(chan struct{})}
		m.store(3)
		hub, ann, ben := newHub(t, m), &receiver{}, &receiver{}
		hub.Start(hub.Subscribe(tenant, conv, ann, event.Position{Epoch: epoch, Offset: 3}, event.Membership{}))
		hub.Start(hub.Subscribe(tenant, conv, ben, event.Position{Epoch: epoch, Offset: 1}, event.Membership{}))
		left := hub.Subscribe(tenant, conv, &receiver{}, event.Position{Epoch: epoch, Offset: 3}, event.Membership{})
		hub.Start(left)
		synctest.Wait()
		hub.Unsubscribe(left)
		hub.Publish(m.store(2))
		if len(ann.got)+len(ben.got) != 0 {
			t.Error("got events before it is known where the room stands")
		}
		close(m.hang)
		synctest.Wait()
		hub.Publish(m.store(1))
		contiguous(t, ann.got, 4, 6)
		contiguous(t, ben.got, 2, 6)
		if ann.catchup.running || ben.catchup.running {
			t.Error("a goroutine is left")
		}
	})
}

// TestAPageOfBeforeTheRewind was read from further on: it is not sent ahead of what the
// subscriber has gone back to.
func TestAPageOfBeforeTheRewind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &slow{takes: time.Second}
		m.store(9)
		hub, rec := newHub(t, m), &receiver{}
		s := hub.Subscribe(tenant, conv, rec, event.Position{Epoch: epoch, Offset: 5}, event.Membership{})
		hub.Start(s)
		time.Sleep(500 * time.Millisecond)
		hub.Rewind(s, 2) // while the page is read
		hub.Start(s)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		contiguous(t, rec.got, 3, 9)
	})
}
