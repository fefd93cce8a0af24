package session

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// Place is an open session, as other nodes know it.
type Place struct {
	Node                 string
	Session              string // its id
	Tenant, User, Device string
	Opened               int64  // Unix milliseconds: when its connection was opened
	Generation           uint64 // of its record
}

// Announcer has the other nodes know of this one's sessions, each by the number of its
// connection. used goes on to change. They are called with locks held.
type Announcer interface {
	Opened(number uint64, p Place, used *atomic.Int64)
	Closed(number uint64)
	// Used tells that the client sends something after a minute or more without.
	Used(number uint64)
	Joined(number uint64, room string) // each once, until it is left
	Left(number uint64, room string)
}

// Others knows and reaches the open sessions of other nodes.
type Others interface {
	// Elsewhere calls visit with each of a user's, when its client did something last, on
	// the route's clock, and whether it has joined a room.
	Elsewhere(tenant, user, room string, visit func(p *Place, used int64, joined bool))
	// Release returns when the node that has a session has let it go, and saved it.
	Release(ctx context.Context, p *Place) error
	// Direct hands an ephemeral event to the open sessions of a device on a node.
	Direct(node string, env *event.Envelope, user, device string)
}

// show has the other nodes know of a session that is open.
func (s *Session) show() {
	m := s.m
	if m.deps.Announce == nil {
		return
	}
	id := s.Identity()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return
	}
	s.shown = true
	m.deps.Announce.Opened(s.number, Place{
		Session: s.id, Tenant: id.Tenant, User: id.User, Device: id.Device, Opened: s.conn.Opened().UnixMilli(), Generation: s.generation,
	}, &s.used)
}

// OpenedElsewhere tells of a session that another node has opened: of one that was here
// it is the same, and of a user who is here one more.
func (m *Manager) OpenedElsewhere(p Place) {
	for _, s := range m.withID(p.Session) {
		if id := s.Identity(); id.Tenant == p.Tenant && s.before(p.Generation) {
			s.taken(p.Session)
		}
	}
	m.mu.RLock()
	here := m.byUser[userKey{p.Tenant, p.User}] != nil
	m.mu.RUnlock()
	if here {
		m.crowded(p.Tenant, p.User)
	}
}

// before reports whether the session's record is of an earlier generation.
func (s *Session) before(generation uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.generation < generation
}

// claim has a session that is resumed here let go where it is open, if it is, and gives
// its last record. A node that does not answer is not waited for: the store tells it when
// it writes that record.
func (m *Manager) claim(ctx context.Context, rec Record) Record {
	if m.deps.Others == nil {
		return rec
	}
	var at Place
	m.deps.Others.Elsewhere(rec.Tenant, rec.User, "", func(p *Place, _ int64, _ bool) {
		if p.Session == rec.ID && p.Generation >= at.Generation {
			at = *p
		}
	})
	if at.Session == "" || m.deps.Others.Release(ctx, &at) != nil {
		return rec
	}
	if last, found, err := m.load(ctx, rec.Tenant, rec.ID); err == nil && found && last.Secret == rec.Secret {
		return last
	}
	return rec
}

// Release lets a session go that is resumed on another node, and saves it a last time.
// One that is not here needs nothing.
func (m *Manager) Release(ctx context.Context, tenant, id string) error {
	for _, s := range m.withID(id) {
		if s.Identity().Tenant == tenant {
			return s.release(ctx, id)
		}
	}
	return nil
}

func (s *Session) release(ctx context.Context, id string) error {
	s.m.dismiss(s, id)
	s.conn.CloseWith(fault.SessionReplaced, "")
	last, ok := s.stored(true)
	s.mu.Lock()
	s.kept = false
	s.mu.Unlock()
	if !ok {
		return nil
	}
	if err := s.m.saver.withdraw(ctx, id); err != nil {
		return err
	}
	err := s.m.deps.Store.Save(ctx, last)
	if taken := (*Taken)(nil); errors.As(err, &taken) {
		return nil
	}
	return err
}
