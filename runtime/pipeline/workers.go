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
// how many slow actions run at once. A connection waits for one task at a time:
// there are never more in the queue than connections.
type Workers struct {
	n   int
	log *slog.Logger
	all sync.WaitGroup

	mu          sync.Mutex
	some        sync.Cond // there is a task, or ctx has ended
	first, last *Task
	stopped     bool
	busy, idle  int // workers that count, and those of them that wait for a task

	slow sync.Pool // of *slowAction
}

// Task is work that somebody waits for. It is kept by whoever hands it over, and
// may be handed over again when it is done.
type Task struct {
	Job Job

	next *Task // in the queue
	mu   sync.Mutex
	done bool
	over sync.Cond // it is done
}

// Job is what a task does.
type Job interface {
	Work()
	// Panicked is called on the worker, if Work has.
	Panicked()
}

// NewWorkers makes n workers; Run starts them.
func NewWorkers(n int, log *slog.Logger) *Workers {
	w := &Workers{n: n, log: log, busy: n, slow: sync.Pool{New: newSlowAction}}
	w.some.L = &w.mu
	return w
}

// Run works until ctx ends and every task taken is finished. Tasks that come
// later are refused.
func (w *Workers) Run(ctx context.Context) error {
	for range w.n {
		w.all.Go(w.work)
	}
	<-ctx.Done()
	w.mu.Lock()
	w.stopped = true
	w.mu.Unlock()
	w.some.Broadcast()
	w.all.Wait()
	return nil
}

// Leave says that the worker who calls it waits for something that is no work of this
// node's, and that others may hold up for long: it does not count until it calls Return.
// Another goroutine works meanwhile, if there is something to do. How many leave at once
// is for the caller to bound. Whoever calls it and is no worker has one more work for as
// long, which is no harm.
func (w *Workers) Leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy--
	w.replace()
}

// Return says that it counts again. If its place is taken one of them ends with its task.
func (w *Workers) Return() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy++
}

// replace starts a worker in the place of one that has left, if a task waits for one,
// with mu held. It ends when those who have left are back, or with Run.
func (w *Workers) replace() {
	if w.first != nil && w.idle == 0 && w.busy < w.n && !w.stopped {
		w.busy++
		w.all.Go(w.work)
	}
}

// work does tasks until none is left and none may come.
func (w *Workers) work() {
	for t := w.take(); t != nil; t = w.take() {
		w.run(t.Job)
		t.mu.Lock()
		t.done = true
		t.mu.Unlock()
		t.over.Signal()
	}
}

func (w *Workers) take() *Task {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy > w.n { // those who had left are back
		w.busy--
		return nil
	}
	for w.first == nil && !w.stopped {
		w.idle++
		w.some.Wait()
		w.idle--
	}
	t := w.first
	if t != nil {
		w.first, t.next = t.next, nil
		w.replace() // of two tasks for one idle worker the second may have found it idle
	}
	return t
}

// run does one job; a panic costs that job and not the worker.
func (w *Workers) run(j Job) {
	defer func() {
		if r := recover(); r != nil {
			w.log.Error("a task panicked", "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			j.Panicked()
		}
	}()
	j.Work()
}

// Do has a worker do the task, and waits until it is done; false means that the
// workers have stopped.
//
// The stack of a goroutine begins with 2 KiB, of which a connection that waits
// here on behalf of its first frame has all but a few bytes in use: a channel,
// a select, a defer or a larger frame would double it, for as long as the
// connection lives. A sync.Cond waits in the least. TestIdleSessionIsCheap in
// runtime/app holds that.
func (w *Workers) Do(t *Task) bool {
	if !w.queue(t) {
		return false
	}
	w.some.Signal()
	t.mu.Lock()
	for !t.done {
		t.over.Wait()
	}
	t.mu.Unlock()
	return true
}

func (w *Workers) queue(t *Task) bool {
	t.done, t.over.L = false, &t.mu
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.stopped:
		return false
	case w.first == nil:
		w.first = t
	default:
		w.last.next = t
	}
	w.last = t
	w.replace()
	return true
}

// slowAction is the rest of an event's route, behind the stage that has found its
// action to be slow.
type slowAction struct {
	Task
	ctx  context.Context
	p    *Pipeline
	ev   *event.Event
	wait bool // what loop has returned
}

func newSlowAction() any {
	a := &slowAction{}
	a.Job = a
	return a
}

// Work runs the loop.
func (a *slowAction) Work() { a.wait = a.p.loop(a.ctx, a.ev, true) }

// Panicked does nothing: panics of stages end in the loop.
func (a *slowAction) Panicked() {}

// do runs the rest of an event's route on a worker, waits for it, and returns
// what loop does.
func (w *Workers) do(ctx context.Context, p *Pipeline, ev *event.Event) (wait bool) {
	a := w.slow.Get().(*slowAction)
	a.ctx, a.p, a.ev = ctx, p, ev
	if !w.Do(&a.Task) {
		p.Continue(ctx, ev, fault.New(fault.Draining, "", ""))
	}
	wait = a.wait
	a.ctx, a.p, a.ev, a.wait = nil, nil, nil, false
	w.slow.Put(a)
	return wait
}
