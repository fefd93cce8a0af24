package notification

import (
	"context"
	"slices"

	"github.com/heddle-rt/heddle/runtime/room"
)

// Reason is why a user is notified.
type Reason string

// The reasons, from least to most. Who is mentioned, or written to directly, is
// notified also of what can be seen on another device.
const (
	ForMessage Reason = "message"
	ForDirect  Reason = "direct"
	ForMention Reason = "mention"
)

// meant reports whether the message is meant for this user in particular.
func (r Reason) meant() bool { return r != ForMessage }

func (r Reason) atLeast(o Reason) Reason {
	if r == ForMention || o == ForMessage || o == "" {
		return r
	}
	return o
}

// addressee is somebody who may have to be notified.
type addressee struct {
	user   string
	reason Reason
}

// audience lists those whom a message concerns, each once; the sender may be among
// them.
func (n *Notifications) audience(ctx context.Context, m *message) ([]addressee, error) {
	t, err := n.deps.Types.Type(m.Room)
	name, ok := room.Parse(m.Room)
	if err != nil || !ok {
		return nil, nil // the type is gone since
	}
	all := t.NotifyMode() == room.NotifyAll
	switch {
	case t.Join == room.JoinSelf:
		return owner(m, &name, all), nil
	case !t.Members:
		return mentioned(m), nil // whoever writes there may write to anybody directly
	case name.Part == room.Participant:
		return n.aside(ctx, m, &name, all)
	case name.Part == room.Feature || !all: // members join features one by one
		return n.members(ctx, m, name.Base, mentioned(m))
	}
	k := roomKey{m.Tenant, name.Base}
	now := n.deps.Now()
	r, seen, ok := n.rosters.find(k, now)
	if !ok {
		if r, err = n.roster(ctx, k); err != nil {
			return nil, err
		}
		n.rosters.keep(k, r, seen, now)
	}
	if r.large {
		return n.members(ctx, m, name.Base, mentioned(m))
	}
	out := make([]addressee, 0, len(r.members))
	for _, user := range r.members {
		a := addressee{user, ForMessage}
		if slices.Contains(m.mentions, user) {
			a.reason = ForMention
		}
		out = append(out, a)
	}
	return out, nil
}

// owner is the one user of a room whose type lets nobody else join.
func owner(m *message, name *room.Name, all bool) []addressee {
	a := addressee{name.Base[len(name.Type)+1:], ForMessage}
	switch {
	case name.Part != room.Whole:
		return nil
	case slices.Contains(m.mentions, a.user):
		a.reason = ForMention
	case !all:
		return nil
	case m.Action == actionDirect:
		a.reason = ForDirect
	}
	return []addressee{a}
}

func mentioned(m *message) []addressee {
	out := make([]addressee, len(m.mentions))
	for i, user := range m.mentions {
		out[i] = addressee{user, ForMention}
	}
	return out
}

// members leaves out who is no member: a mention shows nobody what is said in a room
// that is closed to them.
func (n *Notifications) members(ctx context.Context, m *message, base string, list []addressee) ([]addressee, error) {
	return n.filter(ctx, m, base, list, func(room.Member) bool { return true })
}

func (n *Notifications) filter(ctx context.Context, m *message, base string, list []addressee, is func(room.Member) bool) (out []addressee, err error) {
	for _, a := range list {
		member, found, err := n.deps.Reader.Member(ctx, m.Tenant, base, a.user)
		if err != nil {
			return nil, err
		}
		if found && is(member) {
			out = append(out, a)
		}
	}
	return out, nil
}

// aside are those whom a message in a participant's sub-room concerns: that
// participant, and those moderators whom it mentions.
func (n *Notifications) aside(ctx context.Context, m *message, name *room.Name, all bool) ([]addressee, error) {
	list := mentioned(m)
	if all && !slices.Contains(m.mentions, name.User) {
		list = append(list, addressee{name.User, ForDirect})
	}
	return n.filter(ctx, m, name.Base, list, func(o room.Member) bool {
		return o.User == name.User || o.Role == room.RoleOwner || o.Role == room.RoleModerator
	})
}

const rosterPage = 500 // members in one read

// roster reads who is a member.
func (n *Notifications) roster(ctx context.Context, k roomKey) (r roster, err error) {
	after := ""
	for {
		page, err := n.deps.Reader.Members(ctx, k.tenant, k.room, after, min(rosterPage, n.cfg.MaxMembers-len(r.members)+1))
		if err != nil {
			return roster{}, err
		}
		for i := range page {
			r.members = append(r.members, page[i].User)
		}
		switch {
		case len(r.members) > n.cfg.MaxMembers:
			return roster{large: true}, nil
		case len(page) < rosterPage:
			return r, nil
		}
		after = page[len(page)-1].User
	}
}
