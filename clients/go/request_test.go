package heddle

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/clients/go/heddletest"
	"github.com/heddle-rt/heddle/clients/go/wire"
)

func TestRetriesUnderOneID(t *testing.T) {
	for name, f := range map[string]*heddletest.Failure{
		"lost request":    {Silent: true},
		"lost answer":     {Silent: true, Done: true},
		"retryable error": {Code: "overloaded", Retryable: true, RetryAfterMS: 5},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var ids []string
			s := node(t, heddletest.Options{Refuse: func(_ string, e *wire.Envelope) *heddletest.Failure {
				if e.Action != "message:send" {
					return nil
				}
				mu.Lock()
				defer mu.Unlock()
				if ids = append(ids, e.ID); len(ids) < 3 {
					return f
				}
				return nil
			}})
			ann := start(t, fast(s.URL(), "ann"))
			a, err := ann.Send(within(t), "conv:1", Message{Text: "once"})
			if err != nil || a.Offset != 1 || a.Transmitted < 3 || a.Repeat != f.Done {
				t.Errorf("%+v %v", a, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if len(s.Events("conv:1")) != 1 || len(slices.Compact(ids)) != 1 {
				t.Errorf("%d stored under %v", len(s.Events("conv:1")), ids)
			}
		})
	}
}

func TestBatchesWhatWaits(t *testing.T) {
	s := node(t, heddletest.Options{})
	opt := fast(s.URL(), "ann")
	opt.RetryAfter = patience
	c, err := New(opt)
	if err != nil {
		t.Fatal(err)
	}
	var answers sync.WaitGroup
	var order []uint64 // written by the reader alone
	for range 200 {    // they wait for the connection together
		answers.Add(1)
		err := c.SendAsync(within(t), "conv:1", Message{Text: "x"}, func(a Ack, err error) { order = append(order, a.Offset); answers.Done() })
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }() // ends with ctx
	answers.Wait()
	frames, batches := s.Frames()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if frames > 10 || batches < 3 {
		t.Errorf("%d frames, %d batches for 200 messages", frames, batches)
	}
	for i, n := range order {
		if n != uint64(i+1) {
			t.Fatalf("answer %d is for offset %d", i, n)
		}
	}
}

func TestBounds(t *testing.T) {
	s := node(t, heddletest.Options{Refuse: func(_ string, e *wire.Envelope) *heddletest.Failure {
		if e.Action == "message:send" {
			return &heddletest.Failure{Silent: true}
		}
		return nil
	}})
	opt := fast(s.URL(), "ann")
	opt.MaxPending = 2
	ann := start(t, opt)
	ctx, cancel := context.WithCancel(context.Background())
	errs := make(chan error, 2)
	for range 2 {
		if err := ann.SendAsync(ctx, "conv:1", Message{Text: "x"}, func(_ Ack, err error) { errs <- err }); err != nil {
			t.Fatal(err)
		}
	}
	if err := ann.SendAsync(ctx, "conv:1", Message{Text: "x"}, func(Ack, error) {}); !errors.Is(err, ErrBusy) {
		t.Errorf("a third: %v", err)
	}
	cancel()
	for range 2 {
		if err := next1(t, errs); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	if _, err := ann.Send(within(t), "conv:1", Message{Text: string(make([]byte, 70000))}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	if _, err := ann.Ping(within(t)); err != nil { // the slots are free again
		t.Error(err)
	}
}

// TestARequestOutlivesItsID loses the answer, and the connection when the server may
// know the id no longer.
func TestARequestOutlivesItsID(t *testing.T) {
	for name, c := range map[string]struct {
		action string
		want   error
		tries  int32
	}{
		"once only":  {"message:send", ErrOutcomeUnknown, 1},
		"repeatable": {"message:read", nil, 2},
	} {
		t.Run(name, func(t *testing.T) {
			var tries atomic.Int32
			s := node(t, heddletest.Options{Refuse: func(_ string, e *wire.Envelope) *heddletest.Failure {
				if e.Action == c.action && tries.Add(1) == 1 {
					return &heddletest.Failure{Silent: true}
				}
				return nil
			}})
			opt := fast(s.URL(), "ann")
			opt.RetryAfter = time.Minute
			ann := start(t, opt)
			next1(t, ann.sessions)
			answers := make(chan error, 1)
			err := ann.RequestAsync(within(t), c.action, "conv:1", Message{Text: "x"}, func(_ Ack, err error) { answers <- err })
			if err != nil {
				t.Fatal(err)
			}
			waitFor(t, func() bool { return tries.Load() == 1 })
			ann.mu.Lock()
			for _, r := range ann.pending {
				r.first = r.first.Add(-idKnown)
			}
			ann.mu.Unlock()
			s.Cut()
			if err := next1(t, answers); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if _, err := ann.Ping(within(t)); err != nil { // what was to be written is written
				t.Error(err)
			}
			if n := tries.Load(); n != c.tries {
				t.Errorf("written %d times, want %d", n, c.tries)
			}
		})
	}
}

func BenchmarkSend(b *testing.B) {
	s := heddletest.New(heddletest.Options{})
	defer s.Close()
	opt := fast(s.URL(), "ann")
	opt.RetryAfter = 10 * time.Second
	c, err := New(opt)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }() // ends with ctx
	b.ReportAllocs()
	b.SetParallelism(64)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if _, err := c.Send(ctx, "conv:1", Message{Text: "a message of a usual length, as people write them"}); err != nil {
				b.Error(err)
			}
		}
	})
	cancel()
	<-done
}
