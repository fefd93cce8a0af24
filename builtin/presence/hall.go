package presence

import (
	"slices"
	"strconv"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
)

type roomKey struct{ tenant, room string }

// hall is who is present in a room, guarded by its shard.
type hall struct {
	timing
	key      roomKey
	shard    *halls
	counted  bool // who is present is not told, as its type has it: see Presence.mode
	watchers int
	seats    map[*person]*seat
	present  numbers
	toldAt   time.Duration // when the last event was made

	named   bool // the watchers are told who, not how many
	reset   bool // what they were told before holds no longer
	partial bool // the last list was not all
	changes []*seat
	told    numbers // if not named
}

// numbers are how many have each status.
type numbers [statuses]int

func (n *numbers) sum() int { return n[online] + n[away] + n[dnd] }

func (n *numbers) append(b []byte) []byte {
	b = strconv.AppendInt(append(b, `"online":`...), int64(n[online]), 10)
	b = strconv.AppendInt(append(b, `,"away":`...), int64(n[away]), 10)
	return strconv.AppendInt(append(b, `,"dnd":`...), int64(n[dnd]), 10)
}

// seat is a user in a room. One who has left keeps it until that was told.
type seat struct {
	who      *person // of whom only the key is read
	sessions int
	view     *view
	told     *view // to the watchers; nil for nothing
	changed  bool  // it is in the hall's changes
}

// put shows a user in the room as v.
func (h *hall) put(s *seat, v *view) {
	if s.view.status != v.status {
		h.present[s.view.status]--
		h.present[v.status]++
	}
	s.view = v
	switch {
	case h.watchers == 0 || !h.named:
		s.told = v
	case !s.changed:
		s.changed = true
		h.changes = append(h.changes, s)
	}
}

// discard gives the seat of a user who has left away.
func (h *hall) discard(s *seat) {
	if s.sessions == 0 && !s.changed {
		h.present[s.view.status]--
		delete(h.seats, s.who)
	}
}

// forget lets changes be that nobody is to be told.
func (h *hall) forget() {
	for _, s := range h.changes {
		s.changed, s.told = false, s.view
		h.discard(s)
	}
	h.changes, h.reset, h.partial = nil, false, false
}

// seen tells that somebody was shown what holds now: what is on its way has to be
// told, also if it is taken back before.
func (h *hall) seen() {
	h.told = numbers{-1}
	for _, s := range h.changes {
		s.told = &view{devices: -1}
	}
}

// count has names told no longer, or again: a reload has changed the room's type.
func (h *hall) count(counted bool) {
	switch was := h.counted; {
	case h.watchers == 0:
		h.named = !counted
	case counted && !was:
		h.forget()
		h.named, h.told = false, numbers{-1}
	}
	h.counted = counted
}

// adjust decides whether the watchers are told who is there, or how many are.
func (h *hall) adjust(large int) {
	n := h.present.sum()
	switch {
	case h.counted:
	case h.named && n > large:
		h.forget()
		h.named, h.told = false, numbers{-1}
	case !h.named && n <= large/2:
		h.named, h.reset = true, true
		for _, s := range h.seats {
			if s.view.status != offline {
				s.changed, s.told = true, nil
				h.changes = append(h.changes, s)
			}
		}
	}
}

// tell makes the next event, nil if there is nothing to tell.
func (h *hall) tell(cfg *Config, wall int64) (env *event.Envelope, merge string) {
	if h.watchers == 0 {
		h.forget()
		return nil, ""
	}
	h.adjust(cfg.Large)
	env = &event.Envelope{Type: event.TypeEvent, Tenant: h.key.tenant, Room: watched(h.key.room), Timestamp: wall}
	if h.named {
		if env.Action, env.Data = actionUpdate, h.names(cfg.Named); env.Data == nil {
			return nil, ""
		}
		return env, "" // each holds something that a newer one does not
	}
	now := h.present
	if now[offline] = 0; now == h.told {
		return nil, ""
	}
	h.told = now
	env.Action, env.Data = actionCounts, append(now.append([]byte{'{'}), '}')
	return env, mergePrefix + env.Room
}

// maxBytes is about how long the list of one event may be.
const maxBytes = 16 << 10

// names is a list of changes; nil if there are none.
func (h *hall) names(most int) []byte {
	b := append(make([]byte, 0, 256), `{"users":[`...)
	n, taken := 0, 0
	for _, s := range h.changes {
		if n == most || len(b) > maxBytes {
			break
		}
		taken++
		s.changed = false
		if s.told == nil && s.view.status == offline || s.told != nil && s.told.same(s.view) {
			h.discard(s)
			continue
		}
		if n++; n > 1 {
			b = append(b, ',')
		}
		b = s.view.append(b, s.who.key.user)
		s.told = s.view
		h.discard(s)
	}
	if h.changes = slices.Delete(h.changes, 0, taken); len(h.changes) == 0 {
		h.changes = nil
	}
	if n == 0 && !h.reset && !h.partial {
		return nil
	}
	b = append(b, ']')
	if h.reset {
		h.reset = false
		b = append(b, `,"reset":true`...)
	}
	if h.partial = len(h.changes) > 0; !h.partial { // a client that counts otherwise has missed something
		b = h.present.append(append(b, ','))
	}
	return append(b, '}')
}
