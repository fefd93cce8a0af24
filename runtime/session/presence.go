package session

import (
	"context"
	"sync/atomic"
	"time"
)

// Presence is told who is here. A session is known to it by used: when the client
// last sent an event of its own, on the route's clock, which goes on to change.
// Only Online may block; the others are called with locks held.
type Presence interface {
	// Online comes before a session's rooms are joined, Offline before they are left by
	// its end; resumed says that the client may have come back by itself: used is then
	// set back to when it last sent something before.
	Online(ctx context.Context, tenant, user, device string, resumed bool, used *atomic.Int64) error
	Offline(tenant, user string, used *atomic.Int64)
	// Active tells that the client sends something after a minute or more without.
	Active(tenant, user string)
	JoinedRoom(tenant, user, room string, used *atomic.Int64)
	LeftRoom(tenant, user, room string, used *atomic.Int64)
}

// pause is how long a client sends nothing before its next event is told to
// Presence at once.
const pause = time.Minute

// appear tells that the session is about to be open.
func (o *opening) appear(ctx context.Context, resumed bool) error {
	s, p := o.s, o.m.deps.Presence
	s.mu.Lock()
	told := s.present
	s.mu.Unlock()
	if p == nil || told {
		return nil
	}
	if err := p.Online(ctx, o.id.Tenant, o.id.User, o.id.Device, resumed, &s.used); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.present = true; s.gone { // meanwhile, when it was not present yet
		s.vanish()
	}
	return nil
}

// vanish tells that the session has ended, with s.mu held.
func (s *Session) vanish() {
	if s.present {
		s.present = false
		id := s.Identity()
		s.m.deps.Presence.Offline(id.Tenant, id.User, &s.used)
	}
	if s.shown {
		s.shown = false
		s.m.deps.Announce.Closed(s.number)
	}
}

// stir tells that the client sends something, if it was silent before since a time
// on the route's clock.
func (s *Session) stir(before int64) {
	id := s.Identity()
	if id == nil || s.received-before < int64(pause) {
		return
	}
	if s.m.deps.Presence != nil {
		s.m.deps.Presence.Active(id.Tenant, id.User)
	}
	if s.m.deps.Announce != nil {
		s.m.deps.Announce.Used(s.number)
	}
}

// entered and left tell who cares which rooms the session is in.
func (s *Session) entered(room string) {
	if p := s.m.deps.Presence; p != nil {
		id := s.Identity()
		p.JoinedRoom(id.Tenant, id.User, room, &s.used)
	}
	if s.m.deps.Announce != nil {
		s.m.deps.Announce.Joined(s.number, room)
	}
}

func (s *Session) left(room string) {
	if s.m.deps.Left != nil {
		s.m.deps.Left(s, room)
	}
	if p := s.m.deps.Presence; p != nil {
		id := s.Identity()
		p.LeftRoom(id.Tenant, id.User, room, &s.used)
	}
	if s.m.deps.Announce != nil {
		s.m.deps.Announce.Left(s.number, room)
	}
}
