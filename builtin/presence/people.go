package presence

import (
	"cmp"
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

// people is a part of the users.
type people struct {
	agenda
	users map[userKey]*person
}

// person finds a user, or makes one whom nobody sees.
func (s *people) person(k userKey) *person {
	w := s.users[k]
	if w == nil {
		nobody := &view{}
		w = &person{key: k, view: nobody, told: nobody, toldAt: running}
		s.users[k] = w
		s.add(w)
	}
	return w
}

// Online tells of a session that was opened, after a Head of the user's own room was
// read. device may be empty; resumed says that the client may have come back by
// itself. used is when the user last did something there, by Deps.Clock; it is set
// back if coming back was all, then the session goes on to write it, and is known by
// it. The error is Unavailable: what the user has
// chosen could not be read, and the session is not known.
func (p *Presence) Online(ctx context.Context, tenant, user, device string, resumed bool, used *atomic.Int64) error {
	k := userKey{tenant, user}
	s := p.people(k)
	s.mu.Lock()
	w := p.arrive(s, k, entry{device: device, used: used, ended: running})
	if resumed {
		w.resumed(&w.here[len(w.here)-1])
	}
	if w.known {
		p.changedUser(s, w)
		s.mu.Unlock()
		return nil
	}
	s.mu.Unlock()
	row, _, err := p.deps.Notes.Row(ctx, tenant, room.OfUser(user), rowChoice, "")
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil:
		w.session(used).ended = p.now() - p.cfg.Grace
	case !w.known: // nor told meanwhile
		w.known, w.chosen = true, parse(row, p.wall())
	}
	p.changedUser(s, w)
	return fault.Wrap("presence.Online", fault.Unavailable, err)
}

// arrive notes one more session of a user.
func (p *Presence) arrive(s *people, k userKey, e entry) *person {
	w := s.person(k)
	if len(w.here) == 0 {
		p.users.Add(1)
	}
	w.here = append(w.here, e)
	return w
}

// Offline tells that a session's connection is closed. The rooms that it leaves
// behind that are left when the grace is over, unless another session of the user
// has joined them.
func (p *Presence) Offline(tenant, user string, used *atomic.Int64) {
	p.end(tenant, user, used, p.cfg.Grace)
}

// end has a session end that is followed by so much grace.
func (p *Presence) end(tenant, user string, used *atomic.Int64, grace time.Duration) {
	p.with(tenant, user, func(s *people, w *person) {
		if e := w.session(used); e != nil {
			w.end(e, p.now()-p.cfg.Grace+grace, p.cfg.Grace)
			p.changedUser(s, w)
		}
	})
}

// Active tells that a user does something again, after a minute or more.
func (p *Presence) Active(tenant, user string) {
	p.with(tenant, user, func(s *people, w *person) {
		if w.view.status == away {
			p.changedUser(s, w)
		}
	})
}

// Observe sees the durable events of users' own rooms, in their order.
func (p *Presence) Observe(r *event.Record) {
	if r.Action != actionUpdate {
		return
	}
	p.with(r.Tenant, r.Room[len(room.UserType)+1:], func(s *people, w *person) {
		w.known, w.chosen = true, parse(r.Data, p.wall())
		w.updates++
		p.changedUser(s, w)
	})
}

// with calls f with a user who is known, under the lock of the shard.
func (p *Presence) with(tenant, user string, f func(s *people, w *person)) {
	k := userKey{tenant, user}
	s := p.people(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.users[k]; w != nil {
		f(s, w)
	}
}

// changedUser has a user looked at who is not as before: here and now if there is
// nobody to tell, as mostly. The user may be forgotten by it.
func (p *Presence) changedUser(s *people, w *person) {
	if now := p.now(); w.watchers > 0 {
		s.hasten(w, now)
	} else {
		p.judge(s, w, now)
	}
}

// nextUser looks at the first user who is due.
func (p *Presence) nextUser(s *people) (env *event.Envelope, merge string, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := p.now()
	x, wait := s.first(now)
	if x == nil {
		return nil, "", wait
	}
	if env = p.judge(s, x.(*person), now); env != nil {
		p.updates.Add(1)
		merge = mergePrefix + env.Room
	}
	return env, merge, 0
}

// judge looks at a user, and sees to it that the user is looked at again, or
// forgotten. It gives the event for the user's watchers, nil for none.
func (p *Presence) judge(s *people, w *person, now time.Duration) *event.Envelope {
	env, due := p.look(w, now)
	if len(w.here) == 0 && w.watchers == 0 {
		s.remove(w)
		delete(s.users, w.key)
	} else {
		s.due(w, due)
	}
	return env
}

// look brings what others see of a user up to date, and gives the event for the
// user's watchers, nil for none, and when to look again.
func (p *Presence) look(w *person, now time.Duration) (env *event.Envelope, due time.Duration) {
	wall, before := p.wall(), len(w.here)
	gone, ended := w.drop(now - p.cfg.Grace)
	if before > 0 && len(w.here) == 0 {
		p.users.Add(-1)
	}
	v, due := w.see(now, p.cfg.IdleAfter, wall)
	if ended != never {
		due = min(due, ended+p.cfg.Grace)
	}
	if v != w.view {
		p.changes.Add(1)
		w.view = v
		for _, e := range w.here {
			for _, h := range e.halls {
				p.show(h, w, v)
			}
		}
	}
	for _, e := range gone {
		for _, h := range e.halls {
			p.vacate(h, w)
		}
	}
	if w.watchers == 0 || w.told.same(w.view) {
		w.told = w.view
		return nil, due
	}
	if at := p.turn(w); at > now {
		return nil, min(due, at)
	}
	w.told, w.toldAt = w.view, now
	return &event.Envelope{
		Type: event.TypeEvent, Tenant: w.key.tenant, Room: watched(room.OfUser(w.key.user)), Action: actionUpdate, Data: w.view.append(nil, w.key.user), Timestamp: wall,
	}, due
}

// turn is when the user's watchers may be told again.
func (p *Presence) turn(w *person) time.Duration {
	if int(w.watchers) <= p.cfg.BatchAbove {
		return running
	}
	return w.toldAt + p.interval(int(w.watchers))
}

// State is what the node knows of a user, whatever others see.
type State struct {
	Status  string   // what others see: offline, online, away, dnd
	Chosen  string   // what the user chose: one of these, invisible or auto
	Devices []string // in order, also those within the grace
	Active  string   // the device on which the user did something last
}

// State tells how a user is: for who has to decide whether, and where, to notify.
func (p *Presence) State(tenant, user string) State {
	st := State{Status: offline.String(), Chosen: auto}
	p.with(tenant, user, func(_ *people, w *person) {
		st.Status, st.Chosen, st.Devices = w.view.status.String(), w.chosen.is(), w.devices()
		if len(w.here) > 0 {
			st.Active = slices.MaxFunc(w.here, func(a, b entry) int { return cmp.Compare(a.active(), b.active()) }).device
		}
	})
	return st
}
