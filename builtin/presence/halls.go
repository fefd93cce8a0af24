package presence

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

// halls is a part of the rooms. Its lock is taken behind that of people, never
// before.
type halls struct {
	agenda
	rooms map[roomKey]*hall
}

// hall finds a room, or makes an empty one.
func (p *Presence) hall(s *halls, k roomKey) *hall {
	h := s.rooms[k]
	if h == nil {
		h = &hall{key: k, shard: s, seats: map[*person]*seat{}, toldAt: running}
		s.rooms[k] = h
		s.add(h)
	}
	return h
}

// mode is how the room's type has presence told now; a reload may have changed it
// since the hall was made. With the lock held.
func (p *Presence) mode(h *hall) string {
	mode := p.deps.Mode(h.key.room)
	h.count(mode != room.PresenceMembers)
	return mode
}

// left closes a room that nobody needs any more. With the lock held.
func (s *halls) left(h *hall) {
	if len(h.seats) == 0 && h.watchers == 0 {
		s.remove(h)
		delete(s.rooms, h.key)
	}
}

// changed has the room told when its turn comes.
func (p *Presence) changed(h *hall) {
	if h.watchers > 0 {
		h.shard.hasten(h, max(p.now(), h.toldAt+p.interval(h.watchers)))
	}
}

// JoinedRoom tells that a session has joined a room or sub-room: of rooms whose
// type has a presence mode, the user is present there now. The sub-room "presence"
// is that of watchers.
func (p *Presence) JoinedRoom(tenant, user, name string, used *atomic.Int64) {
	if base, ok := watchedBy(name); ok {
		p.watch(tenant, base, 1)
		return
	}
	if !seats(name) || p.deps.Mode(name) == room.PresenceOff {
		return
	}
	p.with(tenant, user, func(_ *people, w *person) {
		if e := w.session(used); e != nil {
			e.halls = append(e.halls, p.sit(tenant, name, w))
		}
	})
}

// LeftRoom tells that a session has left a room or sub-room, whatever its type has
// become meanwhile.
func (p *Presence) LeftRoom(tenant, user, name string, used *atomic.Int64) {
	if base, ok := watchedBy(name); ok {
		p.watch(tenant, base, -1)
		return
	}
	if !seats(name) {
		return
	}
	p.with(tenant, user, func(_ *people, w *person) {
		e := w.session(used)
		if e == nil { // it is over: see Offline
			return
		}
		i := slices.IndexFunc(e.halls, func(h *hall) bool { return h.key.room == name })
		if i >= 0 {
			h := e.halls[i]
			e.halls = slices.Delete(e.halls, i, i+1)
			p.vacate(h, w)
		}
	})
}

// seats reports whether users may be present in a room who have joined it.
func seats(name string) bool {
	return room.Base(name) == name && room.TypeOf(name) != room.UserType
}

// sit gives a user a seat, or counts one more session on it.
func (p *Presence) sit(tenant, name string, w *person) *hall {
	k := roomKey{tenant, name}
	s := p.halls(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	h := p.hall(s, k)
	t := h.seats[w]
	if t == nil {
		t = &seat{who: w, view: &view{}}
		h.seats[w] = t
		h.present[offline]++
	}
	t.sessions++
	p.put(h, t, w.view)
	return h
}

// show shows a user in one of the user's rooms.
func (p *Presence) show(h *hall, w *person, v *view) {
	h.shard.mu.Lock()
	defer h.shard.mu.Unlock()
	if t := h.seats[w]; t != nil {
		p.put(h, t, v)
	}
}

func (p *Presence) put(h *hall, t *seat, v *view) {
	if t.view != v {
		h.put(t, v)
		p.changed(h)
	}
}

// vacate counts a session less on a user's seat.
func (p *Presence) vacate(h *hall, w *person) {
	h.shard.mu.Lock()
	defer h.shard.mu.Unlock()
	t := h.seats[w]
	if t == nil {
		return
	}
	if t.sessions--; t.sessions > 0 {
		return
	}
	p.put(h, t, w.absent())
	h.discard(t)
	h.shard.left(h)
}

// watch counts the watchers of a user or of a room.
func (p *Presence) watch(tenant, name string, more int) {
	p.watches.Add(int64(more))
	if room.TypeOf(name) == room.UserType {
		k := userKey{tenant, name[len(room.UserType)+1:]}
		s := p.people(k)
		s.mu.Lock()
		defer s.mu.Unlock()
		w := s.person(k)
		if w.watchers += int32(more); w.watchers == 0 {
			p.changedUser(s, w)
		}
		return
	}
	k := roomKey{tenant, name}
	s := p.halls(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	h := p.hall(s, k)
	p.mode(h)
	if h.watchers += more; h.watchers > 0 {
		h.told = numbers{-1}
		return
	}
	h.forget()
	s.left(h)
}

// nextRoom looks at the first room that is due.
func (p *Presence) nextRoom(s *halls) (env *event.Envelope, merge string, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := p.now()
	x, wait := s.first(now)
	if x == nil {
		return nil, "", wait
	}
	h := x.(*hall)
	switch p.mode(h) {
	case room.PresenceOff:
		h.told = numbers{-1} // of who still watches: until it is switched on again
	default:
		env, merge = h.tell(&p.cfg, p.wall())
	}
	if env != nil {
		h.toldAt = now
		if env.Action == actionCounts {
			p.counts.Add(1)
		} else {
			p.lists.Add(1)
		}
	}
	if s.set(h, never); len(h.changes) > 0 {
		s.set(h, now+p.interval(h.watchers))
	}
	s.left(h)
	return env, merge, 0
}
