package sequence

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/heddle-rt/heddle/runtime/event"
)

func TestHeadsForgetWhatWasUsedLongestAgo(t *testing.T) {
	h := newHeads(2)
	key := func(i int) roomKey { return roomKey{"acme", fmt.Sprint(i)} }
	for i := range 4 {
		h.add(key(i), Head{Head: event.Head{Messages: uint64(i)}})
	}
	if h.find(key(0)) == nil {
		t.Error("forgot before trim")
	}
	h.trim()
	if h.find(key(0)) == nil || h.find(key(3)) == nil || h.find(key(1)) != nil || h.find(key(2)) != nil {
		t.Errorf("kept %v", h.byID)
	}
	if h.find(key(3)).Messages != 3 || len(h.byID) != 2 {
		t.Errorf("kept %v", h.byID)
	}
}

// TestHeadsAreBoundedByTheirSubjects: rooms that are asked about many are fewer.
func TestHeadsAreBoundedByTheirSubjects(t *testing.T) {
	const rooms = 100
	h := newHeads(rooms)
	key := func(i int) roomKey { return roomKey{"acme", fmt.Sprint(i)} }
	for i := range rooms {
		e := h.add(key(i), Head{})
		for n := range 2 * maxSubjects {
			e.Offset++
			h.note(e, &Submission{Subject: fmt.Sprint("read:conv:", n)})
		}
		if len(e.subjects) != maxSubjects || e.floor != maxSubjects {
			t.Fatalf("%d subjects behind %d", len(e.subjects), e.floor)
		}
	}
	h.trim()
	left, kept := 0, 0
	for _, e := range h.byID {
		left += len(e.subjects)
	}
	for i := range rooms {
		if h.find(key(i)) != nil {
			kept++
			if i < rooms-rooms/8 {
				t.Errorf("room %d is kept, and newer ones are not", i)
			}
		}
	}
	if left != h.subjects || left > meanSubjects*rooms || kept != rooms/8 {
		t.Errorf("%d subjects, counted as %d, in %d rooms", left, h.subjects, kept)
	}
	if h.clear(); h.subjects != 0 {
		t.Errorf("%d subjects of no room", h.subjects)
	}
}

// A batch may hold more rooms than the cache: the log does not know the positions
// given out in it yet.
func TestBatchOfMoreRoomsThanAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newFakeLog()
		log.gate = make(chan struct{})
		r := start(t, log, func(c *Config, _ *Deps) { c.Partitions, c.HeadCache, c.MaxInFlight = 1, 2, 1 })
		first := r.submit(t, newTicket(r.pub, "conv:first", "ann", ""))
		synctest.Wait() // it is in flight, and what follows becomes one batch
		var all []*ticket
		for range 3 {
			for i := range 9 {
				all = append(all, r.submit(t, newTicket(r.pub, fmt.Sprintf("conv:%d", i), "ann", "")))
			}
		}
		close(log.gate)
		<-first.out
		for i, tk := range all {
			if o := <-tk.out; o.Offset != uint64(i/9+1) {
				t.Errorf("%s: %+v", tk.Record.Room, o)
			}
		}
		r.stop()
		if len(r.lanes[0].heads.byID) != 0 || r.Stats()[0].Batches[4] != 1 {
			t.Errorf("batches by size: %v", r.Stats()[0].Batches)
		}
	})
}
