package sequence

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

func onePartition(c *Config, _ *Deps) { c.Partitions = 1 }

func TestFailedWait(t *testing.T) {
	for _, stored := range []bool{false, true} {
		t.Run(fmt.Sprintf("stored all the same %v", stored), func(t *testing.T) {
			log := newFakeLog()
			r := start(t, log, onePartition)
			r.send(t, "conv:1", "ann", "a")
			log.mu.Lock()
			log.failWait = func([]event.Record) (bool, error) { return stored, errFault }
			log.mu.Unlock()
			if o := r.send(t, "conv:1", "ann", "b"); !fault.Is(o.Err, fault.Unavailable) {
				t.Fatalf("the outcome is unknown, and was told as %+v", o)
			}
			log.mu.Lock()
			log.failWait = nil
			log.mu.Unlock()
			b, c := r.send(t, "conv:1", "ann", "b"), r.send(t, "conv:1", "ann", "c")
			if b.Err != nil || b.Offset != 2 || b.Repeat != stored || c.Offset != 3 || b.Epoch != c.Epoch {
				t.Errorf("the retry is %+v, the next %+v", b, c)
			}
			r.stop()
			var published []uint64
			for _, rec := range r.pub.seen {
				published = append(published, rec.Offset)
			}
			if !slices.Equal(published, []uint64{1, 2, 3}) {
				t.Errorf("published %v", published)
			}
			if log.terms[0] != 2 {
				t.Errorf("term %d", log.terms[0])
			}
		})
	}
}

// Behind a failed batch everything of its life fails, though the log might take
// it; and the next life begins without waiting for somebody to send.
func TestFailedWaitFailsWhatIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newFakeLog()
		log.gate = make(chan struct{})
		log.failWait = func([]event.Record) (bool, error) { return false, errFault }
		r := start(t, log, func(c *Config, _ *Deps) { c.Partitions, c.MaxBatch = 1, 1 })
		var all []*ticket
		for i := range 6 { // four in flight, two queued
			all = append(all, r.submit(t, newTicket(r.pub, "conv:1", "ann", fmt.Sprint(i))))
			synctest.Wait()
		}
		log.gate <- struct{}{}
		synctest.Wait()
		log.mu.Lock()
		log.failWait = nil
		if log.terms[0] != 2 {
			t.Errorf("term %d", log.terms[0])
		}
		log.mu.Unlock()
		close(log.gate)
		for i, tk := range all {
			o := <-tk.out
			if failed := fault.Is(o.Err, fault.Unavailable); failed != (i < 4) {
				t.Errorf("%d: %+v", i, o)
			}
			if i >= 4 && o.Offset != uint64(i-3) {
				t.Errorf("%d: %+v", i, o)
			}
		}
		r.stop()
		if s := r.Stats()[0]; s.Failed != 4 || s.Records != 2 || s.Reopens != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestFailedAppend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newFakeLog()
		log.gate = make(chan struct{})
		r := start(t, log, onePartition)
		before := r.submit(t, newTicket(r.pub, "conv:1", "ann", "a"))
		synctest.Wait()
		log.mu.Lock()
		log.failAppend = func([]event.Record) error { return errFault }
		log.mu.Unlock()
		failing := r.submit(t, newTicket(r.pub, "conv:1", "ann", "b"))
		synctest.Wait()
		log.mu.Lock()
		log.failAppend = nil
		log.mu.Unlock()
		close(log.gate)
		if o := <-before.out; o.Err != nil || o.Offset != 1 {
			t.Errorf("what was in flight before: %+v", o)
		}
		if o := <-failing.out; !fault.Is(o.Err, fault.Unavailable) {
			t.Errorf("%+v", o)
		}
		if o := r.send(t, "conv:1", "ann", "b"); o.Err != nil || o.Offset != 2 || o.Repeat {
			t.Errorf("the retry is %+v", o)
		}
		r.stop()
	})
}

func TestPartitionThatDoesNotOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newFakeLog()
		away := true
		log.failOpen = func(int) error {
			if away {
				return errFault
			}
			return nil
		}
		r := start(t, log, onePartition)
		for range 20 {
			if o := r.send(t, "conv:1", "ann", "a"); !fault.Is(o.Err, fault.Unavailable) {
				t.Fatalf("%+v", o)
			}
			time.Sleep(time.Second) // of the bubble: backoff goes on
		}
		log.mu.Lock()
		away = false
		log.mu.Unlock()
		time.Sleep(maxBackoff)
		if o := r.send(t, "conv:1", "ann", "a"); o.Err != nil || o.Offset != 1 {
			t.Errorf("%+v", o)
		}
		r.stop()

		away = true
		r = start(t, log, onePartition)
		tk := r.submit(t, newTicket(r.pub, "conv:1", "ann", "b"))
		r.stop()
		if o := <-tk.out; !fault.Is(o.Err, fault.Unavailable) {
			t.Errorf("at shutdown: %+v", o)
		}
	})
}

// planFaults lets some appends and waits fail, as drawn.
func planFaults(rt *rapid.T, log *fakeLog) {
	faults := rapid.SliceOfN(rapid.IntRange(0, 11), 0, 40).Draw(rt, "faults")
	next := func() int {
		if len(faults) == 0 {
			return -1
		}
		f := faults[0]
		faults = faults[1:]
		return f
	}
	log.keep = func() int { return max(0, next()) % 4 }
	log.failAppend = func([]event.Record) error {
		if next() == 0 {
			return errFault
		}
		return nil
	}
	log.failWait = func([]event.Record) (bool, error) {
		switch next() {
		case 1:
			return false, errFault
		case 2:
			return true, errFault
		}
		return true, nil
	}
}

// Whatever fails, and whoever tries again: what was acked is in the log where it
// was acked, under one position for ever, and was published in order.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		log := newFakeLog()
		planFaults(rt, log)
		r := start(t, log, func(c *Config, d *Deps) {
			c.Partitions, c.MaxBatch, c.MaxInFlight, c.HeadCache = 1, rapid.IntRange(1, 5).Draw(rt, "batch"), rapid.IntRange(1, 4).Draw(rt, "flight"), 2
		})
		acked := map[Key]Stored{}
		var waiting []*ticket
		collect := func() {
			for _, tk := range waiting {
				o := <-tk.out
				if o.Err != nil {
					continue
				}
				if tk.unseen && !o.Repeat {
					rt.Fatalf("%+v was acked before it was published", o)
				}
				k := KeyOf(&tk.Record)
				if first, ok := acked[k]; ok && first != o.Stored {
					rt.Fatalf("%+v is %+v, and was %+v", k, o.Stored, first)
				}
				acked[k] = o.Stored
			}
			waiting = nil
		}
		for _, op := range rapid.SliceOfN(rapid.IntRange(0, 19), 1, 80).Draw(rt, "ops") {
			if op == 0 {
				collect()
				continue
			}
			tk := newTicket(r.pub, fmt.Sprintf("conv:%d", op%4), "ann", fmt.Sprint(op))
			if err := r.Submit(context.Background(), &tk.Submission); err != nil {
				rt.Fatal(err)
			}
			waiting = append(waiting, tk)
		}
		collect()
		r.stop()
		checkModel(rt, log, r.pub, acked)
	})
}

func checkModel(rt *rapid.T, log *fakeLog, pub *recorder, acked map[Key]Stored) {
	if len(log.misuse) > 0 {
		rt.Fatalf("the log was misused: %v", log.misuse)
	}
	for k, st := range acked {
		s := log.streams[roomKey{k.Tenant, k.Room}]
		if st.Offset > uint64(len(s)) || StoredOf(&s[st.Offset-1]) != st || KeyOf(&s[st.Offset-1]) != k {
			rt.Fatalf("%+v was acked as %+v, and is not there", k, st)
		}
	}
	stored := map[Key]bool{}
	for _, s := range log.streams {
		for i := range s {
			if k := KeyOf(&s[i]); stored[k] {
				rt.Fatalf("%+v is stored twice", k)
			} else {
				stored[k] = true
			}
		}
	}
	tops := map[string]uint64{}
	for i := range pub.seen {
		rec := &pub.seen[i]
		if tops[rec.Room]++; rec.Offset != tops[rec.Room] {
			rt.Fatalf("%s: %d was published after %d", rec.Room, rec.Offset, tops[rec.Room]-1)
		}
		if s := log.streams[roomKey{rec.Tenant, rec.Room}]; rec.Offset > uint64(len(s)) || s[rec.Offset-1].ID != rec.ID {
			rt.Fatalf("%s: %d was published, and is not stored", rec.Room, rec.Offset)
		}
	}
	for room, s := range log.streams {
		if tops[room.room] != uint64(len(s)) {
			rt.Fatalf("%s: %d of %d were published", room.room, tops[room.room], len(s))
		}
	}
}
