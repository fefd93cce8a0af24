package sequence

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// deed says which of two committers has all partitions. A partition moves only once the
// other has closed it, as fakeLog wants it.
type deed struct {
	mu      sync.Mutex
	owner   int
	changed chan struct{}
}

// share is one committer's side of a deed.
type share struct {
	*deed
	self int
}

func (s share) Owned(int) (bool, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.owner == s.self, s.changed
}

func (d *deed) give(owner int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.owner = owner
	close(d.changed)
	d.changed = make(chan struct{})
}

// waitFor waits for what must come true.
func waitFor(t *testing.T, true func() bool) {
	t.Helper()
	for late := time.Now().Add(30 * time.Second); !true(); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("it does not come true")
		}
	}
}

// open counts the partitions that a committer has open.
func open(c *Committer) (n int) {
	for _, p := range c.Stats() {
		if p.Term != 0 {
			n++
		}
	}
	return n
}

func TestPartitionsMove(t *testing.T) {
	d, log := &deed{owner: -1, changed: make(chan struct{})}, newFakeLog()
	var rigs [2]*rig
	for i := range rigs {
		rigs[i] = start(t, log, func(_ *Config, deps *Deps) { deps.Ownership = share{d, i} })
	}
	for i, r := range rigs {
		waitFor(t, func() bool { return r.Stats()[0].Foreign && r.Stats()[1].Foreign })
		if n := open(r.Committer); n != 0 {
			t.Fatalf("committer %d has %d partitions that are nobody's", i, n)
		}
	}

	const senders, each = 8, 60
	var sending sync.WaitGroup
	outcomes := make(chan Outcome, senders*each)
	for i := range senders {
		sending.Go(func() {
			for n := range each {
				tk := newTicket(nil, fmt.Sprint("conv:", i), "ann", fmt.Sprint(n))
				for who := n; ; who++ { // whoever is asked may not be the owner, or not any more
					if err := rigs[who%2].Submit(context.Background(), &tk.Submission); err != nil {
						t.Error(err)
						return
					}
					o := <-tk.out
					if o.Err == nil {
						outcomes <- o
						break
					}
					if !fault.Is(o.Err, fault.Unavailable) {
						t.Error(o.Err)
						return
					}
				}
			}
		})
	}
	finished := make(chan struct{})
	go func() { sending.Wait(); close(finished) }() // ends with the senders
	for turn := 0; ; turn++ {
		d.give(-1) // nobody's, until both have let go
		waitFor(t, func() bool { return open(rigs[0].Committer)+open(rigs[1].Committer) == 0 })
		d.give(turn % 2)
		waitFor(t, func() bool { return open(rigs[turn%2].Committer) == 2 })
		select {
		case <-finished:
		default:
			continue
		}
		break
	}
	close(outcomes)
	got := 0
	for range outcomes {
		got++
	}
	if got != senders*each {
		t.Errorf("%d of %d were stored", got, senders*each)
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	for k, stream := range log.streams {
		if len(stream) != each {
			t.Errorf("%v has %d events, and %d were sent", k, len(stream), each)
		}
	}
}

// TestNobodyOfALineIsStoredBehindOneThatIsNot: what follows a record that failed is
// refused until its sender begins another line.
func TestNobodyOfALineIsStoredBehindOneThatIsNot(t *testing.T) {
	log := newFakeLog()
	log.gate = make(chan struct{})
	fail := true
	log.failWait = func([]event.Record) (bool, error) { // with the log's lock held
		if fail {
			fail = false
			return false, errFault
		}
		return true, nil
	}
	r := start(t, log, func(c *Config, _ *Deps) { c.Partitions, c.MaxInFlight, c.MaxBatch = 1, 1, 1 })
	send := func(key string, line *Line) *ticket {
		tk := newTicket(r.pub, "conv:1", "ann", key)
		tk.Line = line
		return r.submit(t, tk)
	}
	var line Line
	first, second, other := send("1", &line), send("2", &line), send("3", new(Line))
	close(log.gate)
	if a, b := <-first.out, <-second.out; !fault.Is(a.Err, fault.Unavailable) || !fault.Is(b.Err, fault.Unavailable) {
		t.Errorf("the first ends with %v, the second with %v", a.Err, b.Err)
	}
	if o := <-other.out; o.Err != nil || o.Offset != 1 {
		t.Errorf("another line's is %+v", o)
	}
	line = Line{}
	if a, b := <-send("1", &line).out, <-send("2", &line).out; a.Offset != 2 || b.Offset != 3 {
		t.Errorf("again: %+v and %+v", a, b)
	}
}
