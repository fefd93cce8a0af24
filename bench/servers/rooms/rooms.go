// Package rooms keeps who is in which room, and starts the test servers.
package rooms

import "sync"

// Rooms holds the members of each room. The zero Rooms is ready.
type Rooms[M comparable] struct {
	mu    sync.RWMutex
	rooms map[string]*room[M]
}

type room[M comparable] struct {
	mu      sync.RWMutex
	members []M
	at      map[M]int
}

func (r *Rooms[M]) get(name string) *room[M] {
	r.mu.RLock()
	m := r.rooms[name]
	r.mu.RUnlock()
	if m != nil {
		return m
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if m = r.rooms[name]; m == nil {
		if r.rooms == nil {
			r.rooms = map[string]*room[M]{}
		}
		m = &room[M]{at: map[M]int{}}
		r.rooms[name] = m
	}
	return m
}

// Join makes m a member.
func (r *Rooms[M]) Join(name string, m M) {
	g := r.get(name)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.at[m] = len(g.members)
	g.members = append(g.members, m)
}

// Leave undoes Join.
func (r *Rooms[M]) Leave(name string, m M) {
	g := r.get(name)
	g.mu.Lock()
	defer g.mu.Unlock()
	i, ok := g.at[m]
	if !ok {
		return
	}
	last := len(g.members) - 1
	g.members[i] = g.members[last]
	g.at[g.members[i]] = i
	g.members = g.members[:last]
	delete(g.at, m)
}

// Each calls f for every member, in one order for all callers.
func (r *Rooms[M]) Each(name string, f func(M)) {
	g := r.get(name)
	g.mu.RLock()
	defer g.mu.RUnlock()
	for _, m := range g.members {
		f(m)
	}
}
