package notification

import (
	"context"
	"slices"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

// tell notifies one user of a message, in the user's sessions or by the notifiers.
func (n *Notifications) tell(ctx context.Context, m *message, to addressee) error {
	u := n.deps.People.Look(m.Tenant, to.user, m.Room)
	switch {
	case u.Quiet:
		n.quiet.Add(1)
		return nil
	case len(u.Connected) == 0: // or only until a moment ago: that is seen when it is handed over
		n.hold(ctx, m, to)
		return nil
	case to.reason == ForMessage && u.sees():
		n.seen.Add(1)
		return nil
	}
	unread, err := n.unread(ctx, m.Record, to.user)
	if err != nil {
		return err
	}
	devices := u.Connected
	if u.sees() {
		devices = slices.DeleteFunc(slices.Clone(devices), func(d string) bool { return d == u.Active })
	}
	n.events.Add(1)
	// A newer one of the room takes the place of an older one, but not that of a
	// mention.
	n.deps.Emit.Emit(&event.Envelope{
		Type: event.TypeEvent, Tenant: m.Tenant, Room: room.OfNotifications(to.user), Action: actionNew,
		Data: m.data(to.reason, devices, unread), Timestamp: n.deps.Now().UnixMilli(), Expires: m.Expires,
	}, actionNew+":"+string(to.reason)+":"+m.Room)
	if u.Away && to.reason.meant() {
		n.hold(ctx, m, to)
	}
	return nil
}

// sees reports whether the user has the room in front.
func (u *User) sees() bool { return !u.Away && slices.Contains(u.Joined, u.Active) }

// unread is how many messages of the room the user has not read, up to the record,
// 0 where that is not kept.
func (n *Notifications) unread(ctx context.Context, r *event.Record, user string) (uint64, error) {
	if room.TypeOf(r.Room) == room.UserType {
		return 0, nil
	}
	mark, err := n.deps.Reader.Marker(ctx, r.Tenant, user, r.Room)
	switch {
	case err != nil:
		return 0, err
	case mark.Epoch != r.Epoch:
		return r.Messages, nil
	}
	return r.Messages - min(mark.Messages, r.Messages), nil
}
