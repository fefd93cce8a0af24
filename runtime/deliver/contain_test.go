package deliver

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/frame"
)

// spoken is a receiver with a dialect of its own, which notes actions and panics
// at one offset.
type spoken struct {
	receiver
	poison  uint64
	actions []string
}

func (s *spoken) Encoder() Encoder { return s }
func (*spoken) Index() int         { return 1 }
func (s *spoken) Encode(env *event.Envelope, c frame.Class, key string) *frame.Frame {
	if env.Offset == s.poison {
		panic("poison")
	}
	s.actions = append(s.actions, fmt.Sprintf("%d %s %s", env.Offset, env.Action, env.Data))
	return offsets{}.Encode(env, c, key)
}

// panics is a history that does.
type panics struct{ memory }

func (*panics) After(context.Context, string, string, event.Position, int, int) ([]event.Record, error) {
	panic("history")
}

func TestAPanicCostsOneRoom(t *testing.T) {
	const user = "user:ann"
	for name, run := range map[string]func(t *testing.T, hub *Hub, m *memory, bad *Sub){
		"publish": func(_ *testing.T, hub *Hub, m *memory, _ *Sub) { hub.Publish(m.store(5)) },
		"catch up": func(t *testing.T, hub *Hub, m *memory, bad *Sub) {
			m.store(5)
			hub.Start(bad)
		},
		"heal": func(_ *testing.T, hub *Hub, m *memory, _ *Sub) { hub.Publish(m.store(5)[4:]) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &memory{}
				m.store(1)
				hub, bad, other := newHub(t, m), &spoken{poison: 3}, &receiver{}
				sub := hub.Subscribe(tenant, conv, bad, event.Position{Epoch: epoch, Offset: 1}, event.Membership{})
				if name != "catch up" {
					hub.Start(sub)
				}
				hub.Start(hub.Subscribe(tenant, user, other, event.Position{Epoch: epoch, Offset: 1}, event.Membership{}))
				synctest.Wait()
				run(t, hub, m, sub)
				synctest.Wait()
				if n := hub.Panics.Load(); n != 1 || !fault.Is(bad.lost, fault.Unavailable) {
					t.Fatalf("%d panics, told %v", n, bad.lost)
				}
				next := m.store(1)[0]
				hub.Publish([]event.Record{next})
				if len(bad.got) != 0 || sub.Position().Offset != 1 {
					t.Errorf("a lost room goes on: %v, at %v", bad.got, sub.Position())
				}
				next.Room, next.Offset = user, 2
				hub.Publish([]event.Record{next})
				contiguous(t, other.got, 2, 2)
			})
		})
	}
	t.Run("history", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := &panics{}
			m.store(3)
			hub, r := newHub(t, m), &receiver{}
			hub.Start(hub.Subscribe(tenant, conv, r, event.Position{}, event.Membership{}))
			synctest.Wait()
			if hub.Panics.Load() != 1 || !fault.Is(r.lost, fault.Unavailable) || len(hub.reads) != 0 {
				t.Errorf("%d panics, told %v, %d turns taken", hub.Panics.Load(), r.lost, len(hub.reads))
			}
		})
	})
	t.Run("observe", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m, r := &memory{}, &receiver{}
			hub := runHub(t, Config{Page: 7, PageBytes: 1 << 20, Readers: 2, Reorder: 4, Timeout: time.Second},
				Deps{History: m, Observe: func(*event.Record) { panic("observe") }})
			hub.Start(hub.Subscribe(tenant, user, r, event.Position{}, event.Membership{}))
			synctest.Wait()
			batch := m.store(2)
			for i := range batch {
				batch[i].Room = user
			}
			batch[1].Tenant = "other" // without subscribers
			hub.Publish(batch)
			if hub.Panics.Load() != 2 || !fault.Is(r.lost, fault.Unavailable) {
				t.Errorf("%d panics, told %v", hub.Panics.Load(), r.lost)
			}
		})
	})
}

func TestExpiredRecordsKeepTheirPlaceAlone(t *testing.T) {
	for name, late := range map[string]bool{"live": false, "from history": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &memory{}
				hub, r := newHub(t, m), &spoken{}
				now := time.Now().UnixMilli()
				batch := m.store(4)
				for i, expires := range []int64{0, now, now - 1, now + 1} {
					batch[i].Action, batch[i].Expires = "message:send", expires
				}
				s := hub.Subscribe(tenant, conv, r, event.Position{}, event.Membership{})
				if !late {
					hub.find(roomKey{tenant, conv}).known = true
				}
				hub.Start(s)
				if !late {
					hub.Publish(batch)
				}
				synctest.Wait()
				// The last is encoded twice: for now, and for a queue that outlasts its time.
				want := "[1 message:send {} 2 event:expired {} 3 event:expired {} 4 message:send {} 4 event:expired {}]"
				if got := fmt.Sprint(r.actions); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			})
		})
	}
}

func TestTheClockIsReadWhenTheClientTakesThePage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &slow{takes: 500 * time.Millisecond}
		m.store(1)[0].Expires = time.Now().UnixMilli() + 400
		hub, r := newHub(t, m), &spoken{}
		hub.Start(hub.Subscribe(tenant, conv, r, event.Position{}, event.Membership{}))
		time.Sleep(time.Second) // of the bubble's clock
		synctest.Wait()
		if got := fmt.Sprint(r.actions); got != "[1 event:expired {}]" {
			t.Error(got)
		}
	})
}

func (f *feed) holds() (n int, healing bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.held), f.healing
}

func TestHeldRecordsThatHistoryGaveTooAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &slow{takes: 500 * time.Millisecond}
		m.store(1)
		hub, r := newHub(t, m), &receiver{}
		hub.Start(hub.Subscribe(tenant, conv, r, event.Position{Epoch: epoch, Offset: 1}, event.Membership{}))
		synctest.Wait()
		f := hub.find(roomKey{tenant, conv})
		for range 3 { // more in all than Reorder
			lost := m.store(1)
			hub.Publish(m.store(2))
			synctest.Wait()
			if n, healing := f.holds(); n == 0 || !healing {
				t.Fatalf("nothing is held before %d comes", lost[0].Offset)
			}
			time.Sleep(time.Second) // of the bubble's clock
			synctest.Wait()
			if n, healing := f.holds(); n != 0 || healing {
				t.Fatalf("%d records are held, healing %v", n, healing)
			}
		}
		contiguous(t, r.got, 2, 10)
	})
}

func TestNobodyTurnsLiveInARoomGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &slow{takes: 500 * time.Millisecond}
		m.store(5)
		hub, r := newHub(t, m), &receiver{}
		s := hub.Subscribe(tenant, conv, r, event.Position{}, event.Membership{})
		hub.Start(s)
		synctest.Wait() // in the middle of a page
		hub.find(roomKey{tenant, conv}).giveUp(errPanic)
		time.Sleep(time.Minute) // of the bubble's clock
		synctest.Wait()
		m.store(1)
		hub.Publish(m.store(1))
		if p := s.Position(); p.Offset != 5 || r.catchup.running {
			t.Errorf("at %v, the goroutine goes on: %v", p, r.catchup.running)
		}
		contiguous(t, r.got, 1, 5)
	})
}
