package room

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// Rooms knows the types of rooms and decides who may join what.
type Rooms struct {
	types  atomic.Pointer[map[string]TypeConfig]
	reader Reader
}

// New makes the policy for these types.
func New(types map[string]TypeConfig, reader Reader) *Rooms {
	r := &Rooms{reader: reader}
	r.Reload(types)
	return r
}

// Reload puts other types in force, for what is asked after it. Rooms whose type is
// gone stay stored, without bound, but nobody may enter them.
func (r *Rooms) Reload(types map[string]TypeConfig) {
	types = maps.Clone(types)
	r.types.Store(&types)
}

// Type finds the type of a room by its name.
func (r *Rooms) Type(room string) (TypeConfig, error) {
	t, ok := (*r.types.Load())[TypeOf(room)]
	if !ok {
		return t, fault.New(fault.NotFound, "room", "there is no room type \""+TypeOf(room)+"\"")
	}
	return t, nil
}

// Resolve takes the name of a room or sub-room apart, and finds its type. The
// error, in "room", is NotFound if the type, or the type's sub-room, does not
// exist, and Invalid if the name is none.
func (r *Rooms) Resolve(room string) (Name, TypeConfig, error) {
	t, err := r.Type(room)
	if err != nil {
		return Name{}, t, err
	}
	n, ok := Parse(room)
	switch {
	case !ok:
		return Name{}, t, fault.New(fault.Invalid, "room", "must be type:id, type:id/feature or type:id/participant/user")
	case !t.has(&n):
		return Name{}, t, fault.New(fault.NotFound, "room", t.parts(n.Type))
	}
	return n, t, nil
}

// has reports whether the type has such a part.
func (t *TypeConfig) has(n *Name) bool {
	switch n.Part {
	case Feature:
		return t.offers(n.Type, n.Feature)
	case Participant:
		return t.Participants
	}
	return true
}

// offers reports whether rooms of the type have the feature. A user's presence
// room is there whatever the mode: that one is about participants of rooms.
func (t *TypeConfig) offers(typ, feature string) bool {
	if typ == UserType && feature == FeatureNotification {
		return true
	}
	return slices.Contains(t.Features, feature) &&
		(feature != FeaturePresence || typ == UserType || t.PresenceMode() != PresenceOff)
}

// parts tells a client which sub-rooms there are.
func (t *TypeConfig) parts(typ string) string {
	var all []string
	for _, f := range t.Features {
		if t.offers(typ, f) {
			all = append(all, typ+":id/"+f)
		}
	}
	if t.Participants {
		all = append(all, typ+":id/"+participant+"/user")
	}
	if len(all) == 0 {
		return "rooms of this type have no sub-rooms"
	}
	return "there is no such sub-room; there are " + strings.Join(all, ", ")
}

// Direct reports whether a name is that of a participant's sub-room, where
// everybody may publish who has joined base, without having joined the sub-room:
// a direct message to a participant.
func (r *Rooms) Direct(room string) (base string, ok bool) {
	n, ok := Parse(room)
	if !ok || n.Part != Participant || !(*r.types.Load())[n.Type].Participants {
		return "", false
	}
	return n.Base, true
}

// Retention is how many events of a room are kept, and for how long; zero is
// without bound.
func (r *Rooms) Retention(_, room string) (maxEvents uint64, maxAge time.Duration) {
	typ := TypeOf(room)
	if typ == RootType {
		return rootEvents, 0 // their rows matter
	}
	t := (*r.types.Load())[typ]
	return t.MaxEvents, t.MaxAge
}

const rootEvents = 1000

// Admission is the answer to somebody who wants to receive a room.
type Admission struct {
	Member event.Membership
	// Enroll says that the user is not a member yet, but may become one by joining.
	Enroll bool
	// Lasting says that the room's type keeps members: the user stays one without
	// a session.
	Lasting bool
}

// Admit decides whether a user may receive a room or sub-room, and what else
// there.
func (r *Rooms) Admit(ctx context.Context, id *event.Identity, room string) (Admission, error) {
	n, t, err := r.Resolve(room)
	if err != nil {
		return Admission{}, err
	}
	granted := id.Grants(room) || id.Grants(n.Base)
	if n.Type == UserType && n.Feature == FeaturePresence && n.Base != OfUser(id.User) {
		if !granted {
			return Admission{}, notGranted()
		}
		return Admission{}, nil
	}
	adm, err := r.base(ctx, id, &n, t, granted)
	if err != nil {
		return Admission{}, err
	}
	return r.inherit(ctx, id, &n, t, adm)
}

// Deleted reports whether a room that has to be created is not there, or the room
// of a sub-room.
func (r *Rooms) Deleted(ctx context.Context, tenant, room string) (bool, error) {
	n, t, err := r.Resolve(room)
	if err != nil || !t.Members {
		return false, err
	}
	_, found, err := r.reader.Room(ctx, tenant, n.Base)
	if err != nil {
		return false, fault.Wrap("room.Deleted", fault.Unavailable, err)
	}
	return !found, nil
}

// base decides by the room that the name belongs to.
func (r *Rooms) base(ctx context.Context, id *event.Identity, n *Name, t TypeConfig, granted bool) (Admission, error) {
	adm := Admission{Lasting: t.Members, Member: event.Membership{Publish: t.Publish == ByParticipants, Durable: t.Stream}}
	switch {
	case t.Join == JoinSelf:
		if n.Base != n.Type+":"+id.User {
			return Admission{}, forbidden()
		}
		if n.Type != UserType && !granted { // the own room is every token's
			return Admission{}, notGranted()
		}
		return adm, nil
	case !granted:
		return Admission{}, notGranted()
	case !t.Members:
		if t.Join != JoinOpen {
			return Admission{}, forbidden()
		}
		return adm, nil
	}
	found, err := r.member(ctx, id, n.Base, t, &adm)
	switch {
	case err != nil:
		return Admission{}, err
	case found:
		return adm, nil
	}
	return r.enroll(ctx, id, n, t, adm)
}

// inherit makes of the admission to a room that to its part.
func (r *Rooms) inherit(ctx context.Context, id *event.Identity, n *Name, t TypeConfig, adm Admission) (Admission, error) {
	switch {
	case n.Feature == FeaturePresence, n.Type == UserType && n.Feature == FeatureNotification:
		adm.Member.Publish, adm.Member.Durable = false, false
	case n.Part != Participant:
	case n.User == id.User:
		adm.Member.Publish = true
	case !adm.Member.Moderate:
		return Admission{}, fault.New(fault.Forbidden, "room", "only this participant and moderators receive this room")
	default:
		_, found, err := r.reader.Member(ctx, id.Tenant, n.Base, n.User)
		switch {
		case err != nil:
			return Admission{}, fault.Wrap("room.Admit", fault.Unavailable, err)
		case !found:
			return Admission{}, fault.New(fault.NotFound, "room", "this user is not a member of the room")
		}
		adm.Member.Publish = true
	}
	return adm, nil
}

// member completes the admission of a member.
func (r *Rooms) member(ctx context.Context, id *event.Identity, base string, t TypeConfig, adm *Admission) (bool, error) {
	m, found, err := r.reader.Member(ctx, id.Tenant, base, id.User)
	if err != nil || !found {
		return false, fault.Wrap("room.Admit", fault.Unavailable, err)
	}
	adm.Member.Moderate = m.Role == RoleOwner || m.Role == RoleModerator
	adm.Member.Publish = adm.Member.Publish || t.Publish == ByModerators && adm.Member.Moderate
	return true, nil
}

// enroll decides for somebody who is not a member. Only the room itself has
// members: a sub-room is joined by those.
func (r *Rooms) enroll(ctx context.Context, id *event.Identity, n *Name, t TypeConfig, adm Admission) (Admission, error) {
	if t.Join != JoinOpen || n.Part != Whole {
		return Admission{}, forbidden()
	}
	_, found, err := r.reader.Room(ctx, id.Tenant, n.Base)
	switch {
	case err != nil:
		return Admission{}, fault.Wrap("room.Admit", fault.Unavailable, err)
	case !found:
		return Admission{}, fault.New(fault.NotFound, "room", "there is no such room; room:create makes it")
	}
	// The room may have come between the two reads, with this user as its owner.
	found, err = r.member(ctx, id, n.Base, t, &adm)
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
