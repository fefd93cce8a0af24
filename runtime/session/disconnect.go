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
	var over []string
	for _, s := range m.candidates(f) {
		id, ok := s.ending(&f, !reconnect)
		switch {
		case !ok:
			continue
		case reconnect:
			s.conn.CloseWith(fault.Reconnect, "")
		default:
			if id != "" {
				m.dismiss(s, id)
				over = append(over, id)
			}
			s.conn.CloseWith(fault.Disconnected, "")
		}
		n++
	}
	for _, id := range over { // when all are told
		err := m.saver.withdraw(ctx, id)
		if err == nil {
			err = m.deps.Store.Delete(ctx, f.Tenant, id)
		}
		if err != nil {
			m.deps.Log.Warn("the record of a session that was disconnected stays until it ends by itself", "tenant", f.Tenant, "session", id, "error", err)
		}
	}
	return n
}

// ending reports whether a filter picks the session, while it is not over, and gives
// its id, "" before it has one. With good its record is not saved again.
func (s *Session) ending(f *Filter, good bool) (id string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone || s.id != "" && !s.kept || !f.has(s.id, s.Identity()) {
		return "", false
	}
	s.kept = s.kept && !good
	return s.id, true
}
