package directory

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/heddle-rt/heddle/runtime/adapter/codec"
)

// maxHeld is how many changes may come while a snapshot is read; above it the snapshot
// is read again.
const maxHeld = 1 << 18

// snapshot is what a node says of all its sessions, page by page. Pages tell how things
// were at different times. But changes say what is so from then on, and not what is to
// be added: all that have come since the first page, taken in behind the last one, give
// what is so now.
type snapshot struct {
	incarnation string // "" before the first page
	base        uint64 // number of the last change before the first page
	number, sum uint64 // at the last page
	after       uint64 // key of the last session
	rows        map[uint64]*row
	held        []message
	changes     int // in held
	whole       bool
	failed      bool // it is read again
	waited      bool // for changes that the pages know of
}

// fetch has all sessions of a node read anew; incarnation is "" if it is not known.
func (d *Directory) fetch(p *peer, incarnation string) {
	p.snapshot = &snapshot{incarnation: incarnation, rows: map[uint64]*row{}}
	d.ask(p, p.snapshot)
}

// ask asks for the next page.
func (d *Directory) ask(p *peer, s *snapshot) {
	err := d.deps.Ask(p.node, kindPage, binary.AppendUvarint([]byte{codec.Version}, s.after), func(b []byte, err error) {
		d.apply.Lock()
		defer d.apply.Unlock()
		if d.peers[p.node] == p && p.snapshot == s && (err != nil || !d.page(p, s, b)) {
			s.failed = true
		}
	})
	if err != nil {
		s.failed = true
	}
}

// page takes a page; false if it can not be read.
func (d *Directory) page(p *peer, s *snapshot, b []byte) bool {
	g, err := readPage(b)
	switch {
	case err != nil || g.more && len(g.rows) == 0:
		return false
	case s.after == 0:
		s.incarnation, s.base = g.incarnation, g.number
	case s.incarnation != g.incarnation: // it has started anew meanwhile
		return false
	}
	d.snapshots.Add(1)
	p.heard = d.deps.Now()
	p.mute.Store(false)
	s.number, s.sum = g.number, g.sum
	for i := range g.rows {
		s.after = g.rows[i].key
		s.rows[s.after] = &g.rows[i]
	}
	if g.more {
		d.ask(p, s)
		return true
	}
	s.whole = true
	d.finish(p)
	return true
}

// hold keeps what is to be taken in behind the pages.
func (s *snapshot) hold(m *message) {
	if s.changes += len(m.changes); s.changes > maxHeld {
		s.failed = true
		return
	}
	s.held = append(s.held, *m)
}

// finish puts a snapshot in the place of what was known of a node, if all is there.
func (d *Directory) finish(p *peer) {
	s := p.snapshot
	if !s.whole {
		return
	}
	number, sum, ok := s.replay()
	switch {
	case !ok: // the changes are on their way, or lost
	case sum != s.total():
		d.differed.Add(1)
		s.failed = true
	default:
		d.adopt(p, s)
		p.number = number
	}
}

// replay takes held changes in, as far as they follow upon each other. ok says that
// this is as far as the last page, or further.
func (s *snapshot) replay() (number, sum uint64, ok bool) {
	slices.SortStableFunc(s.held, func(a, b message) int { return cmp.Compare(a.before, b.before) })
	number, sum = s.base, s.sum
	for i := range s.held {
		m := &s.held[i]
		if m.incarnation != s.incarnation || m.last() <= number {
			continue
		}
		if m.before > number {
			break
		}
		for _, c := range m.changes[number-m.before:] {
			s.change(&c)
		}
		if number = m.last(); number >= s.number {
			sum = m.sum
		}
	}
	return number, sum, number >= s.number
}

func (s *snapshot) change(c *change) {
	r := s.rows[c.key]
	switch {
	case c.kind == opened:
		s.rows[c.key] = &row{key: c.key, place: c.place, age: c.age}
	case r == nil:
	case c.kind == closed:
		delete(s.rows, c.key)
	case c.kind == joined && !slices.Contains(r.rooms, c.room):
		r.rooms = append(r.rooms, c.room)
	case c.kind == left:
		r.rooms = slices.DeleteFunc(r.rooms, func(room string) bool { return room == c.room })
	case c.kind == used:
		r.age = c.age
	}
}

// total is the sum over its sessions.
func (s *snapshot) total() (sum uint64) {
	for _, r := range s.rows {
		sum += hashPlace(r.key, &r.place)
		for _, room := range r.rooms {
			sum += hashRoom(r.key, room)
		}
	}
	return sum
}

// adopt makes changes of what is different. Sessions that come go before those that
// leave: of a user who has one of each nobody sees a gap.
func (d *Directory) adopt(p *peer, s *snapshot) {
	before := p.sessions
	if p.incarnation != s.incarnation {
		p.sessions = map[uint64]*remote{}
	}
	p.incarnation, p.snapshot = s.incarnation, nil
	for key, row := range s.rows {
		if r := p.sessions[key]; r != nil {
			d.renew(r, row)
		} else {
			d.add(d.remote(p, row))
		}
	}
	for key, r := range before {
		if p.sessions[key] != r || s.rows[key] == nil {
			d.remove(r, d.deps.Presence.Offline)
		}
	}
}

// renew brings a session to what a snapshot says of it.
func (d *Directory) renew(r *remote, o *row) {
	if at := d.since(o.age); at > r.used.Load() {
		r.used.Store(at)
		d.deps.Presence.Active(r.place.Tenant, r.place.User)
	}
	for _, room := range o.rooms {
		d.join(r, room)
	}
	for _, h := range slices.Clone(r.rooms) {
		if !slices.Contains(o.rooms, h.Value()) {
			d.leave(r, h.Value())
		}
	}
}

// catchUp reads a snapshot again that has not come about.
func (d *Directory) catchUp(p *peer) {
	s := p.snapshot
	switch {
	case s == nil:
	case s.failed || s.whole && s.waited:
		d.fetch(p, s.incarnation)
	default:
		s.waited = s.whole
	}
}
