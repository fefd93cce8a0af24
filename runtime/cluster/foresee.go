package cluster

import (
	"context"

	"github.com/heddle-rt/heddle/runtime/room"
)

// foreseen is what is known ahead of a user's rooms.
type foreseen struct {
	tenant, user string
	members      func(room string) bool
	sights       map[string]sight
	reads        map[string]room.Marker
}

type foreseenKey struct{}

// Foresee asks at once what a session asks of each room that it enters: with the context
// that it returns, the answers are at hand. What could not be had is asked for when it is
// needed.
func (r *Reads) Foresee(ctx context.Context, tenant, user string, rooms []string) context.Context {
	f := &foreseen{tenant: tenant, user: user, members: r.members, sights: map[string]sight{}, reads: map[string]room.Marker{}}
	by := map[int]*query{} // partition
	for _, members := range [...]bool{true, false} {
		for _, name := range rooms {
			if r.members(name) != members {
				continue
			}
			p := r.router.PartitionOf(tenant, name)
			q := by[p]
			if q == nil {
				q = &query{op: opSights, tenant: tenant, user: user}
				by[p] = q
			}
			if q.rooms = append(q.rooms, name); members {
				q.from++
			}
		}
	}
	type part struct {
		names []string
		a     answer
	}
	parts := make(chan part, len(by)+1)
	ask := func(q query) {
		a, err := r.ask(ctx, q)
		if err != nil {
			a = answer{}
		}
		parts <- part{q.rooms, a}
	}
	for _, q := range by {
		go ask(*q) // ends with the answer, or with ctx
	}
	go ask(query{op: opReads, tenant: tenant, user: user, rooms: rooms}) // likewise
	for range len(by) + 1 {
		p := <-parts
		for i := range p.a.sights {
			f.sights[p.names[i]] = p.a.sights[i]
		}
		for i := range p.a.markers {
			f.reads[p.names[i]] = p.a.markers[i]
		}
	}
	return context.WithValue(ctx, foreseenKey{}, f)
}

// answer is that to a query, if it is known.
func (f *foreseen) answer(q *query) (a answer, known bool) {
	if q.tenant != f.tenant || q.op != opHead && q.user != f.user {
		return a, false
	}
	if q.op == opRead {
		a.marker, known = f.reads[q.room]
		return a, known
	}
	s, known := f.sights[q.room]
	switch q.op {
	case opHead:
		a.head = s.head
	case opMember:
		if known = known && f.members(q.room); known {
			a.members, a.found = []room.Member{s.member}, s.belong
		}
	case opSent:
		if known = known && room.TypeOf(q.room) != room.UserType; known {
			a.marker = s.sent
		}
	default:
		return a, false
	}
	return a, known
}
