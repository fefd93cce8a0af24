package worker

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
)

var tested = Config{
	Batch: 10, BatchBytes: 1 << 20, Timeout: 30 * time.Second, RetryMin: 100 * time.Millisecond, RetryMax: 10 * time.Second,
	Keep: 24 * time.Hour, Rooms: 2, LagWarning: time.Minute,
}

// run has a worker run in a bubble, until do returns.
func run(t *testing.T, f *fake, cfg Config, do func(w *Worker)) {
	synctest.Test(t, func(t *testing.T) {
		f.stalled = make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		w, over := f.worker(cfg), make(chan error, 1)
		go func() { over <- w.Run(ctx) }()
		do(w)
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
}

// TestHoles and what looks like one.
func TestHoles(t *testing.T) {
	for name, c := range map[string]struct {
		head      event.Position // of a, in the store
		log, read []Event
		kept      string // offsets of a
		lost      string
	}{
		"a new room":                      {read: []Event{at(1, "a", "x", 1), at(2, "a", "x", 2)}, kept: "x1 x2"},
		"the first event since the start": {head: event.Position{Epoch: "x", Offset: 4}, read: []Event{at(1, "a", "x", 5)}, kept: "x5"},
		"kept already":                    {head: event.Position{Epoch: "x", Offset: 7}, read: []Event{at(1, "a", "x", 5)}, kept: "x5"},
		"begun anew":                      {read: []Event{at(1, "a", "x", 1), at(2, "a", "y", 1), at(3, "a", "y", 2)}, kept: "x1 y1 y2"},
		"begun anew while it was away":    {head: event.Position{Epoch: "x", Offset: 7}, read: []Event{at(1, "a", "y", 1)}, kept: "y1"},
		"an offset that was used twice":   {read: []Event{at(1, "a", "x", 1), at(2, "a", "x", 2), at(3, "a", "x", 2), at(4, "a", "x", 3)}, kept: "x1 x2 x2 x3"},
		"of another tenant":               {read: []Event{at(1, "a", "x", 1), {At: 2, Record: event.Record{Envelope: event.Envelope{Tenant: "other", Room: "a", Position: event.Position{Epoch: "x", Offset: 1}}}}, at(3, "a", "x", 2)}, kept: "x1 x1 x2"},
		"not remembered any more": {
			head: event.Position{Epoch: "x", Offset: 1},
			read: []Event{at(1, "a", "x", 1), at(2, "b", "x", 1), at(3, "c", "x", 1), at(4, "a", "x", 2)}, kept: "x1 x2",
		},
		"nowhere":                 {read: []Event{at(1, "a", "x", 1), at(2, "a", "x", 4)}, kept: "x1 x4", lost: "x2-3"},
		"of a new epoch":          {read: []Event{at(1, "a", "x", 1), at(2, "a", "y", 3)}, kept: "x1 y3", lost: "y1-2"},
		"nothing is in the store": {read: []Event{at(1, "a", "x", 3)}, kept: "x3", lost: "x1-2"},
		"another epoch is in it":  {head: event.Position{Epoch: "w", Offset: 9}, read: []Event{at(1, "a", "x", 3)}, kept: "x3", lost: "x1-2"},
		"all in the log": {
			head: event.Position{Epoch: "x", Offset: 2}, log: []Event{at(7, "a", "x", 2), at(8, "a", "x", 3), at(9, "b", "x", 4), at(10, "a", "x", 4)},
			read: []Event{at(11, "a", "x", 5)}, kept: "x3 x4 x5",
		},
		"some in the log": {
			head: event.Position{Epoch: "x", Offset: 1}, log: []Event{at(8, "a", "x", 3), at(9, "a", "w", 2), at(12, "a", "x", 4)},
			read: []Event{at(11, "a", "x", 6)}, kept: "x3 x6", lost: "x2-2 x4-5",
		},
		"two at once": {
			log:  []Event{at(8, "a", "x", 3)},
			read: []Event{at(10, "a", "x", 1), at(11, "a", "x", 4), at(12, "a", "x", 6)}, kept: "x3 x1 x4 x6", lost: "x2-2 x5-5",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake()
			f.heads["a"] = event.Head{Position: c.head}
			f.log, f.batches = c.log, []Batch{{Events: c.read, Next: Mark{Offset: 20}}}
			run(t, f, tested, func(*Worker) { <-f.stalled })
			var kept, lost []string
			for i := range f.kept {
				if e := &f.kept[i]; e.Room == "a" {
					kept = append(kept, fmt.Sprint(e.Epoch, e.Offset))
				}
			}
			for _, l := range f.lost {
				lost = append(lost, fmt.Sprintf("%s%d-%d", l.Epoch, l.From, l.To))
			}
			if got := strings.Join(kept, " "); got != c.kept {
				t.Errorf("kept %s", got)
			}
			if got := strings.Join(lost, " "); got != c.lost {
				t.Errorf("lost %s", got)
			}
			if f.passed.Offset != 20 {
				t.Errorf("passed %+v", f.passed)
			}
		})
	}
}

// TestFewRoomsAreLookedUp if there is no reason to doubt.
func TestFewRoomsAreLookedUp(t *testing.T) {
	f := newFake()
	for n := range int64(3 * asked) {
		f.batches = append(f.batches, Batch{Events: []Event{at(n, fmt.Sprint("room", n), "x", 2)}})
	}
	run(t, f, tested, func(*Worker) { <-f.stalled })
	if len(f.lost) != asked {
		t.Errorf("%d were looked up", len(f.lost))
	}
}

// TestALogThatHalts is looked at each minute, and told of.
func TestALogThatHalts(t *testing.T) {
	f := newFake()
	f.batches = []Batch{{Next: Mark{Offset: 5}}}
	halts := 0
	f.next = func() error {
		if len(f.batches) == 0 && halts < 3 {
			halts++
			return ErrHalt
		}
		return nil
	}
	run(t, f, tested, func(*Worker) {
		began := time.Now()
		<-f.stalled
		if took := time.Since(began); took != 3*halted {
			t.Errorf("it took %v", took)
		}
	})
	if n := f.count("fails, and is tried again"); n != 3 || len(f.begun) != 4 || f.begun[3] != (Mark{Offset: 5}) || f.begun[0].Term != 1 {
		t.Errorf("%d times, begun at %+v", n, f.begun)
	}
}

// TestPausesGrow up to a bound, with one line at the beginning and one at the end.
func TestPausesGrow(t *testing.T) {
	f := newFake()
	f.batches = []Batch{{Events: []Event{at(1, "a", "x", 1)}, Next: Mark{Offset: 2}}}
	tries := 0
	f.keep = func(context.Context) error {
		if tries++; tries <= 20 {
			return errAway
		}
		return nil
	}
	run(t, f, tested, func(w *Worker) {
		began := time.Now()
		<-f.stalled
		// 0.1 + 0.2 + ... + 6.4 s, and then 10 s each, of which each is at least half.
		if took := time.Since(began); took < 71*time.Second || took > 143*time.Second {
			t.Errorf("it took %v", took)
		}
		if s := w.Stats(); s.Retries != 20 || s.Kept != 1 {
			t.Errorf("%+v", s)
		}
	})
	if f.count("fails, and is tried again") != 1 || f.count("goes on") != 1 {
		t.Error(f.said.String())
	}
}

// TestWhatIsUnderWay when the partition has to go has a while left, and no more.
func TestWhatIsUnderWay(t *testing.T) {
	for _, c := range []struct {
		takes, ends time.Duration
		passed      bool
	}{{3 * time.Second, 3 * time.Second, true}, {time.Hour, lateness, false}} {
		f := newFake()
		f.batches = []Batch{{Events: []Event{at(1, "a", "x", 1)}, Next: Mark{Offset: 2}}}
		under := make(chan struct{})
		synctest.Test(t, func(t *testing.T) {
			under = make(chan struct{})
			f.keep = func(ctx context.Context) error {
				close(under)
				select {
				case <-time.After(c.takes):
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			f.stalled = make(chan struct{})
			ctx, cancel := context.WithCancel(t.Context())
			w, over := f.worker(tested), make(chan error, 1)
			go func() { over <- w.Run(ctx) }()
			<-under
			began := time.Now()
			cancel()
			<-over
			if took := time.Since(began); took != c.ends || (f.passed.Offset == 2) != c.passed {
				t.Errorf("it ended after %v, and has passed %+v", took, f.passed)
			}
		})
	}
}

// TestTend lets go of the log, and warns of what is behind.
func TestTend(t *testing.T) {
	f := newFake()
	run(t, f, tested, func(w *Worker) {
		<-f.stalled
		began := time.Now()
		f.mu.Lock()
		f.lagging = [2]int64{9, began.UnixMilli()}
		f.mu.Unlock()
		time.Sleep(2*tending + time.Second)
		f.mu.Lock()
		if want := began.Add(2*tending - tested.Keep); f.forgot != 7 || !f.asked.Equal(want) {
			t.Errorf("forgot up to %d, asked for %v, not %v", f.forgot, f.asked, want)
		}
		f.mu.Unlock()
		if lag := w.Stats().Lag; len(lag) != 1 || lag[0].Records != 9 || lag[0].Behind != 2*tending+time.Second {
			t.Errorf("%+v", lag)
		}
	})
	if n := f.count("behind the log"); n != 1 { // not after the first minute
		t.Errorf("warned %d times: %s", n, f.said.String())
	}
}

// TestAnInnocentBatch is of a store that refuses, and does not say what.
func TestAnInnocentBatch(t *testing.T) {
	f := newFake()
	f.batches = []Batch{{Events: []Event{at(1, "a", "x", 1)}, Next: Mark{Offset: 2}}}
	f.keep = func(context.Context) error {
		f.keep = nil
		return &Refused{}
	}
	run(t, f, tested, func(*Worker) { <-f.stalled })
	if f.passed.Offset != 2 {
		t.Errorf("passed %+v", f.passed)
	}
}
