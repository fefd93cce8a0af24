package pool

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest"
)

// lane is one instance and who waits for it.
type lane struct {
	pool *Pool

	mu    sync.Mutex
	busy  bool
	queue []*Job // in their order; the first leads next

	// Of whoever leads.
	inst  *guest.Instance
	fresh bool // since it was begun, or reset, it has not been called
	calls int
	rest  rest
	call  guest.Call
	out   guest.Output
	host  host
	batch []*Job
}

func (l *lane) init(p *Pool) {
	l.pool = p
	l.host.pool = p
	l.call.Host = &l.host
}

// do runs a job, as leader of a batch or as part of another one's.
func (l *lane) do(ctx context.Context, j *Job) {
	j.ctx, j.err, j.Actions = ctx, errUnfinished, nil
	l.mu.Lock()
	if l.busy {
		if len(l.queue) >= l.pool.cfg.Queue {
			l.mu.Unlock()
			j.err = &Failure{Reason: ReasonBusy, Why: "too many events wait for it"}
			return
		}
		if j.wake == nil {
			j.wake = make(chan bool, 1)
		}
		l.queue = append(l.queue, j)
		l.mu.Unlock()
		if <-j.wake {
			return
		}
		l.mu.Lock()
	}
	l.busy = true
	l.batch = append(l.batch[:0], j)
	l.join()
	l.mu.Unlock()
	defer l.pass()
	defer l.survive()
	l.lead(ctx)
}

// survive contains a panic of the node's own while it runs a guest: it costs the events
// of the batch, and not the process. Some callers are goroutines that nobody guards.
func (l *lane) survive() {
	if r := recover(); r != nil {
		l.pool.deps.Log.Error("running a plugin panicked", "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		l.drop()
	}
}

// errUnfinished is a job's error until it is done.
var errUnfinished = &Failure{Reason: guest.TrapHost.String(), Why: "the node has failed while it ran"}

// join takes what waits into the leader's batch, with mu held.
func (l *lane) join() {
	user, kept := l.batch[0].Record.User, l.queue[:0]
	for _, j := range l.queue {
		if len(l.batch) < hostapi.MaxBatch && j.Shadow == l.batch[0].Shadow && (!l.pool.cfg.OneUser || j.Record.User == user) {
			l.batch = append(l.batch, j)
		} else {
			kept = append(kept, j)
		}
	}
	clear(l.queue[len(kept):])
	l.queue = kept
}

// pass tells the batch that it is done, and who is first in line that it leads.
func (l *lane) pass() {
	for i, j := range l.batch {
		if i > 0 { // the first leads
			j.wake <- true
		}
	}
	clear(l.batch)
	l.batch = l.batch[:0] // whoever tidies up passes on, too
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		l.busy = false
		return
	}
	next := l.queue[0]
	l.queue = append(l.queue[:0], l.queue[1:]...)
	next.wake <- false
}

// lead runs the batch.
func (l *lane) lead(ctx context.Context) {
	if s := l.pool.deps.Slots; s != nil {
		s <- struct{}{}
		defer func() { <-s }()
	}
	l.host.ctx = ctx
	defer func() { l.host.ctx = nil }()
	for rest := l.batch; len(rest) > 0; {
		n := l.fits(rest)
		l.run(rest[:n], 0)
		rest = rest[n:]
	}
}

func (l *lane) close() {
	l.mu.Lock()
	for l.busy { // jobs that run; nobody brings new ones
		l.mu.Unlock()
		time.Sleep(time.Millisecond)
		l.mu.Lock()
	}
	l.busy = true
	l.mu.Unlock()
	l.drop()
}

func (l *lane) drop() {
	if l.inst != nil {
		l.inst.Close()
		l.inst = nil
	}
}
