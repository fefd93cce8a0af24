package cluster

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/sequence"
)

// kindQuery is a question about rooms.
const kindQuery Kind = 2

// Reads is what is known of all rooms of the cluster: each question goes to the owner of
// its partition, which knows all that was committed (room.Reader, room.History,
// room.Notes). While a partition has no owner, it waits for one.
type Reads struct {
	router  *Router
	owned   *Owned
	members func(room string) bool
}

// NewReads answers other nodes' questions, too, until ctx ends. members reports whether
// rooms of a name have members.
func NewReads(ctx context.Context, r *Router, o *Owned, members func(room string) bool) *Reads {
	r.deps.Peers.Handle(kindQuery, func(_ string, body []byte, answer func([]byte, error)) {
		q, err := decodeQuery(body)
		if err != nil {
			answer(nil, fault.Wrap("cluster.query", fault.Internal, err))
			return
		}
		o.serve(ctx, func() ([]byte, error) {
			ctx, cancel := context.WithTimeout(ctx, r.deps.Peers.cfg.Timeout) // nobody waits for longer
			defer cancel()
			return o.query(ctx, r.PartitionOf(q.tenant, q.of()), &q)
		}, answer)
	})
	return &Reads{r, o, members}
}

// of is the room whose partition's owner is asked.
func (q *query) of() string {
	switch q.op {
	case opRoomsOf, opRead, opReads:
		return room.OfUser(q.user)
	case opMemberOf, opSights:
		return q.rooms[0]
	}
	return q.room
}

// ask has the owner answer.
func (r *Reads) ask(ctx context.Context, q query) (a answer, err error) {
	if f, ok := ctx.Value(foreseenKey{}).(*foreseen); ok {
		if a, known := f.answer(&q); known {
			return a, nil
		}
	}
	partition := r.router.PartitionOf(q.tenant, q.of())
	for until := time.Now().Add(r.router.cfg.Patience); ; {
		switch owner := r.router.OwnerOf(partition); owner {
		case "":
			err = sequence.ErrElsewhere
		case r.router.deps.Self:
			a, err = r.owned.answer(ctx, partition, &q)
		default:
			a, err = r.remote(ctx, owner, &q)
		}
		if !errors.Is(err, sequence.ErrElsewhere) && !errors.Is(err, errSilent) || time.Now().After(until) {
			return a, err
		}
		pause := time.NewTimer(r.router.cfg.Retry)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return a, fault.Wrap("cluster.query", fault.Timeout, ctx.Err())
		}
	}
}

// remote asks another node.
func (r *Reads) remote(ctx context.Context, owner string, q *query) (answer, error) {
	type said struct {
		body []byte
		err  error
	}
	done := make(chan said, 1)
	if err := r.router.deps.Peers.Ask(owner, kindQuery, q.append(nil), func(body []byte, err error) { done <- said{body, err} }); err != nil {
		return answer{}, err
	}
	select {
	case s := <-done:
		if s.err != nil {
			return answer{}, s.err
		}
		a, err := q.decode(s.body)
		return a, fault.Wrap("cluster.query", fault.Internal, err)
	case <-ctx.Done():
		return answer{}, fault.Wrap("cluster.query", fault.Timeout, ctx.Err())
	}
}

// Room is a room's row.
func (r *Reads) Room(ctx context.Context, tenant, name string) (room.Info, bool, error) {
	a, err := r.ask(ctx, query{op: opRoom, tenant: tenant, room: name})
	return a.info, a.found, err
}

// Member is a user's membership.
func (r *Reads) Member(ctx context.Context, tenant, name, user string) (room.Member, bool, error) {
	a, err := r.ask(ctx, query{op: opMember, tenant: tenant, room: name, user: user})
	if err != nil || !a.found {
		return room.Member{}, false, err
	}
	return a.members[0], true, nil
}

// Members pages through a room's members.
func (r *Reads) Members(ctx context.Context, tenant, name, after string, limit int) ([]room.Member, error) {
	a, err := r.ask(ctx, query{op: opMembers, tenant: tenant, room: name, key: after, limit: limit})
	return a.members, err
}

// RoomsOf lists a user's rooms. Those of the user's own list that were deleted, or whose
// event there came without the one in the room, are left out: the rooms' owners say which.
func (r *Reads) RoomsOf(ctx context.Context, tenant, user string, limit int) ([]string, error) {
	a, err := r.ask(ctx, query{op: opRoomsOf, tenant: tenant, user: user, limit: limit})
	if err != nil {
		return nil, err
	}
	by := map[int][]string{} // partition
	for _, name := range a.names {
		p := r.router.PartitionOf(tenant, name)
		by[p] = append(by[p], name)
	}
	type part struct {
		names []string
		err   error
	}
	parts := make(chan part, len(by))
	for _, names := range by {
		go func() { // ends with the answer, or with ctx
			a, err := r.ask(ctx, query{op: opMemberOf, tenant: tenant, user: user, rooms: names})
			parts <- part{a.names, err}
		}()
	}
	var out []string
	for range by {
		p := <-parts
		out, err = append(out, p.names...), errors.Join(err, p.err)
	}
	if err != nil {
		return nil, err
	}
	slices.Sort(out)
	return out, nil
}

// Marker is the further one of what a user has sent and read. Of two lives of the room, the
// present one counts.
func (r *Reads) Marker(ctx context.Context, tenant, user, name string) (room.Marker, error) {
	read, err := r.ask(ctx, query{op: opRead, tenant: tenant, user: user, room: name})
	if err != nil {
		return room.Marker{}, err
	}
	sent, err := r.ask(ctx, query{op: opSent, tenant: tenant, user: user, room: name})
	if err != nil {
		return room.Marker{}, err
	}
	s, d := sent.marker, read.marker
	switch {
	case s.Epoch == d.Epoch && d.Offset > s.Offset, s.Offset == 0:
		return d, nil
	case s.Epoch == d.Epoch || d.Offset == 0:
		return s, nil
	}
	h, err := r.Head(ctx, tenant, name)
	if err == nil && d.Epoch == h.Epoch {
		return d, nil
	}
	return s, err
}

// Head is the newest position of a room.
func (r *Reads) Head(ctx context.Context, tenant, name string) (event.Head, error) {
	a, err := r.ask(ctx, query{op: opHead, tenant: tenant, room: name})
	return a.head, err
}

// After returns records behind a position.
func (r *Reads) After(ctx context.Context, tenant, name string, p event.Position, limit, maxBytes int) ([]event.Record, error) {
	a, err := r.ask(ctx, query{op: opAfter, tenant: tenant, room: name, epoch: p.Epoch, from: p.Offset, limit: limit, max: maxBytes})
	if err == nil && a.trimmed {
		err = room.ErrTrimmed
	}
	return a.records, err
}

// Before returns records before an offset, newest first.
func (r *Reads) Before(ctx context.Context, tenant, name string, offset uint64, limit, maxBytes int) ([]event.Record, error) {
	a, err := r.ask(ctx, query{op: opBefore, tenant: tenant, room: name, from: offset, limit: limit, max: maxBytes})
	return a.records, err
}

// Notes returns those of some records.
func (r *Reads) Notes(ctx context.Context, tenant, name string, from, to uint64, limit int) ([]room.Note, error) {
	a, err := r.ask(ctx, query{op: opNotes, tenant: tenant, room: name, from: from, to: to, limit: max(limit, 0)})
	return a.notes, err
}

// Row returns one row.
func (r *Reads) Row(ctx context.Context, tenant, name, kind, key string) ([]byte, bool, error) {
	a, err := r.ask(ctx, query{op: opRow, tenant: tenant, room: name, kind: kind, key: key})
	return a.value, a.found, err
}

// Rows pages through rows of a kind.
func (r *Reads) Rows(ctx context.Context, tenant, name, kind, after string, limit int) ([]room.Row, error) {
	a, err := r.ask(ctx, query{op: opRows, tenant: tenant, room: name, kind: kind, key: after, limit: limit})
	return a.rows, err
}
