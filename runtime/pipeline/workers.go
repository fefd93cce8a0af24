package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// Workers are goroutines whose stacks are deep already. Connections wait for one
// of them where their own stack should stay small, so their number also bounds
// how many slow actions run at once.
type Workers struct {
	n     int
	tasks chan task
	log   *slog.Logger
	stop  chan struct{}
	done  sync.Pool // of chan bool, one element each
}

type task struct {
	ctx context.Context
	p   *Pipeline
	ev  *event.Event
	fn  func()

	failed func()    // of fn, after a panic
	end    chan bool // what loop returned
}

// NewWorkers makes n workers; Run starts them.
func NewWorkers(n int, log *slog.Logger) *Workers {
	return &Workers{
		n: n, log: log, tasks: make(chan task), stop: make(chan struct{}),
		done: sync.Pool{New: func() any { return make(chan bool, 1) }},
	}
}

// Run works until ctx ends and every task taken is finished. Tasks that find no
// worker any more are refused.
func (w *Workers) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for range w.n {
		wg.Go(w.work)
	}
	<-ctx.Done()
	close(w.stop)
	wg.Wait()
	return nil
}

func (w *Workers) work() {
	for {
		select {
		case <-w.stop:
			return
		case t := <-w.tasks:
			t.end <- w.run(t)
		}
	}
}

// run does one task; a panic costs that task and not the worker.
func (w *Workers) run(t task) (wait bool) {
	defer func() {
		if r := recover(); r != nil {
			w.log.Error("a task panicked", "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			if t.failed != nil {
				t.failed()
			}
		}
	}()
	if t.fn != nil {
		t.fn()
		return false
	}
	return t.p.loop(t.ctx, t.ev, true)
}

// do runs the rest of an event's route on a worker, waits for it, and returns
// what loop does.
func (w *Workers) do(ctx context.Context, p *Pipeline, ev *event.Event) (wait bool) {
	end := w.done.Get().(chan bool)
	defer w.done.Put(end)
	select {
	case w.tasks <- task{ctx: ctx, p: p, ev: ev, end: end}:
		return <-end
	case <-w.stop:
		p.Continue(ctx, ev, fault.New(fault.Draining, "", ""))
		return false
	}
}

// Do runs fn on a worker and waits for it; false means that they have stopped. If
// fn panics, failed is called.
func (w *Workers) Do(fn, failed func()) bool {
	end := w.done.Get().(chan bool)
	defer w.done.Put(end)
	select {
	case w.tasks <- task{fn: fn, failed: failed, end: end}:
		<-end
		return true
	case <-w.stop:
		return false
	}
}
