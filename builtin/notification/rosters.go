package notification

import (
	"sync"
	"time"
)

type roomKey struct{ tenant, room string }

// roster is who is a member of a room; large if they are too many to notify all.
type roster struct {
	members []string // in order
	large   bool
	until   time.Time
}

// Bounds of rosters.
const (
	maxNames   = 200_000     // and rooms, each counts as one
	rosterLife = time.Minute // what another node has changed is seen after it
)

// rosters keeps those that were read last. A room's members change by events that
// Observe sees, before the messages behind them.
type rosters struct {
	mu      sync.Mutex
	rooms   map[roomKey]roster
	names   int
	changes uint64
}

// find gives a roster, or what keep has to know.
func (s *rosters) find(k roomKey, now time.Time) (r roster, changes uint64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok = s.rooms[k]
	return r, s.changes, ok && now.Before(r.until)
}

// keep takes what was read, unless it may have changed since find.
func (s *rosters) keep(k roomKey, r roster, changes uint64, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if changes != s.changes {
		return
	}
	if s.names += 1 + len(r.members); s.names > maxNames {
		clear(s.rooms)
		s.names = 1 + len(r.members)
	}
	s.names -= s.size(k)
	r.until = now.Add(rosterLife)
	s.rooms[k] = r
}

// size is how much a room counts, with the lock held.
func (s *rosters) size(k roomKey) int {
	if r, ok := s.rooms[k]; ok {
		return 1 + len(r.members)
	}
	return 0
}

// forget drops a room whose members change.
func (s *rosters) forget(k roomKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	s.names -= s.size(k)
	delete(s.rooms, k)
}
