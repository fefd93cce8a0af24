package session

// Where calls visit with the device of each open session that a user has on this
// node, and whether the session has joined a room.
func (m *Manager) Where(tenant, user, room string, visit func(device string, joined bool)) {
	for _, s := range m.ofUser(tenant, user) {
		if s.Opened() {
			_, joined := s.Member(room)
			visit(s.Identity().Device, joined)
		}
	}
}
