package sequence

import (
	"context"
	"fmt"
	"hash/fnv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

func TestOffsetsAreContiguousAndPublishedBeforeTheAck(t *testing.T) {
	r := start(t, newFakeLog(), nil)
	var tickets []*ticket
	for i := range 500 {
		tickets = append(tickets, r.submit(t, newTicket(r.pub, fmt.Sprintf("conv:%d", i%7), "ann", "")))
	}
	next := map[string]uint64{}
	epochs := map[string]string{}
	for _, tk := range tickets {
		o, name := <-tk.out, tk.Record.Room
		next[name]++
		if o.Err != nil || o.Offset != next[name] || o.Repeat || o.Epoch == "" || len(o.ID) != 26 {
			t.Fatalf("%s: %+v; want offset %d", name, o, next[name])
		}
		if e, ok := epochs[name]; ok && e != o.Epoch {
			t.Fatalf("%s: the epoch changed from %s to %s", name, e, o.Epoch)
		}
		epochs[name] = o.Epoch
		if tk.unseen {
			t.Fatalf("%s: %d was acked before it was published", name, o.Offset)
		}
	}
	r.stop()
	top := map[string]uint64{}
	for _, rec := range r.pub.seen {
		if top[rec.Room]++; rec.Offset != top[rec.Room] || rec.Messages != rec.Offset {
			t.Fatalf("%s: %d (messages %d) was published as number %d", rec.Room, rec.Offset, rec.Messages, top[rec.Room])
		}
	}
	if s := r.Stats(); s[0].Records+s[1].Records != 500 || s[0].Latency.Count+s[1].Latency.Count != 500 {
		t.Errorf("stats %+v", s)
	}
}

func TestHeadsThatWereForgottenAreReadAgain(t *testing.T) {
	log := newFakeLog()
	r := start(t, log, func(c *Config, _ *Deps) { c.Partitions, c.HeadCache = 1, 2 })
	for round := range uint64(5) {
		for i := range 9 {
			if o := r.send(t, fmt.Sprintf("conv:%d", i), "ann", ""); o.Err != nil || o.Offset != round+1 {
				t.Fatalf("%+v in round %d", o, round)
			}
		}
	}
	r.stop()
	if log.heads != 5*9 {
		t.Errorf("heads were read %d times for 45 events in turn", log.heads)
	}
}

func TestMessagesCountsUnreadRecords(t *testing.T) {
	r := start(t, newFakeLog(), nil)
	for i := range 6 {
		tk := newTicket(r.pub, "conv:1", "ann", "")
		tk.Record.Unread = i%2 == 0
		<-r.submit(t, tk).out
	}
	r.stop()
	for i, rec := range r.pub.seen {
		if want := uint64(i/2 + 1); rec.Messages != want {
			t.Errorf("record %d has %d messages, want %d", i, rec.Messages, want)
		}
	}
}

func TestRetries(t *testing.T) {
	log := newFakeLog()
	r := start(t, log, nil)
	first := r.send(t, "conv:1", "ann", "k")
	if first.Err != nil || first.Repeat {
		t.Fatalf("%+v", first)
	}
	if again := r.send(t, "conv:1", "ann", "k"); again.Stored != first.Stored || !again.Repeat {
		t.Errorf("the repeat is %+v, the first %+v", again, first)
	}
	for _, other := range []*ticket{newTicket(r.pub, "conv:2", "ann", "k"), newTicket(r.pub, "conv:1", "bob", "k"), newTicket(r.pub, "conv:1", "ann", "")} {
		if o := <-r.submit(t, other).out; o.Err != nil || o.Repeat {
			t.Errorf("%s of %s in %s is %+v", other.Record.Key, other.Record.From.User, other.Record.Room, o)
		}
	}
	// After a restart, from the log.
	r.stop()
	r = start(t, log, nil)
	if again := r.send(t, "conv:1", "ann", "k"); again.Stored != first.Stored || !again.Repeat {
		t.Errorf("after a restart the repeat is %+v, the first %+v", again, first)
	}
}

// A repeat of what is in flight must not be answered before the first is durable,
// and must fail with it.
func TestRetriesInFlight(t *testing.T) {
	for _, fails := range []bool{false, true} {
		t.Run(fmt.Sprintf("the first fails %v", fails), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := newFakeLog()
				log.gate = make(chan struct{})
				if fails {
					log.failWait = func([]event.Record) (bool, error) { return false, errFault }
				}
				r := start(t, log, nil)
				first := r.submit(t, newTicket(r.pub, "conv:1", "ann", "k"))
				synctest.Wait() // it is in flight alone
				second := r.submit(t, newTicket(r.pub, "conv:1", "ann", "k"))
				third := r.submit(t, newTicket(r.pub, "conv:1", "ann", "other"))
				synctest.Wait()
				if len(first.out)+len(second.out) > 0 {
					t.Fatal("answered before it was durable")
				}
				close(log.gate)
				a, b, c := <-first.out, <-second.out, <-third.out
				if fails {
					for _, o := range []Outcome{a, b, c} {
						if !fault.Is(o.Err, fault.Unavailable) {
							t.Errorf("%+v", o)
						}
					}
				} else if a.Err != nil || b.Stored != a.Stored || !b.Repeat || c.Offset != 2 {
					t.Errorf("%+v, %+v, %+v", a, b, c)
				}
				r.stop()
			})
		})
	}
}

func TestCreate(t *testing.T) {
	r := start(t, newFakeLog(), nil)
	create := func(key string) Outcome {
		tk := newTicket(r.pub, "conv:1", "ann", key)
		tk.Create = true
		return <-r.submit(t, tk).out
	}
	first := create("k")
	if first.Err != nil {
		t.Fatal(first.Err)
	}
	if o := create("k"); o.Err != nil || o.Stored != first.Stored {
		t.Errorf("the retry is %+v", o)
	}
	if o := create("k2"); !fault.Is(o.Err, fault.Conflict) {
		t.Errorf("the second create is %+v", o)
	}
	if o := r.send(t, "conv:1", "ann", ""); o.Offset != 2 {
		t.Errorf("after a refused create: %+v", o)
	}
}

func TestTimeNeverGoesBackwardsInARoom(t *testing.T) {
	log := newFakeLog()
	now := time.UnixMilli(2_000_000)
	clock := func(c *Config, d *Deps) { c.Partitions = 1; d.Clock = func() time.Time { return now } }
	r := start(t, log, clock)
	a := r.send(t, "conv:1", "ann", "")
	r.stop()
	now = time.UnixMilli(1_000_000) // a restart with a clock that is behind
	r = start(t, log, clock)
	b, c := r.send(t, "conv:1", "ann", ""), r.send(t, "conv:2", "ann", "")
	if a.Timestamp != 2_000_000 || b.Timestamp != 2_000_000 || c.Timestamp != 1_000_000 {
		t.Errorf("times are %d, %d, and %d in another room", a.Timestamp, b.Timestamp, c.Timestamp)
	}
}

func TestFullQueueRefusesAfterATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newFakeLog()
		log.gate = make(chan struct{})
		r := start(t, log, func(c *Config, _ *Deps) {
			c.Partitions, c.QueueLen, c.MaxInFlight, c.MaxBatch = 1, 3, 1, 1
		})
		var taken []*ticket
		for range 4 { // one in flight, three queued
			taken = append(taken, r.submit(t, newTicket(r.pub, "conv:1", "ann", "")))
			synctest.Wait()
		}
		extra := newTicket(r.pub, "conv:1", "ann", "")
		if err := r.Offer(&extra.Submission); !fault.Is(err, fault.Overloaded) {
			t.Errorf("Offer: %v", err)
		}
		began := time.Now()
		err := r.Submit(t.Context(), &extra.Submission)
		if took := time.Since(began); !fault.Is(err, fault.Overloaded) || took != 2*time.Second {
			t.Errorf("Submit: %v after %v", err, took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := r.Submit(ctx, &extra.Submission); !fault.Is(err, fault.Timeout) {
			t.Errorf("Submit with a context that ends: %v", err)
		}
		close(log.gate)
		for _, tk := range taken {
			if o := <-tk.out; o.Err != nil {
				t.Error(o.Err)
			}
		}
		if s := r.Stats()[0]; s.Refused != 3 || s.Bytes != 0 {
			t.Errorf("%d were counted as refused, %d bytes are left", s.Refused, s.Bytes)
		}
		r.stop()
	})
}

func TestFullStorageRefuses(t *testing.T) {
	space := false
	r := start(t, newFakeLog(), func(_ *Config, d *Deps) { d.Space = func() bool { return space } })
	tk := newTicket(r.pub, "conv:1", "ann", "")
	if err := r.Submit(t.Context(), &tk.Submission); !fault.Is(err, fault.StorageFull) {
		t.Errorf("Submit: %v", err)
	}
	space = true
	if o := r.send(t, "conv:1", "ann", ""); o.Offset != 1 {
		t.Errorf("%+v", o)
	}
}

func TestShutdownFinishesWhatIsQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newFakeLog()
		log.gate = make(chan struct{})
		r := start(t, log, func(c *Config, _ *Deps) { c.Partitions, c.QueueLen, c.MaxInFlight, c.MaxBatch = 1, 4, 1, 2 })
		var queued []*ticket
		for range 5 { // one in flight, four queued
			queued = append(queued, r.submit(t, newTicket(r.pub, "conv:1", "ann", "")))
			synctest.Wait()
		}
		waiting := make(chan error, 8)
		for range 8 { // for a place
			go func() {
				tk := newTicket(r.pub, "conv:1", "ann", "")
				waiting <- r.Submit(context.Background(), &tk.Submission)
			}()
		}
		synctest.Wait()
		ended := make(chan struct{})
		go func() { r.stop(); close(ended) }()
		synctest.Wait()
		refused := 0
		for range len(waiting) {
			if err := <-waiting; fault.Is(err, fault.Draining) {
				refused++
			} else if err != nil {
				t.Error(err)
			}
		}
		if refused == 0 {
			t.Error("nobody was refused as draining")
		}
		close(log.gate)
		<-ended
		for i, tk := range queued {
			if o := <-tk.out; o.Err != nil || o.Offset != uint64(i+1) {
				t.Errorf("%d: %+v", i, o)
			}
		}
		tk := newTicket(r.pub, "conv:1", "ann", "")
		if err := r.Submit(context.Background(), &tk.Submission); !fault.Is(err, fault.Draining) {
			t.Errorf("after the end: %v", err)
		}
	})
}

func TestShutdownDoesNotWaitForALogThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newFakeLog()
		log.gate = make(chan struct{})
		r := start(t, log, nil)
		tk := r.submit(t, newTicket(r.pub, "conv:1", "ann", ""))
		began := time.Now()
		r.stop()
		if o := <-tk.out; !fault.Is(o.Err, fault.Unavailable) || time.Since(began) != Default().DrainTimeout {
			t.Errorf("%+v after %v", o, time.Since(began))
		}
	})
}

func TestNewRefusesAnEmptyConfig(t *testing.T) {
	deps := Deps{Log: newFakeLog(), Publisher: &recorder{}}
	if _, err := New(Config{}, deps); err == nil {
		t.Error("no sizes")
	}
	if _, err := New(Default(), Deps{}); err == nil {
		t.Error("no log")
	}
}

// The hash is part of the data: these may never change.
func TestPartitionOfIsStable(t *testing.T) {
	for _, c := range []struct {
		tenant, room string
		n, want      int
	}{{"acme", "conv:42", 16, 0}, {"acme", "conv:43", 16, 15}, {"", "", 16, 3}, {"acme", "channel:news", 7, 3}} {
		if got := PartitionOf(c.tenant, c.room, c.n); got != c.want {
			t.Errorf("%q %q of %d is %d, want %d", c.tenant, c.room, c.n, got, c.want)
		}
		h := fnv.New64a()
		_, _ = h.Write([]byte(c.tenant + "\x00" + c.room))
		if sum := h.Sum64(); int((sum^sum>>32)%uint64(c.n)) != c.want {
			t.Errorf("%q %q of %d is not FNV-1a", c.tenant, c.room, c.n)
		}
	}
	counts := make([]int, 16)
	for i := range 16000 {
		counts[PartitionOf("acme", fmt.Sprintf("conv:%d", i), 16)]++
	}
	for p, n := range counts {
		if n < 800 || n > 1200 {
			t.Errorf("partition %d has %d of 16000 rooms", p, n)
		}
	}
}
