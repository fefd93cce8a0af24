package presence

import (
	"slices"
	"sync/atomic"
	"time"
)

type userKey struct{ tenant, user string }

// person is a user with sessions or watchers, guarded by its shard. Times are the
// clock's.
type person struct {
	timing
	key      userKey
	here     []entry
	watchers int32
	known    bool   // chosen was loaded, or told; until then nobody sees the user
	awaited  bool   // in the backlog of those whose choice is to be read
	updates  uint16 // times that it was told
	chosen   *choice
	view     *view
	told     *view         // to the watchers
	toldAt   time.Duration // when
}

// entry is a session of a user, or what is left of one for the grace.
type entry struct {
	device string
	used   *atomic.Int64 // when the user last did something there; names the session
	ended  time.Duration // running while it lasts
	halls  []*hall       // those whose room it has joined
}

const running = time.Duration(-1 << 62)

// session is the entry of a session that lasts; good until another comes or goes.
func (w *person) session(used *atomic.Int64) *entry {
	for i := range w.here {
		if e := &w.here[i]; e.used == used && e.ended == running {
			return e
		}
	}
	return nil
}

// active is when the user last did something in a session.
func (e *entry) active() time.Duration { return time.Duration(e.used.Load()) }

// resumed sets a session back to what is known of its device: to come back after a
// drop is nothing that the user does. The one that it continues may last still, on a node
// that has died.
func (w *person) resumed(e *entry) {
	last, known := running, false
	for i := range w.here {
		if o := &w.here[i]; o != e && o.device == e.device {
			last, known = max(last, o.active()), true
		}
	}
	if known {
		e.used.Store(int64(last))
	}
}

// end leaves of a session what the grace needs. Of a device that comes and goes one
// rest is enough.
func (w *person) end(e *entry, now, grace time.Duration) {
	for i := range w.here {
		if o := &w.here[i]; o.ended != running && o.device == e.device {
			o.ended = min(o.ended, now-grace)
		}
	}
	rest := new(atomic.Int64) // the session itself is not kept
	rest.Store(int64(e.active()))
	e.used, e.ended = rest, now
}

// drop takes out what ended up to a time, and says when the next one did.
func (w *person) drop(until time.Duration) (gone []entry, next time.Duration) {
	next = never
	w.here = slices.DeleteFunc(w.here, func(e entry) bool {
		switch {
		case e.ended == running:
			return false
		case e.ended <= until:
			gone = append(gone, e)
			return true
		}
		next = min(next, e.ended)
		return false
	})
	return gone, next
}

// see is what others see of the user now, and when that may change by itself.
func (w *person) see(now, idleAfter time.Duration, wall int64) (v *view, until time.Duration) {
	until = never
	if w.chosen.over(wall) {
		w.chosen = nil
	} else if w.chosen != nil && w.chosen.Expires != 0 {
		until = now + time.Duration(w.chosen.Expires-wall)*time.Millisecond
	}
	st, chosen := offline, w.chosen.is()
	switch {
	case len(w.here) == 0 || !w.known || chosen == invisible:
	case chosen == dnd.String():
		st = dnd
	case chosen == away.String():
		st = away
	case chosen == online.String():
		st = online
	default:
		if idle := w.active() + idleAfter; idle <= now {
			st = away
		} else {
			st, until = online, min(until, idle)
		}
	}
	devices, says := int32(0), ""
	if st != offline {
		devices, says = int32(len(w.devices())), w.chosen.says()
	}
	if w.view.status == st && w.view.devices == devices && w.view.says == says {
		return w.view, until
	}
	return w.view.next(st, devices, says, wall), until
}

// active is when the user last did something on any device.
func (w *person) active() time.Duration {
	last := running
	for i := range w.here {
		last = max(last, w.here[i].active())
	}
	return last
}

// devices are the names of the user's devices, each once, in order. Sessions
// without a name are one device.
func (w *person) devices() []string {
	names := make([]string, 0, len(w.here))
	for _, e := range w.here {
		names = append(names, e.device)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// absent is the view of a user who is in no session of a room any more. It says no
// since: the user may come back to the room as before.
func (w *person) absent() *view {
	if w.view.status == offline {
		return w.view
	}
	return &view{}
}
