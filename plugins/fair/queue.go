package fair

import (
	"context"
	"sync"
)

// Config bounds a queue. Numbers that are 0 are no bound.
type Config struct {
	Waiting int // pieces that may wait
	Each    int // of these, of one tenant
	Running int // pieces of one tenant that are under way
}

// Halves are the bounds of a queue for so many workers: one tenant has half of what may
// wait, and of them, and always something.
func Halves(waiting, workers int) Config {
	return Config{Waiting: waiting, Each: max(1, waiting/2), Running: max(1, workers/2)}
}

// Queue is safe for concurrent use.
type Queue[T any] struct {
	cfg Config

	mu      sync.Mutex
	some    sync.Cond // somebody may take
	tenants map[string]*tenant[T]
	turns   []*tenant[T] // those of which something waits, the next one first
	waiting int
}

type tenant[T any] struct {
	name    string
	waiting []T
	running int
}

// New makes an empty queue.
func New[T any](cfg Config) *Queue[T] {
	q := &Queue[T]{cfg: cfg, tenants: map[string]*tenant[T]{}}
	q.some.L = &q.mu
	return q
}

// Put adds a piece of a tenant's work, the last of its own; false: too much waits.
func (q *Queue[T]) Put(name string, x T) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.cfg.Waiting > 0 && q.waiting >= q.cfg.Waiting {
		return false
	}
	t := q.tenants[name]
	if t == nil {
		t = &tenant[T]{name: name}
		q.tenants[name] = t
	}
	if q.cfg.Each > 0 && len(t.waiting) >= q.cfg.Each {
		return false
	}
	if len(t.waiting) == 0 {
		q.turns = append(q.turns, t)
	}
	t.waiting = append(t.waiting, x)
	q.waiting++
	q.some.Signal()
	return true
}

// Take waits for a piece whose turn it is; done is to be called when it is over. ok is
// false when ctx has ended.
func (q *Queue[T]) Take(ctx context.Context) (x T, done func(), ok bool) {
	stop := context.AfterFunc(ctx, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.some.Broadcast()
	})
	defer stop()
	q.mu.Lock()
	defer q.mu.Unlock()
	for ctx.Err() == nil {
		if t := q.next(); t != nil {
			x = t.waiting[0]
			var none T
			t.waiting[0] = none
			t.waiting = t.waiting[1:]
			t.running++
			q.waiting--
			if len(t.waiting) > 0 {
				q.turns = append(q.turns, t)
			}
			return x, func() { q.over(t) }, true
		}
		q.some.Wait()
	}
	return x, nil, false
}

// next takes the first tenant out of the line that may have more under way, nil if none
// may, with mu held.
func (q *Queue[T]) next() *tenant[T] {
	for i, t := range q.turns {
		if q.cfg.Running == 0 || t.running < q.cfg.Running {
			q.turns = append(q.turns[:i], q.turns[i+1:]...)
			return t
		}
	}
	return nil
}

func (q *Queue[T]) over(t *tenant[T]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	t.running--
	switch {
	case len(t.waiting) > 0:
		q.some.Signal()
	case t.running == 0:
		delete(q.tenants, t.name)
	}
}

// Rest takes all that waits, for whoever has to let go of it.
func (q *Queue[T]) Rest() (all []T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, t := range q.turns {
		all = append(all, t.waiting...)
		t.waiting = nil
		if t.running == 0 {
			delete(q.tenants, t.name)
		}
	}
	q.turns, q.waiting = nil, 0
	return all
}
