package pool

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest"
)

// lane is one instance and who waits for it.
type lane struct {
	pool *Pool

	mu    sync.Mutex
	busy  bool
	queue []*Job        // in their order; the first leads next
	free  chan struct{} // closed when it is not busy any more; nil if nobody waits for that

	// Of whoever leads.
	inst   *guest.Instance
	weight int64 // of it, as it was counted last
	era    uint64
	fresh  bool // since it was begun, or reset, it has not been called
	calls  int
	rest   rest
	call   guest.Call
	out    guest.Output
	host   host
	batch  []*Job
	todo   []*Job // of the batch, in the order in which they are run
}

func (l *lane) init(p *Pool) {
	l.pool = p
	l.host.pool = p
	l.call.Host = &l.host
}

// do runs a job, as leader of a batch or as part of another one's.
func (l *lane) do(ctx context.Context, j *Job) {
	j.ctx, j.checked, j.err, j.Actions = ctx, false, errUnfinished, j.Actions[:0]
	l.mu.Lock()
	if l.busy {
		if !l.wait(ctx, j) {
			return
		}
		l.mu.Lock()
	}
	l.busy = true
	if !l.slot() {
		l.mu.Unlock()
		select {
		case l.pool.deps.Slots <- struct{}{}:
		case <-ctx.Done():
			j.err = errLate
			l.pass()
			return
		}
		l.mu.Lock()
	}
	l.batch = append(l.batch[:0], j)
	l.join()
	l.mu.Unlock()
	defer l.pass()
	defer l.survive()
	l.lead()
}

// wait stands in line, with mu held, which it releases. It reports whether the job
// leads now; if not, it is done, or has left the line because its time is over.
func (l *lane) wait(ctx context.Context, j *Job) (leads bool) {
	if len(l.queue) >= l.pool.cfg.Queue {
		l.mu.Unlock()
		j.err = &Failure{Reason: ReasonBusy, Why: "too many events wait for it"}
		return false
	}
	if j.wake == nil {
		j.wake = make(chan bool, 1)
	}
	l.queue = append(l.queue, j)
	l.mu.Unlock()
	done := false
	select {
	case done = <-j.wake:
	case <-ctx.Done():
		if l.leave(j) {
			j.err = errLate
			return false
		}
		done = <-j.wake // somebody has it in a batch, or it is to lead
	}
	if !done && ctx.Err() != nil {
		j.err = errLate
		l.pass()
		return false
	}
	return !done
}

// leave takes a job out of the line; false: it is not there any more.
func (l *lane) leave(j *Job) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := slices.Index(l.queue, j)
	if at < 0 {
		return false
	}
	l.queue = slices.Delete(l.queue, at, at+1)
	return true
}

// slot takes one of the tenant's, if it is free.
func (l *lane) slot() bool {
	if l.pool.deps.Slots == nil {
		return true
	}
	select {
	case l.pool.deps.Slots <- struct{}{}:
		return true
	default:
		return false
	}
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

// errLate is a job's error whose time was over before its turn came.
var errLate = &Failure{Reason: ReasonBusy, Why: "its time was over before its turn came"}

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
		if l.free != nil {
			close(l.free)
			l.free = nil
		}
		return
	}
	next := l.queue[0]
	l.queue = append(l.queue[:0], l.queue[1:]...)
	next.wake <- false
}

// dismiss tells one of the batch that it is done, before the others are: it would wait for
// their turn. Whoever leads stays to the end.
func (l *lane) dismiss(j *Job) {
	if at := slices.Index(l.batch, j); at > 0 {
		l.batch = slices.Delete(l.batch, at, at+1)
		j.wake <- true
	}
}

// lead runs the batch, and gives the slot back.
func (l *lane) lead() {
	defer l.end()
	l.todo = append(l.todo[:0], l.batch...)
	l.run(l.todo, 0)
}

func (l *lane) end() {
	clear(l.todo)
	l.host.ctx = nil
	if s := l.pool.deps.Slots; s != nil {
		<-s
	}
}

func (l *lane) close() {
	l.mu.Lock()
	if l.busy { // jobs that run; nobody brings new ones
		free := make(chan struct{})
		l.free = free
		l.mu.Unlock()
		<-free
		l.mu.Lock()
	}
	l.busy = true
	l.mu.Unlock()
	l.drop()
}

func (l *lane) drop() {
	if l.inst != nil {
		l.pool.deps.Share.charge(cost(l.inst.Untold()))
		l.inst.Close()
		l.inst = nil
		l.weigh()
	}
}
