package session

import (
	"context"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// Hangup closes the connections that a filter of a tenant picks, and says how many
// were told so. With reconnect their clients come back and resume; otherwise they do
// not come back by themselves, and their sessions are over. Whoever has a token may
// always open another: see authenticate.Revocations.
func (m *Manager) Hangup(ctx context.Context, f Filter, reconnect bool) (n int) {
	var over []ended
	for _, s := range m.candidates(f) {
		e, ok := s.ending(&f, !reconnect)
		switch {
		case !ok:
			continue
		case reconnect:
			s.conn.CloseWith(fault.Reconnect, "")
		default:
			if e.id != "" {
				m.dismiss(s, e.id)
				over = append(over, e)
			}
			s.conn.CloseWith(fault.Disconnected, "")
		}
		n++
	}
	for _, e := range over { // when all are told
		err := m.saver.withdraw(ctx, e.id)
		if err == nil {
			err = m.deps.Store.Delete(ctx, f.Tenant, e.id, e.generation)
		}
		if err != nil {
			m.deps.Log.Warn("the record of a session that was disconnected stays until it ends by itself", "tenant", f.Tenant, "session", e.id, "error", err)
		}
	}
	return n
}

// ended is a session that is over; its id is "" before it has one.
type ended struct {
	id         string
	generation uint64
}

// ending reports whether a filter picks the session, while it is not over. With good its
// record is not saved again.
func (s *Session) ending(f *Filter, good bool) (e ended, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone || s.id != "" && !s.kept || !f.has(s.id, s.Identity()) {
		return ended{}, false
	}
	s.kept = s.kept && !good
	return ended{s.id, s.generation}, true
}
