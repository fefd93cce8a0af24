package presence

import (
	"encoding/json"

	"github.com/heddle-rt/heddle/runtime/room"
)

// Seen is how others see a user: one who is invisible is offline. The members are
// those of presence:update.
type Seen struct {
	User    string          `json:"user"`
	Status  string          `json:"status"` // online, away, dnd, offline
	Text    string          `json:"text,omitempty"`
	Emoji   string          `json:"emoji,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
	Since   int64           `json:"since,omitempty"` // Unix milliseconds; 0: not known
	Devices int             `json:"devices,omitempty"`
}

// Seen tells how others see users now, in the order in which they are asked for, to
// who does not watch them. Users that nothing is known of are offline.
func (p *Presence) Seen(tenant string, users []string) []Seen {
	out := make([]Seen, len(users))
	for i, user := range users {
		v := &view{}
		p.with(tenant, user, func(_ *people, w *person) { v = w.view })
		out[i] = v.seen(user)
	}
	return out
}

// RoomSeen is who is present in a room, a page of them, and how many there are.
type RoomSeen struct {
	Users             []Seen // in the order of their names; nil where only counts are told
	Next              string // after for the next page; empty on the last
	Online, Away, DND int
}

// SeenIn tells who is present in a room, behind the name after and at most limit, to
// who does not watch it.
func (p *Presence) SeenIn(tenant, name, after string, limit int) RoomSeen {
	type one struct {
		user string
		view *view
	}
	var list []one
	var now numbers
	mode, more := p.deps.Mode(name), false
	k := roomKey{tenant, name}
	s := p.halls(k)
	s.mu.Lock()
	if h := s.rooms[k]; h != nil && mode != room.PresenceOff {
		if now = h.present; mode == room.PresenceMembers {
			var seats []*seat
			seats, more = h.behind(after, limit)
			for _, t := range seats {
				list = append(list, one{t.who.key.user, t.view})
			}
		}
	}
	s.mu.Unlock()
	out := RoomSeen{Online: now[online], Away: now[away], DND: now[dnd]}
	if mode == room.PresenceCounts {
		return out
	}
	out.Users = make([]Seen, len(list))
	for i, x := range list {
		out.Users[i] = x.view.seen(x.user)
	}
	if more {
		out.Next = list[len(list)-1].user
	}
	return out
}

func (v *view) seen(user string) Seen {
	out := Seen{User: user, Status: v.status.String(), Since: v.since, Devices: int(v.devices)}
	if v.says != "" {
		_ = json.Unmarshal([]byte("{"+v.says[1:]+"}"), &out) // validated when it was said
	}
	return out
}
