package session

import (
	"context"
	"encoding/json"

	"github.com/heddle-rt/heddle/runtime/deliver"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

// roomChange is what has become of a user's membership of a room.
type roomChange struct {
	room.Change
	tenant, user string
	kind         string // the action that tells of it
}

// Observe sees the durable events of users' own rooms, on the committer's
// goroutine. If more users are added to rooms than the node can follow, their
// sessions are closed, and find their rooms when they resume.
func (m *Manager) Observe(r *event.Record) {
	switch r.Action {
	case room.ActionAdded, room.ActionRemoved, room.ActionChanged:
	default:
		return
	}
	c := roomChange{tenant: r.Tenant, user: r.Room[len(room.UserType)+1:], kind: r.Action}
	if err := json.Unmarshal(r.Data, &c.Change); err != nil {
		m.deps.Log.Error("an event of a user's room is not readable", "room", r.Room, "offset", r.Offset, "error", err)
		return
	}
	m.follow(c)
}

// follow hands a change to the goroutine that carries it out.
func (m *Manager) follow(c roomChange) {
	select {
	case m.changes <- c:
	default:
		for _, s := range m.ofUser(c.tenant, c.user) {
			s.conn.CloseWith(fault.Overloaded, "resume")
		}
	}
}

// followAll carries changes out until ctx ends.
func (m *Manager) followAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-m.changes:
			for _, s := range m.ofUser(c.tenant, c.user) {
				s.change(ctx, c)
			}
		}
	}
}

// change carries one out.
func (s *Session) change(ctx context.Context, c roomChange) {
	switch {
	case s.postpone(c):
	case c.kind == room.ActionRemoved, c.kind == room.ActionChanged:
		s.readmit(ctx, c.Room) // whatever has come since counts
	default:
		s.attach(ctx, c.Room, c.Since)
	}
}

// Ended has the session leave a room that was deleted.
func (s *Session) Ended(sub *deliver.Sub) { s.LeaveRoom(s.m.ctx, sub.Room()) }

// readmit asks anew what the session may do in a room, and in its sub-rooms, if
// anything: the user's role has changed.
func (s *Session) readmit(ctx context.Context, base string) {
	s.mu.Lock()
	var names []string
	for i := range s.rooms {
		if room.Base(s.rooms[i].name) == base {
			names = append(names, s.rooms[i].name)
		}
	}
	s.mu.Unlock()
	for _, name := range names {
		adm, err := s.m.deps.Rooms.Admit(ctx, s.Identity(), name)
		switch {
		case err != nil && fault.Of(err).Kind.Retryable():
			s.conn.CloseWith(fault.Unavailable, "resume")
		case err != nil || adm.Enroll:
			s.LeaveRoom(ctx, name)
		default:
			s.mu.Lock()
			if j := s.find(name); j != nil {
				j.member = adm.Member
			}
			s.mu.Unlock()
		}
	}
}

// postpone keeps a change for a session that is being opened: whether its list of
// rooms has the change already is not known.
func (s *Session) postpone(c roomChange) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.State() >= Active {
		return false
	}
	if len(s.early.changes) >= maxPostponed {
		s.conn.CloseWith(fault.Overloaded, "resume")
		return true
	}
	s.early.changes = append(s.early.changes, c)
	return true
}

const maxPostponed = 1000

// attach joins the session to a room that its user was added to elsewhere.
func (s *Session) attach(ctx context.Context, name string, since event.Position) {
	if !s.follows() {
		return
	}
	adm, err := s.m.deps.Rooms.Admit(ctx, s.Identity(), name)
	if err != nil && fault.Of(err).Kind.Retryable() {
		s.conn.CloseWith(fault.Unavailable, "resume")
	}
	if err != nil || adm.Enroll {
		return
	}
	if err := s.JoinRoom(ctx, name, since, adm.Member, false); err != nil {
		s.m.deps.Log.Warn("a session could not join a room that its user was added to", "room", name, "error", err)
		s.conn.CloseWith(fault.Unavailable, "resume")
		return
	}
	s.startRooms()
}
