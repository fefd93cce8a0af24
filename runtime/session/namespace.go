package session

import (
	"context"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

// The namespaces that a session may open. A namespace is a set of rooms that the
// session joins by itself, and its record says which it has by them: the main one
// is the user's own room and the rooms that the user is a member of, now and later.
const (
	spaceMain         = "/"
	spaceNotification = "/notification"
)

// spaces are all of them. Those that are not above join no room by themselves.
var spaces = [...]string{spaceMain, "/voice", "/video", "/collab", spaceNotification}

// Namespaces lists those that sessions know by their names.
func Namespaces() []string { return spaces[:] }

// maxNamespaces bounds a list of them, in which they may be repeated.
const maxNamespaces = 8

type namespaces struct{ main, notification bool }

// spacesOf reads those that a new session is to have.
func spacesOf(ev *event.Event) (n namespaces) {
	raw := ev.Arg("namespaces")
	if raw == nil {
		return namespaces{main: true}
	}
	for _, name := range texts(raw) {
		n.main = n.main || name == spaceMain
		n.notification = n.notification || name == spaceNotification
	}
	return n
}

// spaces finds those that the session has.
func (r *Record) spaces() namespaces {
	return namespaces{has(r.Rooms, room.OfUser(r.User)), has(r.Rooms, room.OfNotifications(r.User))}
}

// choose lists the rooms that a new session is to join.
func (o *opening) choose(ctx context.Context) ([]string, error) {
	o.spaces = spacesOf(o.ev)
	asked, err := o.more()
	if err != nil {
		return nil, err
	}
	return o.names(ctx, asked)
}

// more are the rooms that the client asks for.
func (o *opening) more() ([]string, error) {
	asked := texts(o.ev.Arg("rooms"))
	if len(asked) > 0 && !o.spaces.main {
		return nil, fault.New(fault.Invalid, "data.rooms", "rooms are joined in the namespace "+spaceMain+", which is not among data.namespaces")
	}
	return asked, nil
}

// own lists the rooms of the session's namespaces, each once.
func (o *opening) own(ctx context.Context) (names []string, err error) {
	if o.spaces.main {
		names = append(names, room.OfUser(o.id.User))
	}
	if o.spaces.notification {
		names = append(names, room.OfNotifications(o.id.User))
	}
	if !o.spaces.main {
		return names, nil
	}
	member, err := o.m.deps.Reader.RoomsOf(ctx, o.id.Tenant, o.id.User, o.m.cfg.Rooms)
	return append(names, member...), fault.Wrap("session.names", fault.Unavailable, err)
}

// follows reports whether the session has the main namespace: only then it joins
// the rooms that its user is added to.
func (s *Session) follows() bool {
	_, in := s.Member(room.OfUser(s.Identity().User))
	return in
}
