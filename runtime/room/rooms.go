package room

import (
	"context"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// Rooms knows the types of rooms and decides who may join what.
type Rooms struct {
	types  map[string]TypeConfig
	reader Reader
}

// New makes the policy for these types.
func New(types map[string]TypeConfig, reader Reader) *Rooms {
	return &Rooms{types: types, reader: reader}
}

// Type finds the type of a room by its name.
func (r *Rooms) Type(room string) (TypeConfig, error) {
	t, ok := r.types[TypeOf(room)]
	if !ok {
		return t, fault.New(fault.NotFound, "room", "there is no room type \""+TypeOf(room)+"\"")
	}
	return t, nil
}

// Retention is how many events of a room are kept, and for how long; zero is
// without bound.
func (r *Rooms) Retention(_, room string) (maxEvents uint64, maxAge time.Duration) {
	t := r.types[TypeOf(room)]
	return t.MaxEvents, t.MaxAge
}

// Admission is the answer to somebody who wants to receive a room.
type Admission struct {
	Member event.Membership
	// Enroll says that the user is not a member yet, but may become one by joining.
	Enroll bool
	// Lasting says that the room's type keeps members: the user stays one without
	// a session.
	Lasting bool
}

// Admit decides whether a user may receive a room, and what else there.
func (r *Rooms) Admit(ctx context.Context, id *event.Identity, room string) (Admission, error) {
	t, err := r.Type(room)
	if err != nil {
		return Admission{}, err
	}
	adm := Admission{Lasting: t.Members, Member: event.Membership{Publish: t.Publish == "participants", Durable: t.Stream}}
	base := Base(room)
	switch {
	case t.Join == "self":
		if base != TypeOf(room)+":"+id.User {
			return Admission{}, forbidden()
		}
		if base != OfUser(id.User) && !id.Grants(room) { // the own room is every token's
			return Admission{}, notGranted()
		}
		return adm, nil
	case !id.Grants(room):
		return Admission{}, notGranted()
	case !t.Members:
		if t.Join != "open" {
			return Admission{}, forbidden()
		}
		return adm, nil
	}
	found, err := r.member(ctx, id, base, t, &adm)
	switch {
	case err != nil:
		return Admission{}, err
	case found:
		return adm, nil
	}
	return r.enroll(ctx, id, room, t, adm)
}

// member completes the admission of a member.
func (r *Rooms) member(ctx context.Context, id *event.Identity, base string, t TypeConfig, adm *Admission) (bool, error) {
	m, found, err := r.reader.Member(ctx, id.Tenant, base, id.User)
	if err != nil || !found {
		return false, fault.Wrap("room.Admit", fault.Unavailable, err)
	}
	adm.Member.Moderate = m.Role == RoleOwner || m.Role == RoleModerator
	adm.Member.Publish = adm.Member.Publish || t.Publish == "moderators" && adm.Member.Moderate
	return true, nil
}

// enroll decides for somebody who is not a member. Only the room itself has
// members: a sub-room is joined by those.
func (r *Rooms) enroll(ctx context.Context, id *event.Identity, room string, t TypeConfig, adm Admission) (Admission, error) {
	if t.Join != "open" || Base(room) != room {
		return Admission{}, forbidden()
	}
	_, found, err := r.reader.Room(ctx, id.Tenant, room)
	switch {
	case err != nil:
		return Admission{}, fault.Wrap("room.Admit", fault.Unavailable, err)
	case !found:
		return Admission{}, fault.New(fault.NotFound, "room", "there is no such room; room:create makes it")
	}
	// The room may have come between the two reads, with this user as its owner.
	found, err = r.member(ctx, id, room, t, &adm)
	if err != nil {
		return Admission{}, err
	}
	adm.Enroll = !found
	return adm, nil
}

func notGranted() error {
	return fault.New(fault.Forbidden, "room", "the token does not grant this room")
}

// forbidden does not tell whether the room exists.
func forbidden() error {
	return fault.New(fault.Forbidden, "room", "not a member of this room")
}

// Replayable reports why the events behind a position can not all be replayed, ""
// if they can. head is the room's newest position.
func Replayable(ctx context.Context, h History, tenant, room string, p event.Position, head event.Head) (string, error) {
	switch {
	case p.Offset == 0 && (p.Epoch == "" || p.Epoch == head.Epoch):
	case p.Epoch != head.Epoch:
		return "epoch", nil
	case p.Offset > head.Offset:
		return "ahead", nil
	case p.Offset == head.Offset:
		return "", nil
	}
	if head.Offset == 0 {
		return "", nil
	}
	_, err := h.After(ctx, tenant, room, event.Position{Epoch: head.Epoch, Offset: p.Offset}, 1, 1)
	if err == nil {
		return "", nil
	}
	if isTrimmed(err) {
		return "trimmed", nil
	}
	return "", fault.Wrap("room.Replayable", fault.Unavailable, err)
}
