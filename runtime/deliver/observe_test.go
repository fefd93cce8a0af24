package deliver

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

// watched is a hub whose observed records are noted, with how many the receiver had by
// then; leave, if it is set, is called first.
type watched struct {
	*Hub
	memory
	receiver
	sub   *Sub
	leave func(r *event.Record)
	seen  []string
}

// watch runs a hub with a room in which something was said, and a live subscriber.
func watch(t *testing.T, name string) *watched {
	w := &watched{}
	w.Hub = runHub(t, Config{Page: 7, PageBytes: 1 << 20, Readers: 2, Reorder: 4, Timeout: time.Second}, Deps{History: &w.memory, Observe: func(r *event.Record) {
		if w.leave != nil {
			w.leave(r)
		}
		w.receiver.mu.Lock()
		defer w.receiver.mu.Unlock()
		w.seen = append(w.seen, fmt.Sprintf("%d of %d", r.Offset, len(w.got)+1))
	}})
	w.next(name, 1)
	w.sub = w.Subscribe(tenant, name, &w.receiver, event.Position{Epoch: epoch, Offset: 1}, event.Membership{})
	w.Start(w.sub)
	synctest.Wait()
	return w
}

// next makes records durable; those at the offsets named end memberships.
func (w *watched) next(name string, n int, leaves ...uint64) []event.Record {
	records := w.store(n)
	for i := range records {
		records[i].Room = name
		for _, offset := range leaves {
			if records[i].Offset == offset {
				records[i].Action = room.ActionLeave
			}
		}
	}
	return records
}

func TestEachRecordIsObservedOnceBehindItsDelivery(t *testing.T) {
	const user = "user:ann"
	for name, c := range map[string]struct {
		room    string
		publish func(w *watched, all []event.Record) // of 2 to 9, where 3 and 6 end memberships
		want    string
	}{
		"in order":                     {conv, func(w *watched, all []event.Record) { w.Publish(all) }, "[3 of 3 6 of 6]"},
		"one by one":                   {conv, func(w *watched, all []event.Record) { each(w, all) }, "[3 of 3 6 of 6]"},
		"from history":                 {conv, func(w *watched, all []event.Record) { w.Publish(all[7:]) }, "[3 of 3 6 of 6]"},
		"held":                         {conv, func(w *watched, all []event.Record) { w.Publish(all[3:5]) }, "[3 of 3 6 of 6]"},
		"held, then in order":          {conv, func(w *watched, all []event.Record) { w.Publish(all[3:]); w.Publish(all[:3]) }, "[3 of 3 6 of 6]"},
		"more than can be held":        {conv, func(w *watched, all []event.Record) { w.Publish(all[1:]); w.Publish(all[:1]) }, "[3 of 3 6 of 6]"},
		"twice":                        {conv, func(w *watched, all []event.Record) { w.Publish(all); w.Publish(all) }, "[3 of 3 6 of 6]"},
		"a user's own room":            {user, func(w *watched, all []event.Record) { w.Publish(all[:2]); w.Publish(all) }, "[2 of 3 3 of 3 4 of 6 5 of 6 6 of 6 7 of 9 8 of 9 9 of 9]"},
		"a user's own room, backwards": {user, func(w *watched, all []event.Record) { w.Publish(all[4:]); w.Publish(all[:4]) }, "[2 of 3 3 of 3 4 of 6 5 of 6 6 of 6 7 of 8 8 of 8 9 of 9]"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := watch(t, c.room)
				c.publish(w, w.next(c.room, 8, 3, 6))
				synctest.Wait()
				contiguous(t, w.got[:5], 2, 6) // all of what ends memberships, at the least
				if got := fmt.Sprint(w.seen); got != c.want {
					t.Errorf("observed %s, want %s", got, c.want)
				}
			})
		})
	}
}

func each(w *watched, records []event.Record) {
	for i := range records {
		w.Publish(records[i : i+1])
	}
}

// TestNothingPassesTheEndOfAMembership: while the one goroutine observes it, the other
// one brings what is said behind it.
func TestNothingPassesTheEndOfAMembership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, conv)
		stays := &receiver{}
		w.Start(w.Subscribe(tenant, conv, stays, event.Position{Epoch: epoch, Offset: 1}, event.Membership{}))
		synctest.Wait()
		w.leave = func(*event.Record) {
			time.Sleep(time.Second) // of the bubble's clock
			w.Unsubscribe(w.sub)
		}
		all := w.next(conv, 6, 3)
		w.Publish(all[2:3]) // what is missing before it, history has
		synctest.Wait()
		each(w, all[3:])
		synctest.Wait()
		contiguous(t, w.taken(), 2, 3)
		contiguous(t, stays.taken(), 2, 3)
		time.Sleep(time.Minute) // of the bubble's clock
		synctest.Wait()
		contiguous(t, w.got, 2, 3)
		contiguous(t, stays.got, 2, 7)
	})
}

// stale is a history whose pages are read long before they arrive.
type stale struct {
	memory
	takes time.Duration
}

func (s *stale) After(ctx context.Context, tn, rm string, p event.Position, limit, size int) ([]event.Record, error) {
	records, err := s.memory.After(ctx, tn, rm, p, limit, size)
	time.Sleep(s.takes)
	return records, err
}

func TestWhatHealsALifeThatIsOverIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, r := &stale{takes: time.Second}, &spoken{}
		m.store(1)
		hub := newHub(t, m)
		hub.Start(hub.Subscribe(tenant, conv, r, event.Position{Epoch: epoch, Offset: 1}, event.Membership{}))
		synctest.Wait()
		hub.Publish(m.store(4)[3:])
		synctest.Wait() // in the middle of a page
		m.records = nil
		next := m.store(3)
		for i := range next {
			next[i].Epoch, next[i].Action = "e2", "next"
		}
		hub.Publish(next)
		time.Sleep(time.Minute) // of the bubble's clock
		synctest.Wait()
		if got := fmt.Sprint(r.actions); got != "[1 next {} 2 next {} 3 next {}]" || r.lost != nil {
			t.Errorf("got %s, lost %v", got, r.lost)
		}
	})
}

// TestWhatHistoryHadFirstIsObserved: the first subscriber of a room came between the
// moment when the end of a membership was durable and the one when it was published.
func TestWhatHistoryHadFirstIsObserved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, conv)
		const other = "conv:2"
		r := &receiver{}
		last := w.next(other, 1, 2)
		w.Start(w.Subscribe(tenant, other, r, last[0].Position, event.Membership{}))
		synctest.Wait()
		for range 2 {
			w.Publish(last)
		}
		if got := fmt.Sprint(w.seen); got != "[2 of 1]" || len(r.got) != 0 {
			t.Errorf("observed %s, delivered %v", got, r.got)
		}
	})
}

// TestWhatWasHeldInARoomThatIsLostIsObserved, if it is a user's own.
func TestWhatWasHeldInARoomThatIsLostIsObserved(t *testing.T) {
	for name, want := range map[string]string{"user:ann": "[3 of 1 4 of 1]", conv: "[]"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := watch(t, name)
				w.err = errPanic
				w.Publish(w.next(name, 3, 3)[1:])
				synctest.Wait()
				if got := fmt.Sprint(w.seen); got != want || w.lost == nil {
					t.Errorf("observed %s, lost %v", got, w.lost)
				}
			})
		})
	}
}
