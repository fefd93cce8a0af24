package session

import (
	"context"
	"encoding/json"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

type addition struct {
	tenant, user string
	removed      bool
	change       room.Change
}

// Observe sees the durable events of users' own rooms, on the committer's
// goroutine. If more users are added to rooms than the node can follow, their
// sessions are closed, and find their rooms when they resume.
func (m *Manager) Observe(r *event.Record) {
	if r.Action != room.ActionAdded && r.Action != room.ActionRemoved {
		return
	}
	a := addition{tenant: r.Tenant, user: r.Room[len(room.UserType)+1:], removed: r.Action == room.ActionRemoved}
	if err := json.Unmarshal(r.Data, &a.change); err != nil {
		m.deps.Log.Error("an event of a user's room is not readable", "room", r.Room, "offset", r.Offset, "error", err)
		return
	}
	m.changed(a)
}

// changed hands a change to the goroutine that carries it out.
func (m *Manager) changed(a addition) {
	select {
	case m.added <- a:
	default:
		for _, s := range m.ofUser(a.tenant, a.user) {
			s.conn.CloseWith(fault.Overloaded, "resume")
		}
	}
}

// attachAdded carries additions out until ctx ends.
func (m *Manager) attachAdded(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case a := <-m.added:
			for _, s := range m.ofUser(a.tenant, a.user) {
				switch {
				case s.postpone(a):
				case a.removed:
					s.LeaveRoom(ctx, a.change.Room)
				default:
					s.attach(ctx, a.change.Room, a.change.Since)
				}
			}
		}
	}
}

// postpone keeps a change for a session that is being opened: whether its list of
// rooms has the change already is not known.
func (s *Session) postpone(a addition) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.State() >= Active {
		return false
	}
	if len(s.later) >= maxLater {
		s.conn.CloseWith(fault.Overloaded, "resume")
		return true
	}
	s.later = append(s.later, a)
	return true
}

const maxLater = 1000
