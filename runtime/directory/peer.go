package directory

import (
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unique"

	"github.com/heddle-rt/heddle/runtime/session"
)

// peer is what is known of another node. It is guarded by Directory.apply.
type peer struct {
	node        string
	incarnation string // whose sessions these are; "" before the first snapshot
	number      uint64 // of the last change that is taken in
	sum         uint64
	sessions    map[uint64]*remote // by key
	snapshot    *snapshot          // on its way; nil: the peer is followed
	heard       time.Time
	missing     bool        // among those who are alive
	mute        atomic.Bool // it did not answer, and was not heard since
}

// remote is a session of another node. What others than apply's holder read of it is
// guarded by Directory.mu.
type remote struct {
	peer    *peer
	key     uint64
	place   session.Place
	used    atomic.Int64
	rooms   []unique.Handle[string]
	sibling *remote // the user's next
}

// silence is how long an incarnation says nothing before an earlier one may take its
// place: a clock may have been set back.
const silence = 5 * time.Second

// take takes a message in, or finds that something is missing.
func (d *Directory) take(p *peer, m *message) {
	now := d.deps.Now()
	current := p.incarnation
	if p.snapshot != nil && p.snapshot.incarnation != "" {
		current = p.snapshot.incarnation
	}
	switch {
	case m.incarnation == current || current == "": // of the latter the snapshot will tell
	case m.incarnation > current || now.Sub(p.heard) > silence:
		d.fetch(p, m.incarnation)
	default:
		d.doubled(p.node)
		return
	}
	p.heard = now
	p.mute.Store(false)
	if p.snapshot != nil {
		p.snapshot.hold(m)
		d.finish(p)
		return
	}
	d.follow(p, m)
}

// follow takes in what follows upon what is known.
func (d *Directory) follow(p *peer, m *message) {
	if m.before > p.number {
		d.gaps.Add(1)
		d.fetch(p, p.incarnation)
		p.snapshot.hold(m)
		return
	}
	if m.last() < p.number {
		return
	}
	for _, c := range m.changes[p.number-m.before:] {
		d.change(p, &c)
	}
	if p.number = m.last(); p.sum != m.sum {
		d.differed.Add(1)
		d.fetch(p, p.incarnation)
	}
}

// change takes one change in, and tells of it.
func (d *Directory) change(p *peer, c *change) {
	d.changes.Add(1)
	r := p.sessions[c.key]
	switch {
	case c.kind == opened && r == nil:
		d.add(d.remote(p, &row{key: c.key, place: c.place, age: c.age}))
	case r == nil || c.kind == opened:
	case c.kind == closed:
		d.remove(r, d.deps.Presence.Offline)
	case c.kind == joined:
		d.join(r, c.room)
	case c.kind == left:
		d.leave(r, c.room)
	case c.kind == used:
		r.used.Store(d.since(c.age))
		d.deps.Presence.Active(r.place.Tenant, r.place.User)
	}
}

// since is the time on this node's clock that an age lies back.
func (d *Directory) since(age time.Duration) int64 { return d.deps.Clock() - int64(age) }

// remote makes a session of what another node says of it. Its texts are copies: those of
// the message keep all of it.
func (d *Directory) remote(p *peer, o *row) *remote {
	r := &remote{peer: p, key: o.key, place: o.place}
	for _, s := range [...]*string{&r.place.Session, &r.place.User, &r.place.Device} {
		*s = strings.Clone(*s)
	}
	r.place.Node, r.place.Tenant = p.node, unique.Make(r.place.Tenant).Value()
	r.used.Store(d.since(o.age))
	r.rooms = make([]unique.Handle[string], 0, len(o.rooms))
	for _, room := range o.rooms {
		r.rooms = append(r.rooms, unique.Make(room))
	}
	return r
}

// add makes a session known with its rooms, and tells of it.
func (d *Directory) add(r *remote) {
	at := &r.place
	r.peer.sessions[r.key] = r
	r.peer.sum += hashPlace(r.key, at)
	d.mu.Lock()
	k := userKey{at.Tenant, at.User}
	r.sibling = d.byUser[k]
	d.byUser[k] = r
	d.tenants[at.Tenant]++
	d.mu.Unlock()
	d.deps.Presence.OnlineElsewhere(at.Tenant, at.User, at.Device, &r.used)
	for _, room := range r.rooms {
		r.peer.sum += hashRoom(r.key, room.Value())
		d.deps.Presence.JoinedRoom(at.Tenant, at.User, room.Value(), &r.used)
	}
	d.deps.Sessions.OpenedElsewhere(*at)
}

// remove forgets a session, and tells of it by gone.
func (d *Directory) remove(r *remote, gone func(tenant, user string, used *atomic.Int64)) {
	at := &r.place
	if r.peer.sessions[r.key] == r {
		delete(r.peer.sessions, r.key)
	}
	r.peer.sum -= hashPlace(r.key, at)
	for _, room := range r.rooms {
		r.peer.sum -= hashRoom(r.key, room.Value())
	}
	d.mu.Lock()
	d.unlink(r)
	if d.tenants[at.Tenant]--; d.tenants[at.Tenant] == 0 {
		delete(d.tenants, at.Tenant)
	}
	d.mu.Unlock()
	gone(at.Tenant, at.User, &r.used) // and with it its rooms
}

// unlink takes a session from those of its user, with mu held.
func (d *Directory) unlink(r *remote) {
	k := userKey{r.place.Tenant, r.place.User}
	first := d.byUser[k]
	if first == r {
		first = r.sibling
	}
	for other := first; other != nil; other = other.sibling {
		if other.sibling == r {
			other.sibling = r.sibling
		}
	}
	if first == nil {
		delete(d.byUser, k)
	} else {
		d.byUser[k] = first
	}
}

func (d *Directory) join(r *remote, room string) {
	h := unique.Make(room)
	if slices.Contains(r.rooms, h) {
		return
	}
	r.peer.sum += hashRoom(r.key, room)
	d.mu.Lock()
	r.rooms = append(r.rooms, h)
	d.mu.Unlock()
	d.deps.Presence.JoinedRoom(r.place.Tenant, r.place.User, h.Value(), &r.used)
}

func (d *Directory) leave(r *remote, room string) {
	i := slices.Index(r.rooms, unique.Make(room))
	if i < 0 {
		return
	}
	r.peer.sum -= hashRoom(r.key, room)
	d.mu.Lock()
	r.rooms = slices.Delete(r.rooms, i, i+1)
	d.mu.Unlock()
	d.deps.Presence.LeftRoom(r.place.Tenant, r.place.User, room, &r.used)
}
