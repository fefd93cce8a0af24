package session

import (
	"context"

	"github.com/heddle-rt/heddle/runtime/room"
)

// Readmit asks anew what sessions may do in rooms of these types, whose options
// have changed; they leave those that they may not be in any more. It returns when
// all have, or ctx has ended.
func (m *Manager) Readmit(ctx context.Context, changed func(roomType string) bool) {
	for _, s := range m.each() {
		if ctx.Err() != nil {
			return
		}
		for _, base := range s.basesOf(changed) {
			s.change(ctx, roomChange{Change: room.Change{Room: base}, kind: room.ActionChanged})
		}
	}
}

// basesOf lists the rooms of these types that the session has joined, or has joined
// parts of.
func (s *Session) basesOf(types func(roomType string) bool) (out []string) {
	seen := map[string]bool{}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.rooms {
		if base := room.Base(s.rooms[i].name); types(room.TypeOf(base)) && !seen[base] {
			seen[base] = true
			out = append(out, base)
		}
	}
	return out
}
