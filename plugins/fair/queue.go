package fair

import (
	"context"
	"slices"
	"sync"
)

// Config bounds a queue.
type Config struct {
	Workers int   // who take, one at least; one of them takes only what is of a tenant with nothing under way
	Running int   // pieces of one tenant that are under way, one at least
	Waiting int   // pieces that may wait, half of them of one tenant; 0: any number
	Bytes   int64 // that these may hold, likewise
	// Heavy reports whether a tenant has lately taken more than its part: all such
	// tenants together have as much under way as one may. nil: none has.
	Heavy func(tenant string) bool
}

// Halves are the bounds of a queue for so many workers, of which one tenant has half.
func Halves(waiting, workers int) Config {
	return Config{Workers: workers, Running: workers / 2, Waiting: waiting}
}

// Queue is safe for concurrent use.
type Queue[T any] struct {
	cfg     Config
	dropped func(T)

	mu      sync.Mutex
	some    sync.Cond // somebody may take
	tenants map[string]*tenant[T]
	turns   []*tenant[T] // those of which something waits, the next one first
	waiting int
	bytes   int64 // that these hold
	running int   // pieces under way
	heavy   int   // pieces under way that were taken while their tenants were heavy
}

type tenant[T any] struct {
	name    string
	waiting []piece[T]
	bytes   int64
	running int
	yields  yields // while room is found
}

// yields is how much of what waits, the oldest first, would make room.
type yields struct {
	pieces int
	bytes  int64
}

type piece[T any] struct {
	x     T
	bytes int64
}

// New makes an empty queue. dropped gets what has to make room for another tenant's, on
// the goroutine of that one's Put; nil for a queue in which any number may wait.
func New[T any](cfg Config, dropped func(T)) *Queue[T] {
	cfg.Workers, cfg.Running = max(1, cfg.Workers), max(1, cfg.Running)
	q := &Queue[T]{cfg: cfg, dropped: dropped, tenants: map[string]*tenant[T]{}}
	q.some.L = &q.mu
	return q
}

// Put adds a piece of a tenant's work, the last of its own; false: too much waits. Where
// too much is others', the oldest of the one that has most is dropped for it.
func (q *Queue[T]) Put(name string, x T) bool { return q.PutSized(name, x, 0) }

// PutSized is Put for a piece that holds so many bytes.
func (q *Queue[T]) PutSized(name string, x T, bytes int64) bool {
	gone, ok := q.put(name, piece[T]{x, bytes})
	for i := range gone {
		q.dropped(gone[i].x)
	}
	return ok
}

func (q *Queue[T]) put(name string, p piece[T]) (gone []piece[T], ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.tenants[name]
	if t == nil {
		t = &tenant[T]{name: name}
		q.tenants[name] = t
	}
	from, ok := q.room(t, p.bytes)
	if !ok {
		q.forget(t)
		return nil, false
	}
	for _, o := range from {
		gone = append(gone, q.first(o))
		if len(o.waiting) == 0 {
			q.turns = slices.DeleteFunc(q.turns, func(x *tenant[T]) bool { return x == o })
			q.forget(o)
		}
	}
	if len(t.waiting) == 0 {
		q.turns = append(q.turns, t)
	}
	t.waiting = append(t.waiting, p)
	t.bytes += p.bytes
	q.waiting++
	q.bytes += p.bytes
	q.some.Signal()
	return gone, true
}

// room finds whose oldest pieces make room for one of t's, in their order, with mu held.
// false: it has its half, or nobody would have more than t then. Nothing is dropped yet.
func (q *Queue[T]) room(t *tenant[T], bytes int64) (from []*tenant[T], ok bool) {
	most := q.cfg
	if most.Waiting > 0 && len(t.waiting) >= max(1, most.Waiting/2) || most.Bytes > 0 && t.bytes+bytes > most.Bytes/2 {
		return nil, false
	}
	waiting, held := q.waiting+1, q.bytes+bytes
	for {
		many := most.Waiting > 0 && waiting > most.Waiting
		if large := most.Bytes > 0 && held > most.Bytes; !many && !large {
			ok = true
			break
		}
		o := q.longest(many)
		if o == nil || many && o.pieces() <= len(t.waiting)+1 || !many && o.bytes-o.yields.bytes <= t.bytes+bytes {
			break
		}
		p := o.waiting[o.yields.pieces]
		o.yields.pieces++
		o.yields.bytes += p.bytes
		waiting, held = waiting-1, held-p.bytes
		from = append(from, o)
	}
	for _, o := range from {
		o.yields = yields{}
	}
	return from, ok
}

// pieces are how many wait that do not make room.
func (t *tenant[T]) pieces() int { return len(t.waiting) - t.yields.pieces }

// longest is the tenant of which most waits, in pieces or in bytes, with mu held; of
// several, the one whose turn comes first.
func (q *Queue[T]) longest(pieces bool) (most *tenant[T]) {
	for _, t := range q.turns {
		if most == nil || pieces && t.pieces() > most.pieces() || !pieces && t.bytes-t.yields.bytes > most.bytes-most.yields.bytes {
			most = t
		}
	}
	return most
}

// first takes a tenant's oldest piece, with mu held.
func (q *Queue[T]) first(t *tenant[T]) piece[T] {
	p := t.waiting[0]
	t.waiting[0] = piece[T]{}
	t.waiting = t.waiting[1:]
	t.bytes -= p.bytes
	q.waiting--
	q.bytes -= p.bytes
	return p
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
		if t, heavy := q.next(); t != nil {
			first := q.first(t)
			t.running++
			q.running++
			if heavy {
				q.heavy++
			}
			if len(t.waiting) > 0 {
				q.turns = append(q.turns, t)
			}
			return first.x, func() { q.over(t, heavy) }, true
		}
		q.some.Wait()
	}
	return x, nil, false
}

// next takes the first tenant out of the line that may have more under way, nil if none
// may, with mu held.
func (q *Queue[T]) next() (t *tenant[T], heavy bool) {
	last := q.running >= q.cfg.Workers-1 // of the workers
	for i, t := range q.turns {
		if t.running >= q.cfg.Running || last && t.running > 0 {
			continue
		}
		heavy := q.cfg.Heavy != nil && q.cfg.Heavy(t.name)
		if heavy && q.heavy >= q.cfg.Running {
			continue
		}
		q.turns = append(q.turns[:i], q.turns[i+1:]...)
		return t, heavy
	}
	return nil, false
}

func (q *Queue[T]) over(t *tenant[T], heavy bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	t.running--
	q.running--
	if heavy {
		q.heavy--
	}
	if len(q.turns) > 0 { // it may be another heavy tenant's turn
		q.some.Signal()
	}
	q.forget(t)
}

// forget lets go of a tenant that has nothing, with mu held.
func (q *Queue[T]) forget(t *tenant[T]) {
	if len(t.waiting) == 0 && t.running == 0 {
		delete(q.tenants, t.name)
	}
}

// Rest takes all that waits, for whoever has to let go of it.
func (q *Queue[T]) Rest() (all []T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, t := range q.turns {
		for _, p := range t.waiting {
			all = append(all, p.x)
		}
		t.waiting, t.bytes = nil, 0
		q.forget(t)
	}
	q.turns, q.waiting, q.bytes = nil, 0, 0
	return all
}
