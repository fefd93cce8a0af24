package embedded

import (
	"hash/maphash"
	"sync"

	"github.com/heddle-rt/heddle/runtime/event"
)

// recentRows is how many heads, and how many users' lists of rooms, are kept.
const recentRows = 1 << 16

// recent keeps what opening a session asks for: rooms' durable heads and users'
// lists of rooms, those that do not exist included. An iterator costs some 8 µs,
// and a session needs several; when a node has died, all of its clients come at
// once.
//
// What a batch changes is taken over, or forgotten, when the batch is durable and
// before anybody learns that it is. A reader that has gone to the database keeps
// what it found only if nothing of that shard has changed meanwhile.
type recent struct {
	seed   maphash.Seed
	shards [64]recentShard
}

type recentShard struct {
	mu      sync.Mutex
	changes uint64 // of its rooms and users, counted
	heads   map[name]event.Head
	lists   map[name][]string
}

func newRecent() *recent {
	r := &recent{seed: maphash.MakeSeed()}
	for i := range r.shards {
		r.shards[i].heads, r.shards[i].lists = map[name]event.Head{}, map[name][]string{}
	}
	return r
}

func (r *recent) shard(n name) *recentShard {
	return &r.shards[maphash.Comparable(r.seed, n)%uint64(len(r.shards))]
}

// update takes over what has become durable with p.
func (r *recent) update(p *pending) {
	for i := range p.rooms {
		s := r.shard(p.rooms[i].name)
		s.mu.Lock()
		s.changes++
		put(s.heads, p.rooms[i].name, p.rooms[i].head)
		s.mu.Unlock()
	}
	for _, n := range p.users {
		s := r.shard(n)
		s.mu.Lock()
		s.changes++
		delete(s.lists, n)
		s.mu.Unlock()
	}
}

// forget drops what is kept of rooms.
func (r *recent) forget(rooms []name) {
	for _, n := range rooms {
		s := r.shard(n)
		s.mu.Lock()
		s.changes++
		delete(s.heads, n)
		s.mu.Unlock()
	}
}

// head returns a room's durable head if it is kept; otherwise read finds it.
func (r *recent) head(n name, read func() (event.Head, error)) (event.Head, error) {
	return lookUp(r.shard(n), func(s *recentShard) map[name]event.Head { return s.heads }, n, read)
}

// list returns a user's rooms, which are not to be changed.
func (r *recent) list(n name, read func() ([]string, error)) ([]string, error) {
	return lookUp(r.shard(n), func(s *recentShard) map[name][]string { return s.lists }, n, read)
}

func lookUp[T any](s *recentShard, rows func(*recentShard) map[name]T, n name, read func() (T, error)) (T, error) {
	s.mu.Lock()
	v, ok := rows(s)[n]
	before := s.changes
	s.mu.Unlock()
	if ok {
		return v, nil
	}
	v, err := read()
	if err != nil {
		return v, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes == before {
		put(rows(s), n, v)
	}
	return v, nil
}

// put makes room for a new row by forgetting any other.
func put[T any](m map[name]T, n name, v T) {
	if _, ok := m[n]; !ok && len(m) >= recentRows/64 {
		for other := range m {
			delete(m, other)
			break
		}
	}
	m[n] = v
}
