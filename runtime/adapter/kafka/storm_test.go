package kafka

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/sequence"
	"github.com/heddle-rt/heddle/runtime/sequence/logtest"
)

// Of a storm: each room has some writers, so that many of its events are in flight.
const (
	stormRooms   = 8
	stormWriters = 4
	stormPace    = 10 * time.Millisecond
	stormTimeout = 3 * time.Second // sequence.timeout
)

// A storm is a committer under load, while faults happen to its brokers, and what its
// writers were told.
type storm struct {
	t         *testing.T
	rng       *rand.Rand
	log       *Log
	committer *sequence.Committer
	writers   []*writer
}

// writer sends one event after the other to a room, and the same again until it is stored.
type writer struct {
	room, user string
	committer  *sequence.Committer
	outcome    chan sequence.Outcome

	mu     sync.Mutex
	stored []sequence.Stored // by id, from 0
}

func (w *writer) Committed(o sequence.Outcome) { w.outcome <- o }

// run ends with ctx.
func (w *writer) run(ctx context.Context, t *testing.T) {
	for n := 0; ctx.Err() == nil; n++ {
		s := w.send(ctx, t, strconv.Itoa(n))
		if s == nil {
			return
		}
		w.mu.Lock()
		w.stored = append(w.stored, *s)
		w.mu.Unlock()
		pause(ctx, stormPace) // who takes over reads all that is there
	}
}

// send returns what an event was stored as; nil if ctx ended before anybody knew.
func (w *writer) send(ctx context.Context, t *testing.T, id string) *sequence.Stored {
	for ctx.Err() == nil {
		s := sequence.Submission{Done: w}
		s.Record = event.Record{Key: id, Unread: true}
		s.Record.Type, s.Record.Tenant, s.Record.Room, s.Record.From = event.TypeMessage, "acme", w.room, event.Sender{User: w.user}
		s.Record.Action, s.Record.Data = "message:send", []byte(`{"text":"hello"}`)
		begun := time.Now()
		err := w.committer.Submit(ctx, &s)
		if err == nil {
			o := <-w.outcome
			if err = o.Err; err == nil {
				return &o.Stored
			}
		}
		if took := time.Since(begun); took > 2*stormTimeout+patience/10 {
			t.Errorf("an answer came after %v: %v", took, err)
		}
		if f := new(fault.Error); !errors.As(err, &f) || !f.Kind.Retryable() {
			t.Errorf("refused: %v", err)
			return nil
		}
		pause(ctx, 20*time.Millisecond)
	}
	return nil
}

func (w *writer) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.stored)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

type nobody struct{}

func (nobody) Publish([]event.Record) {}

// begin starts the writers; calm ends them. The seed is HEDDLE_SEED, or any.
func begin(t *testing.T, c listeners) *storm {
	t.Helper()
	seed := rand.Uint64()
	if s, err := strconv.ParseUint(os.Getenv("HEDDLE_SEED"), 10, 64); err == nil {
		seed = s
	}
	t.Logf("HEDDLE_SEED=%d", seed)
	cfg, deps := settings(t, c)
	deps.Now, deps.Timeout = time.Now, stormTimeout
	s := &storm{t: t, rng: rand.New(rand.NewPCG(seed, 0)), log: ensured(t, cfg, deps)}
	seq := sequence.Default()
	seq.Partitions, seq.MaxInFlight, seq.Timeout = logtest.Partitions, 4, stormTimeout
	committer, err := sequence.New(seq, sequence.Deps{Log: s.log, Publisher: nobody{}})
	if err != nil {
		t.Fatal(err)
	}
	s.committer = committer
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var all sync.WaitGroup
	all.Go(func() { _ = s.committer.Run(ctx) }) // returns nil
	for i := range stormRooms * stormWriters {
		w := &writer{room: fmt.Sprint("conv:", i%stormRooms), user: fmt.Sprint("user", i), committer: committer, outcome: make(chan sequence.Outcome, 1)}
		s.writers = append(s.writers, w)
		all.Go(func() { w.run(ctx, t) })
	}
	t.Cleanup(func() {
		cancel()
		all.Wait()
	})
	return s
}

// another takes a partition over, as a node does that believes it is its own.
func (s *storm) another() {
	cfg, deps := s.log.cfg, s.log.deps
	deps.Node = "another"
	l, err := New(cfg, deps)
	if err != nil {
		s.t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	if _, err := l.Open(ctx, s.rng.IntN(logtest.Partitions)); err != nil {
		s.t.Errorf("taken over: %v", err)
	}
}

// progress waits until each writer has had some more answers.
func (s *storm) progress(more int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*patience)
	defer cancel()
	until := make([]int, len(s.writers))
	for i, w := range s.writers {
		until[i] = w.count() + more
	}
	for i, w := range s.writers {
		for ; w.count() < until[i]; pause(ctx, time.Millisecond) {
			if ctx.Err() != nil {
				s.t.Fatalf("%s has no answer for %v", w.user, 2*patience)
			}
		}
	}
}

// check holds what the log has against what the writers were told.
func (s *storm) check() {
	s.t.Helper()
	s.progress(3)
	type key struct{ room, user, id string }
	found, tops := map[key]sequence.Stored{}, map[string]event.Position{}
	var told []map[key]sequence.Stored
	for _, w := range s.writers { // what they were told up to here must be in what is read from here on
		w.mu.Lock()
		m := map[key]sequence.Stored{}
		for id, stored := range w.stored {
			m[key{w.room, w.user, strconv.Itoa(id)}] = stored
		}
		w.mu.Unlock()
		told = append(told, m)
	}
	cfg, deps := s.log.cfg, s.log.deps
	reader := made(s.t, cfg, deps)
	records, void := 0, 0
	for number := range logtest.Partitions {
		end := int64(open(s.t, reader, number).term)
		var m Mark
		err := reader.read(s.t.Context(), int32(number), 0, end, func(rec *kgo.Record) error {
			term := m.Term
			r, counts, err := m.Take(rec)
			switch {
			case err != nil:
				return err
			case !counts:
				if m.Term == term {
					void++
				}
				return nil
			}
			records++
			top, k := tops[r.Room], key{r.Room, r.From.User, r.Key}
			if r.Offset != top.Offset+1 || top.Offset > 0 && r.Epoch != top.Epoch {
				s.t.Errorf("behind %v of %s is %v", top, r.Room, r.Position)
			}
			if first, twice := found[k]; twice {
				s.t.Errorf("%v is stored at %v and %v", k, first.Position, r.Position)
			}
			tops[r.Room], found[k] = r.Position, sequence.StoredOf(&r)
			return nil
		})
		if err != nil {
			s.t.Fatal(err)
		}
	}
	for _, m := range told {
		for k, stored := range m {
			if found[k] != stored {
				s.t.Errorf("%v was stored as %+v, and is %+v", k, stored, found[k])
			}
		}
	}
	var reopens uint64
	for _, p := range s.committer.Stats() {
		reopens += p.Reopens
	}
	s.t.Logf("%d events, %d void records, %d terms that were lost", records, void, reopens)
}
