package pipeline

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// does is a task that does what a test says.
type does struct {
	Task
	work func()
}

func (d *does) Work()   { d.work() }
func (*does) Panicked() {}

// TestLeave: those who have left take nobody's place, however many they are; when they
// are back no more work than ever.
func TestLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const places = 3
		w := NewWorkers(places, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.Run(ctx) }() // ended by cancel
		var at, most, done atomic.Int64
		bring := func(n int, work func()) {
			for range n {
				d := &does{work: work}
				d.Job = d
				go func() { // ends with the task
					if w.Do(&d.Task) {
						done.Add(1)
					}
				}()
			}
			synctest.Wait()
		}
		gate, hold := make(chan struct{}), make(chan struct{})
		counted := func() {
			if n := at.Add(1); n > most.Load() {
				most.Store(n)
			}
			<-hold
			at.Add(-1)
		}
		bring(10*places, func() {
			w.Leave()
			<-gate
			w.Return()
			counted()
		})
		if bring(1, func() {}); done.Load() != 1 {
			t.Error("nobody works while others wait elsewhere")
		}
		bring(10*places, counted)
		if at.Load() != places {
			t.Errorf("%d work, want %d", at.Load(), places)
		}
		close(hold)
		synctest.Wait()
		if done.Load() != 10*places+1 {
			t.Errorf("%d are done", done.Load())
		}
		close(gate)
		synctest.Wait()
		if done.Load() != 20*places+1 {
			t.Errorf("%d are done in the end", done.Load())
		}
		hold = make(chan struct{})
		most.Store(0)
		bring(10*places, counted)
		if most.Load() > places+1 { // one may be idle beyond its place, until it has had a task
			t.Errorf("%d work when all are back, want %d", most.Load(), places)
		}
		close(hold)
		synctest.Wait()
		cancel()
		if err := <-ended; err != nil || w.Do(&(&does{}).Task) {
			t.Error(err)
		}
	})
}
