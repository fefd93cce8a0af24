package sequence

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/config"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

const bigData = 1000

func newBig(r *rig) *ticket {
	tk := newTicket(r.pub, "conv:1", "ann", "")
	tk.Record.Data = make([]byte, bigData)
	return tk
}

// startFull is a rig with one event in flight and three queued, more than which
// there are no bytes for.
func startFull(t *testing.T) (*rig, []*ticket) {
	log := newFakeLog()
	log.gate = make(chan struct{})
	r := start(t, log, func(c *Config, _ *Deps) {
		c.Partitions, c.MaxInFlight, c.MaxBatch = 1, 1, 1
		c.QueueBytes = config.Size(3*newBig(&rig{}).size() + overhead) // a small one fits too
	})
	var taken []*ticket
	for range 4 {
		taken = append(taken, r.submit(t, newBig(r)))
		synctest.Wait()
	}
	return r, taken
}

func outcomes(t *testing.T, tickets []*ticket) {
	t.Helper()
	for _, tk := range tickets {
		if o := <-tk.out; o.Err != nil {
			t.Error(o.Err)
		}
	}
}

func TestQueueIsFullOfBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, taken := startFull(t)
		if s := r.Stats()[0]; s.Bytes != 3*(overhead+bigData) {
			t.Errorf("the queue holds %d bytes", s.Bytes)
		}
		extra := newBig(r)
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
		small := newTicket(r.pub, "conv:1", "ann", "")
		small.Record.Data = nil
		if err := r.Offer(&small.Submission); err != nil {
			t.Errorf("what there are bytes for: %v", err)
		}
		close(r.log.gate)
		outcomes(t, append(taken, small))
		if s := r.Stats()[0]; s.Bytes != 0 || s.Refused != 3 {
			t.Errorf("%d bytes are left, %d were counted as refused", s.Bytes, s.Refused)
		}
		r.stop()
	})
}

// Everybody who waits gets in when others have left, whoever is woken first.
func TestWaitersForBytesGetIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, taken := startFull(t)
		entered := make(chan error, 20)
		for i := range 20 {
			tk := newBig(r)
			tk.Record.Data = tk.Record.Data[:i%4*300]
			taken = append(taken, tk)
			go func() { entered <- r.Submit(context.Background(), &tk.Submission) }() // ends when it has
		}
		synctest.Wait()
		for range taken { // each in its own batch
			r.log.gate <- struct{}{}
			synctest.Wait()
		}
		outcomes(t, taken)
		for range 20 {
			if err := <-entered; err != nil {
				t.Error(err)
			}
		}
		if s := r.Stats()[0]; s.Bytes != 0 {
			t.Errorf("%d bytes are left", s.Bytes)
		}
		r.stop()
	})
}

func TestShutdownWakesWaitersForBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, taken := startFull(t)
		entered := make(chan error, 1)
		tk := newBig(r)
		go func() { entered <- r.Submit(context.Background(), &tk.Submission) }() // ends with stop
		synctest.Wait()
		ended := make(chan struct{})
		go func() { r.stop(); close(ended) }()
		if err := <-entered; !fault.Is(err, fault.Draining) {
			t.Errorf("Submit: %v", err)
		}
		close(r.log.gate)
		<-ended
		outcomes(t, taken)
	})
}

func TestWhatIsLargerThanTheQueueGoesAlone(t *testing.T) {
	r := start(t, newFakeLog(), func(c *Config, _ *Deps) { c.QueueBytes = 1 })
	for i := range 3 {
		if o := <-r.submit(t, newBig(r)).out; o.Err != nil || o.Offset != uint64(i+1) {
			t.Errorf("%+v", o)
		}
	}
}

// What has left the queue is bounded by the batches, repeats and refusals too.
func TestBatchIsFullOfBytes(t *testing.T) {
	b, cfg := &batch{}, Default()
	cfg.MaxBatchBytes = 2 * bigData
	s := &Submission{Record: event.Record{Envelope: event.Envelope{Data: make([]byte, bigData)}}}
	b.add(s).repeat(Stored{}, true)
	if b.full(&cfg) {
		t.Error("full with one of two")
	}
	b.add(s).refuse(errFault)
	if !b.full(&cfg) {
		t.Error("not full")
	}
}
