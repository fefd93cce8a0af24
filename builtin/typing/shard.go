package typing

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
)

type roomKey struct{ tenant, room string }

// shard is a part of the rooms. One goroutine looks at each when it is due.
type shard struct {
	mu    sync.Mutex
	rooms map[roomKey]*state
	queue queue         // the same rooms
	wake  chan struct{} // the first of the queue is due earlier than before
}

// open makes a room that was told nothing since a time that lies an interval back.
func (s *shard) open(owner *tenant, room string, told time.Duration) *state {
	// The event's strings would keep all of it: one copy has the room's name and the
	// merge key.
	merge := mergePrefix + room
	r := &state{
		key: roomKey{owner.name, merge[len(mergePrefix):]}, merge: merge,
		owner: owner, told: told, last: nobody, due: never,
	}
	s.rooms[r.key] = r
	heap.Push(&s.queue, r)
	return r
}

// changed has the room told as soon as its interval is over.
func (s *shard) changed(r *state, interval time.Duration) {
	r.dirty = true
	at := r.told + interval
	if at >= r.due {
		return
	}
	if s.schedule(r, at); r.slot == 0 {
		select {
		case s.wake <- struct{}{}:
		default: // it is on its way
		}
	}
}

func (s *shard) schedule(r *state, at time.Duration) {
	r.due = at
	heap.Fix(&s.queue, r.slot)
}

func (s *shard) close(r *state) {
	heap.Remove(&s.queue, r.slot)
	delete(s.rooms, r.key)
	r.owner.rooms.Add(-1)
}

// serve tells the shard's rooms until ctx ends.
func (t *Typing) serve(ctx context.Context, s *shard) {
	timer := time.NewTimer(never)
	defer timer.Stop()
	for ctx.Err() == nil {
		env, merge, wait := t.next(s)
		if env != nil {
			t.updates.Add(1)
			t.deps.Emit.Emit(env, merge)
			continue
		}
		timer.Reset(wait)
		select {
		case <-s.wake:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

// next is the next event that is due, or how long there is none.
func (t *Typing) next(s *shard) (env *event.Envelope, merge string, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) > 0 {
		r, now := s.queue[0], t.now()
		if r.due > now {
			return nil, "", r.due - now
		}
		if env = t.look(r, now); r.over(now, t.cfg.Interval) {
			s.close(r)
		} else {
			s.schedule(r, r.next(&t.cfg))
		}
		if env != nil {
			return env, r.merge, 0
		}
	}
	return nil, "", never
}

// queue is a heap of rooms, the one that is due first in front.
type queue []*state

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due < q[j].due }

func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].slot, q[j].slot = i, j
}

func (q *queue) Push(x any) {
	r := x.(*state)
	r.slot = len(*q)
	*q = append(*q, r)
}

func (q *queue) Pop() any {
	last := len(*q) - 1
	r := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return r
}
