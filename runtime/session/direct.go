package session

import (
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/frame"
)

// Direct hands an ephemeral event to the open sessions of one device of a user, in
// the tenant that it names, and says how many there were.
func (m *Manager) Direct(env *event.Envelope, user, device string) (n int) {
	frames := map[int]*frame.Frame{}
	for _, s := range m.ofUser(env.Tenant, user) {
		if s.Identity().Device != device || !s.Opened() {
			continue
		}
		f := frames[s.dialect.Index()]
		if f == nil {
			f = s.dialect.Encode(env, frame.Ephemeral, "")
			if env.Expires != 0 {
				f.Until(env.Expires, nil)
			}
			frames[s.dialect.Index()] = f
		}
		if s.conn.Push(f) {
			n++
		}
	}
	return n
}
