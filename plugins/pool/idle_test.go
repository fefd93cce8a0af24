package pool

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestIdleAfterABatch has an instance tidy up whose last call had several events.
func TestIdleAfterABatch(t *testing.T) {
	slots := make(Slots, 1)
	p, _ := newPool(t, func(c *Config, d *Deps) { c.Lanes, d.Slots = 1, slots })
	slots <- struct{}{} // held until the others wait
	var jobs sync.WaitGroup
	for range 3 {
		jobs.Go(func() {
			if err := p.Do(t.Context(), job(1, "echo", "{}")); err != nil {
				t.Error(err)
			}
		})
	}
	l := &p.lanes[0]
	for waiting, end := 0, time.Now().Add(time.Minute); waiting < 2 && time.Now().Before(end); {
		l.mu.Lock()
		waiting = len(l.queue)
		l.mu.Unlock()
	}
	<-slots
	jobs.Wait()
	if n := p.Batches.Load(); n != 1 {
		t.Fatalf("%d batches", n)
	}
	p.Idle(0, time.Hour)
	p.Idle(0, 0) // it is ended
	if err := p.Do(t.Context(), job(1, "echo", "{}")); err != nil {
		t.Error(err)
	}
}

// panics is a Reach that has a fault.
type panics struct{ reach }

func (*panics) Line(int, string) { panic("a fault of the node's") }

// TestAFaultOfTheNode costs the events of its batch: whoever runs them goes on.
func TestAFaultOfTheNode(t *testing.T) {
	var log strings.Builder
	p, _ := newPool(t, func(c *Config, d *Deps) {
		c.Lanes, d.Reach, d.Log = 1, &panics{}, slog.New(slog.NewTextHandler(&log, nil))
	})
	var f *Failure
	if err := p.Do(t.Context(), job(1, "panic", "{}")); !errors.As(err, &f) || f.Reason != "host" {
		t.Errorf("%v", err)
	}
	if err := p.Do(t.Context(), job(1, "echo", "{}")); err != nil {
		t.Error(err)
	}
	if p.Failed.Counts()["host"] != 1 || !strings.Contains(log.String(), "a fault of the node's") {
		t.Errorf("%v: %s", p.Failed.Counts(), &log)
	}
}
