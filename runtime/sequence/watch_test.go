package sequence

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// hanging is a log that stops in one of its calls, without an error, until hang is
// closed.
type hanging struct {
	*fakeLog
	where string
	hang  chan struct{}
}

func (l *hanging) stop(where string) {
	if l.where == where {
		<-l.hang
	}
}

func (l *hanging) Open(ctx context.Context, n int) (Partition, error) {
	l.stop("Open")
	p, err := l.fakeLog.Open(ctx, n)
	return hangingPartition{p, l}, err
}

type hangingPartition struct {
	Partition
	log *hanging
}

func (p hangingPartition) Head(ctx context.Context, tenant, room string) (Head, error) {
	p.log.stop("Head")
	return p.Partition.Head(ctx, tenant, room)
}

func (p hangingPartition) Lookup(ctx context.Context, k Key) (Stored, bool, error) {
	p.log.stop("Lookup")
	return p.Partition.Lookup(ctx, k)
}

func (p hangingPartition) Append(ctx context.Context, batch []event.Record) (Pending, error) {
	p.log.stop("Append")
	w, err := p.Partition.Append(ctx, batch)
	return hangingPending{w, p.log}, err
}

type hangingPending struct {
	Pending
	log *hanging
}

func (w hangingPending) Wait(ctx context.Context) error {
	w.log.stop("Wait")
	return w.Pending.Wait(ctx)
}

// A log that hangs keeps nobody waiting for longer than Timeout and a tick; what it
// stores later a retry finds, as it is.
func TestLogThatHangs(t *testing.T) {
	for _, where := range []string{"Open", "Lookup", "Head", "Append", "Wait"} {
		for _, flight := range []int{1, 3} {
			t.Run(fmt.Sprint(where, " with ", flight, " in flight"), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { hangs(t, where, flight) })
			})
		}
	}
}

func hangs(t *testing.T, where string, flight int) {
	log := &hanging{fakeLog: newFakeLog(), where: where, hang: make(chan struct{})}
	r := start(t, log.fakeLog, func(c *Config, d *Deps) {
		c.Partitions, c.MaxInFlight, c.MaxBatch, d.Log = 1, flight, 2, log
	})
	began := time.Now()
	var sent []*ticket
	for i := range 12 {
		sent = append(sent, r.submit(t, newTicket(r.pub, "conv:1", "ann", fmt.Sprint(i))))
		synctest.Wait()
	}
	if r.Stats()[0].Stalled {
		t.Error("stalled at once")
	}
	unknown := 0
	for i, tk := range sent {
		switch o := <-tk.out; {
		case fault.Is(o.Err, fault.Timeout):
			unknown++
			if i >= unknown {
				t.Errorf("%d is not known, and one before it is", i)
			}
		case !fault.Is(o.Err, fault.Unavailable):
			t.Errorf("%d: %+v", i, o)
		}
	}
	if took := time.Since(began); took < 10*time.Second || took > 11*time.Second {
		t.Errorf("told after %v", took)
	}
	if (unknown == 0) != (where == "Open") {
		t.Errorf("of %d it is not known", unknown)
	}
	synctest.Wait() // the last of them is told before the watch says that it is stalled
	if err := r.Offer(&newTicket(r.pub, "conv:1", "ann", "new").Submission); !fault.Is(err, fault.Unavailable) || !r.Stats()[0].Stalled {
		t.Errorf("while it hangs: %v", err)
	}
	close(log.hang)
	time.Sleep(2 * time.Second) // of the bubble: the watch sees that it goes on
	synctest.Wait()
	if r.Stats()[0].Stalled {
		t.Error("stalled for ever")
	}
	for i, tk := range sent {
		if len(tk.out) > 0 || tk.completed != 1 {
			t.Errorf("%d was completed %d times", i, tk.completed)
		}
		o := r.send(t, "conv:1", "ann", fmt.Sprint(i))
		if o.Err != nil || o.Repeat != (i < unknown) || o.Offset != uint64(i+1) {
			t.Errorf("the retry of %d, %d not known: %+v", i, unknown, o)
		}
	}
	r.stop()
	if len(r.pub.seen) != len(sent) {
		t.Errorf("%d were published", len(r.pub.seen))
	}
}

// Who came late to a batch waits as long as anybody.
func TestEachHasItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, began := &batch{}, time.Now()
		for i := range 3 {
			tk := newTicket(nil, "conv:1", "ann", "")
			tk.queued = began.Add(time.Duration(i) * time.Second)
			b.add(&tk.Submission)
		}
		for after, want := range []int{0, 1, 1, 1, 0} { // each second
			if late, stalled := b.expire(began.Add(time.Duration(after) * time.Second)); len(late) != want || stalled != (after > 0) {
				t.Errorf("after %ds: %d are late, stalled %v", after, len(late), stalled)
			}
		}
		b.close()
		if _, stalled := b.expire(began.Add(time.Hour)); stalled {
			t.Error("with the publisher, and stalled")
		}
	})
}

// An event may be used again as soon as it went on, also if it was late.
func TestLateEventsAreUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &hanging{fakeLog: newFakeLog(), where: "Wait", hang: make(chan struct{})}
		r := start(t, log.fakeLog, func(c *Config, d *Deps) { c.Partitions, d.Log = 1, log })
		s, out := stageOf(r)
		ev := newEvent("1", effect("conv:1", "ann"), effect("user:ann", "ann"))
		if _, err := s.Process(t.Context(), ev); err != nil {
			t.Fatal(err)
		}
		if got := <-out; got.ev != ev || !fault.Is(got.err, fault.Timeout) || !fault.Of(got.err).Kind.Retryable() {
			t.Fatalf("%+v", got)
		}
		ev.Reset()
		close(log.hang)
		time.Sleep(2 * time.Second) // of the bubble
		synctest.Wait()
		if len(out) > 0 || len(r.pub.seen) != 1 || r.pub.seen[0].Key != "1" || r.pub.seen[0].Room != "conv:1" {
			t.Errorf("went on %d times, published %+v", len(out), r.pub.seen)
		}
		again := newEvent("1", effect("conv:1", "ann"), effect("user:ann", "ann"))
		if _, err := s.Process(t.Context(), again); err != nil {
			t.Fatal(err)
		}
		if got := <-out; got.err != nil || !again.Repeat || again.Stored.Offset != 1 {
			t.Errorf("%+v", got)
		}
		r.stop()
		if len(r.pub.seen) != 2 || r.pub.seen[1].Room != "user:ann" {
			t.Errorf("published %+v", r.pub.seen)
		}
	})
}
