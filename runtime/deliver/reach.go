package deliver

import (
	"github.com/heddle-rt/heddle/runtime/event"
)

// Where is a room with subscribers, and how far it has come here.
type Where struct {
	Tenant, Room string
	event.Position
}

// Positions lists the rooms with subscribers that a function picks, for somebody who knows
// how far they have come elsewhere: see Reached.
func (h *Hub) Positions(pick func(tenant, room string) bool) (out []Where) {
	for i := range h.shards {
		s := &h.shards[i]
		s.mu.RLock()
		for k, f := range s.rooms {
			if pick(k.tenant, k.room) {
				f.mu.RLock()
				if f.known {
					out = append(out, Where{k.tenant, k.room, event.Position{Epoch: f.epoch, Offset: f.top}})
				}
				f.mu.RUnlock()
			}
		}
		s.mu.RUnlock()
	}
	return out
}

// Reached tells that a room's events are durable up to a position. If they have not been
// published here, they are read from history. It does not block.
func (h *Hub) Reached(tenant, room string, p event.Position) {
	if f := h.find(roomKey{tenant, room}); f != nil && p.Offset > 0 {
		f.reached(p)
	}
}

func (f *feed) reached(p event.Position) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case !f.known: // who is behind finds out
	case p.Epoch != f.epoch:
		f.astray(p)
	case p.Offset > max(f.top, f.ahead):
		f.hub.Missed.Add(1)
		f.ahead = p.Offset
		f.mend()
	}
}
