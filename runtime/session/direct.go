package session

import (
	"slices"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/frame"
)

// Direct hands an ephemeral event to the open sessions of one device of a user, in
// the tenant that it names, and says how many there were. To those on other nodes it is
// on its way then, or lost.
func (m *Manager) Direct(env *event.Envelope, user, device string) int {
	n := m.DirectHere(env, user, device)
	if m.deps.Others == nil {
		return n
	}
	var nodes []string
	m.deps.Others.Elsewhere(env.Tenant, user, "", func(p *Place, _ int64, _ bool) {
		if p.Device == device {
			nodes = append(nodes, p.Node)
		}
	})
	n += len(nodes)
	slices.Sort(nodes)
	for _, node := range slices.Compact(nodes) {
		m.deps.Others.Direct(node, env, user, device)
	}
	return n
}

// DirectHere is Direct for the sessions of this node.
func (m *Manager) DirectHere(env *event.Envelope, user, device string) (n int) {
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
