package session

// Where calls visit with the device of each open session that a user has, and whether
// the session has joined a room.
func (m *Manager) Where(tenant, user, room string, visit func(device string, joined bool)) {
	for _, s := range m.ofUser(tenant, user) {
		if s.Opened() {
			_, joined := s.Member(room)
			visit(s.Identity().Device, joined)
		}
	}
	if m.deps.Others != nil {
		m.deps.Others.Elsewhere(tenant, user, room, func(p *Place, _ int64, joined bool) { visit(p.Device, joined) })
	}
}
