package session

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
)

// Sessions are looked at in turn, one part of sliced a second: token expiry and the
// renewal of records need not be more precise than that. Sessions that are not
// open yet, or that acknowledge, are looked at every second.
const sliced = 15

// register is the part of the Manager that finds sessions.
type register struct {
	mu       sync.RWMutex
	all      [sliced][]*Session
	next     int                   // slice of the next session
	numbered uint64                // of the last session
	watched  map[*Session]struct{} // to be looked at every second
	byID     map[string]*Session
	byUser   map[userKey]*Session // the first, others hang from it
	detached map[string]int64     // session id to the time of its end, Unix milliseconds
}

type userKey struct{ tenant, user string }

func newRegister() register {
	return register{
		watched: map[*Session]struct{}{}, byID: map[string]*Session{}, byUser: map[userKey]*Session{}, detached: map[string]int64{},
	}
}

// add makes a new session known, to be watched.
func (m *Manager) add(s *Session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.numbered++
	s.number = m.numbered
	slice := &m.all[m.next]
	s.slice, s.slot = uint8(m.next), uint32(len(*slice))
	*slice = append(*slice, s)
	m.next = (m.next + 1) % sliced
	m.watched[s] = struct{}{}
}

// introduce makes a session known by its user, before its rooms are looked up: a
// room that the user is added to from here on is told to the session.
func (m *Manager) introduce(s *Session, id *event.Identity) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !s.known && !s.removed {
		k := userKey{id.Tenant, id.User}
		s.known, s.sibling = true, m.byUser[k]
		m.byUser[k] = s
	}
}

// enter makes an opened session known by its id. The session that had the id on
// this node, if any, is returned. It is false if the connection was closed meanwhile:
// then nothing ends the session any more.
func (m *Manager) enter(s *Session) (old *Session, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.removed {
		return nil, false
	}
	if _, was := m.detached[s.id]; was {
		delete(m.detached, s.id)
		m.states[Detached].Add(-1)
	}
	old = m.byID[s.id]
	m.byID[s.id] = s
	if !s.acks && !s.expired(m.deps.Now().Add(m.lead())) {
		delete(m.watched, s)
	}
	return old, true
}

// dismiss takes the id from a session that is not to be resumed.
func (m *Manager) dismiss(s *Session, id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.placed = false // another device may come at once
	if m.byID[id] == s {
		delete(m.byID, id)
	}
}

// remove forgets a session whose connection is closed, and counts it as detached
// if it can be resumed.
func (m *Manager) remove(s *Session, id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.removed = true
	slice := m.all[s.slice]
	last := len(slice) - 1
	slice[s.slot], slice[last].slot = slice[last], s.slot
	slice[last] = nil
	m.all[s.slice] = slice[:last]
	delete(m.watched, s)
	if s.known {
		m.unlink(s)
	}
	if m.byID[id] == s {
		delete(m.byID, id)
		if len(m.detached) < m.cfg.Detached && s.machine.move(&m.states, Detached) {
			m.detached[id] = m.deps.Now().Add(m.cfg.ResumeTTL).UnixMilli()
			return
		}
	}
	s.machine.move(&m.states, Closed)
}

// unlink takes a session from those of its user. With the lock held.
func (m *Manager) unlink(s *Session) {
	id := s.Identity()
	k := userKey{id.Tenant, id.User}
	first := m.byUser[k]
	if first == s {
		first = s.sibling
	}
	for other := first; other != nil; other = other.sibling {
		if other.sibling == s {
			other.sibling = s.sibling
		}
	}
	if s.sibling = nil; first == nil {
		delete(m.byUser, k)
	} else {
		m.byUser[k] = first
	}
}

// forget ends detached sessions whose time is over.
func (m *Manager) forget(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, until := range m.detached {
		if until <= now.UnixMilli() {
			delete(m.detached, id)
			m.states[Detached].Add(-1)
		}
	}
}

// ofUser lists the sessions of a user on this node.
func (m *Manager) ofUser(tenant, user string) (list []*Session) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for s := m.byUser[userKey{tenant, user}]; s != nil; s = s.sibling {
		list = append(list, s)
	}
	return list
}

// withID lists the session that has an id on this node, if there is one.
func (m *Manager) withID(id string) []*Session {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if s := m.byID[id]; s != nil {
		return []*Session{s}
	}
	return nil
}

// each lists all sessions.
func (m *Manager) each() []*Session {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return slices.Concat(m.all[:]...)
}

// watch has a session looked at every second.
func (m *Manager) watch(s *Session) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if slice := m.all[s.slice]; int(s.slot) < len(slice) && slice[s.slot] == s {
		m.watched[s] = struct{}{}
	}
}

// due lists the sessions to look at in a second.
func (m *Manager) due(second int) []*Session {
	m.mu.RLock()
	defer m.mu.RUnlock()
	turn := m.all[second%sliced]
	out := append(make([]*Session, 0, len(m.watched)+len(turn)), turn...)
	return slices.AppendSeq(out, maps.Keys(m.watched))
}

// Counts are the sessions by state, and the users who have one here.
func (m *Manager) Counts() (byState map[string]int64, users int) {
	byState = make(map[string]int64, States)
	for st := range States {
		byState[st.String()] = m.states[st].Load()
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	return byState, len(m.byUser)
}
