package presence

import (
	"container/heap"
	"context"
	"math"
	"sync"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
)

const never = time.Duration(math.MaxInt64)

// agenda is when to look at what. One goroutine does.
type agenda struct {
	mu    sync.Mutex
	queue queue
	wake  chan struct{} // the first of the queue is due earlier than before
}

// timing is something's place in an agenda.
type timing struct {
	due  time.Duration
	slot int
}

func (t *timing) when() *timing { return t }

type item interface{ when() *timing }

// add enters something that is not due.
func (a *agenda) add(x item) {
	x.when().due = never
	heap.Push(&a.queue, x)
}

func (a *agenda) remove(x item) { heap.Remove(&a.queue, x.when().slot) }

// set says when something is due.
func (a *agenda) set(x item, at time.Duration) {
	if t := x.when(); t.due != at {
		t.due = at
		heap.Fix(&a.queue, t.slot)
	}
}

// due says when something is due, and rouses the goroutine if that is earlier than
// all else.
func (a *agenda) due(x item, at time.Duration) {
	t := x.when()
	before := t.due
	if a.set(x, at); t.slot == 0 && at < before {
		select {
		case a.wake <- struct{}{}:
		default: // it is on its way
		}
	}
}

// hasten has something looked at no later than at.
func (a *agenda) hasten(x item, at time.Duration) {
	if at < x.when().due {
		a.due(x, at)
	}
}

// first is what is due, or nil and how long nothing is.
func (a *agenda) first(now time.Duration) (item, time.Duration) {
	if len(a.queue) == 0 {
		return nil, never
	}
	x := a.queue[0]
	if at := x.when().due; at > now {
		return nil, at - now
	}
	return x, 0
}

// serve looks at what is due until ctx ends. next looks at one, and gives the event
// to send, or nil; and how long nothing is due.
func (p *Presence) serve(ctx context.Context, a *agenda, next func() (*event.Envelope, string, time.Duration)) {
	timer := time.NewTimer(never)
	defer timer.Stop()
	for ctx.Err() == nil {
		env, merge, wait := next()
		if env != nil {
			p.deps.Emit.Emit(env, merge)
		}
		if wait == 0 {
			continue
		}
		timer.Reset(wait)
		select {
		case <-a.wake:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

// queue is a heap, what is due first in front.
type queue []item

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].when().due < q[j].when().due }

func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].when().slot, q[j].when().slot = i, j
}

func (q *queue) Push(x any) {
	it := x.(item)
	it.when().slot = len(*q)
	*q = append(*q, it)
}

func (q *queue) Pop() any {
	last := len(*q) - 1
	it := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return it
}
