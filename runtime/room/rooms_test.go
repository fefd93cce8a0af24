package room

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

var errDisk = errors.New("disk")

// store keeps tenant acme's members, by "room user", and rooms.
type store struct {
	Reader
	History
	members map[string]string // roles
	rooms   string            // names, each with a space behind it
	fails   string            // the call that does
	kept    uint64            // the oldest offset that is there
	asked   []string
}

func (s *store) Member(_ context.Context, tenant, room, user string) (Member, bool, error) {
	if s.fails == "Member" || tenant != "acme" {
		return Member{}, false, errDisk
	}
	role, found := s.members[room+" "+user]
	return Member{User: user, Role: role}, found, nil
}

func (s *store) Room(_ context.Context, tenant, room string) (Info, bool, error) {
	if s.fails == "Room" || tenant != "acme" {
		return Info{}, false, errDisk
	}
	return Info{}, strings.Contains(s.rooms, room+" "), nil
}

func (s *store) After(_ context.Context, tenant, room string, p event.Position, limit, maxBytes int) ([]event.Record, error) {
	s.asked = append(s.asked, fmt.Sprintf("%s %s %s/%d %d %d", tenant, room, p.Epoch, p.Offset, limit, maxBytes))
	switch {
	case s.fails == "After":
		return nil, errDisk
	case p.Offset+1 < s.kept:
		return nil, fmt.Errorf("wrapped: %w", ErrTrimmed)
	}
	return nil, nil
}

func types() map[string]TypeConfig {
	return map[string]TypeConfig{
		"conv":    {Members: true, Stream: true, Join: "members", Publish: "participants", MaxEvents: 5, MaxAge: time.Hour, Features: []string{"presence", "typing"}, Participants: true},
		"team":    {Members: true, Stream: true, Join: "open", Publish: "participants", Presence: "off", Features: []string{"presence", "typing"}},
		"board":   {Members: true, Stream: true, Join: "open", Publish: "moderators", Features: []string{"typing"}, Participants: true},
		"desk":    {Members: true, Stream: true, Join: "members", Publish: "server"},
		"channel": {Stream: true, Join: "open", Publish: "participants", Features: []string{"presence", "typing"}, Participants: true},
		"closed":  {Stream: true, Join: "members", Publish: "participants"}, // no members to join: nobody may
		"hall":    {Stream: true, Join: "open", Publish: "moderators"},      // no members to moderate: nobody may
		"news":    {Stream: true, Join: "open", Publish: "server"},
		"live":    {Join: "open", Publish: "participants"},
		"user":    {Stream: true, Join: "self", Publish: "server", Features: []string{"presence", "drafts"}},
		"notes":   {Stream: true, Join: "self", Publish: "participants"},
	}
}

// says is an error as "kind in field: message".
func says(err error) string {
	if err == nil {
		return ""
	}
	f := fault.Of(err)
	return fmt.Sprintf("%s in %s: %s", f.Kind, f.Field, f.Message())
}

const (
	stranger = "forbidden in room: not a member of this room"
	granted  = "forbidden in room: the token does not grant this room"
	missing  = "not_found in room: there is no such room; room:create makes it"
	only     = "forbidden in room: only this participant and moderators receive this room"
	noName   = "invalid in room: must be type:id, type:id/feature or type:id/participant/user"
	away     = "unavailable in : a part that this needs is away"
)

func TestAdmit(t *testing.T) {
	member := func(role string) *store {
		return &store{rooms: "conv:1 team:1 board:1 desk:1 ", members: map[string]string{
			"conv:1 ann": role, "conv:1 ben": RoleMember, "team:1 ann": role, "board:1 ann": role, "desk:1 ann": role}}
	}
	with := func(adm Admission, m event.Membership) Admission { adm.Member = m; return adm }
	var (
		none    = &store{rooms: "conv:1 team:1 board:1 desk:1 "}
		talks   = event.Membership{Publish: true, Durable: true}
		listens = event.Membership{Durable: true}
		leads   = event.Membership{Publish: true, Moderate: true, Durable: true}
		lasting = Admission{Lasting: true}
		enroll  = Admission{Lasting: true, Enroll: true}
		guest   = Admission{}
	)
	for _, c := range []struct {
		name, room string
		store      *store
		grants     []string
		want       Admission
		err        string
	}{
		{name: "unknown type", room: "ship:1", err: `not_found in room: there is no room type "ship"`},
		{name: "no type", room: "ship", err: `not_found in room: there is no room type "ship"`},

		{name: "member", room: "conv:1", store: member(RoleMember), want: with(lasting, talks)},
		{name: "moderator", room: "conv:1", store: member(RoleModerator), want: with(lasting, leads)},
		{name: "owner", room: "conv:1", store: member(RoleOwner), want: with(lasting, leads)},
		{name: "unknown feature", room: "conv:1/polls", store: member(RoleOwner), err: "not_found in room: there is no such sub-room; there are conv:id/presence, conv:id/typing, conv:id/participant/user"},
		{name: "presence is off", room: "team:1/presence", store: member(RoleOwner), err: "not_found in room: there is no such sub-room; there are team:id/typing"},
		{name: "presence is off by itself without members", room: "channel:1/presence", err: "not_found in room: there is no such sub-room; there are channel:id/typing, channel:id/participant/user"},
		{name: "no sub-rooms at all", room: "live:1/typing", err: "not_found in room: rooms of this type have no sub-rooms"},
		{name: "no name", room: "conv:", err: noName},
		{name: "a name that goes on", room: "conv:1/typing/ann", err: noName},
		{name: "nobody's part", room: "conv:1/participant", err: noName},
		{name: "a pattern", room: "conv:*", err: noName},
		{name: "a role nobody knows", room: "conv:1", store: member("king"), want: with(lasting, talks)},
		{name: "member's sub-room", room: "conv:1/typing", store: member(RoleOwner), want: with(lasting, leads)},
		{name: "presence is the server's", room: "conv:1/presence", store: member(RoleOwner), want: with(lasting, event.Membership{Moderate: true})},
		{name: "stranger's presence", room: "conv:1/presence", store: none, err: stranger},
		{name: "enrolled in the room alone", room: "team:1/typing", store: none, err: stranger},

		{name: "own part", room: "conv:1/participant/ann", store: member(RoleMember), want: with(lasting, talks)},
		{name: "another's part", room: "conv:1/participant/ben", store: member(RoleMember), err: only},
		{name: "another's part, for a moderator", room: "conv:1/participant/ben", store: member(RoleModerator), want: with(lasting, leads)},
		{name: "a stranger's part, for an owner", room: "conv:1/participant/eve", store: member(RoleOwner), err: "not_found in room: this user is not a member of the room"},
		{name: "own part, as a stranger", room: "conv:1/participant/ann", store: none, err: stranger},
		{name: "own part, where moderators publish", room: "board:1/participant/ann", store: member(RoleMember), want: with(lasting, talks)},
		{name: "own part, without members", room: "channel:1/participant/ann", want: with(guest, talks)},
		{name: "another's part, without members", room: "channel:1/participant/ben", err: only},
		{name: "of a type without parts", room: "team:1/participant/ann", store: member(RoleMember), err: "not_found in room: there is no such sub-room; there are team:id/typing"},
		{name: "stranger", room: "conv:1", store: none, err: stranger},
		{name: "stranger's sub-room", room: "conv:1/typing", store: none, err: stranger},
		{name: "member of another room", room: "conv:12", store: member(RoleOwner), err: stranger},
		{name: "nobody learns whether it is there", room: "conv:9", store: none, err: stranger},

		{name: "open to join", room: "team:1", store: none, want: with(enroll, talks)},
		{name: "joined before", room: "team:1", store: member(RoleMember), want: with(lasting, talks)},
		{name: "not created", room: "team:9", store: none, err: missing},

		{name: "board, to join", room: "board:1", store: none, want: with(enroll, listens)},
		{name: "board, member", room: "board:1", store: member(RoleMember), want: with(lasting, listens)},
		{name: "board, moderator", room: "board:1", store: member(RoleModerator), want: with(lasting, leads)},
		{name: "board, owner", room: "board:1", store: member(RoleOwner), want: with(lasting, leads)},
		{name: "only the server publishes", room: "desk:1", store: member(RoleOwner), want: with(lasting, event.Membership{Moderate: true, Durable: true})},

		{name: "channel", room: "channel:1", want: with(guest, talks)},
		{name: "nothing is kept", room: "live:1", want: with(guest, event.Membership{Publish: true})},
		{name: "news", room: "news:1", want: with(guest, listens)},
		{name: "moderators of no members", room: "hall:1", want: with(guest, listens)},
		{name: "members of no members", room: "closed:1", err: stranger},

		{name: "own room", room: "user:ann", want: with(guest, listens)},
		{name: "own sub-room", room: "user:ann/drafts", want: with(guest, listens)},
		{name: "own room of another type", room: "notes:ann", want: with(guest, talks)},
		{name: "own sub-room, though not granted", room: "user:ann/drafts", grants: []string{"conv:*"}, want: with(guest, listens)},
		{name: "own room, though not granted", room: "user:ann", grants: []string{}, want: with(guest, listens)},
		{name: "own room of another type, not granted", room: "notes:ann", grants: []string{"conv:*"}, err: granted},
		{name: "another's own room", room: "user:ben", err: stranger},
		{name: "another's, granted", room: "user:ben", grants: []string{"*"}, err: stranger},
		{name: "a longer name", room: "user:anna", err: stranger},
		{name: "a shorter name", room: "user:an", err: stranger},
		{name: "sub-room of another's", room: "user:ben/drafts", err: stranger},
		{name: "another's presence", room: "user:ben/presence", want: guest},
		{name: "own presence", room: "user:ann/presence", want: guest},
		{name: "another's presence, granted", room: "user:ben/presence", grants: []string{"user:*"}, want: guest},
		{name: "another's presence, granted by the room", room: "user:ben/presence", grants: []string{"user:ben"}, want: guest},
		{name: "another's presence, not granted", room: "user:ben/presence", grants: []string{"conv:*"}, err: granted},
		{name: "presence in a room of the own, of another type", room: "notes:ben/presence", err: "not_found in room: rooms of this type have no sub-rooms"},
		{name: "the node's own", room: "root:rooms", grants: []string{"*"}, err: `not_found in room: there is no room type "root"`},

		{name: "granted", room: "channel:1", grants: []string{"conv:*", "channel:1"}, want: with(guest, talks)},
		{name: "granted by pattern", room: "conv:1", store: member(RoleMember), grants: []string{"conv:*"}, want: with(lasting, talks)},
		{name: "sub-room, granted with its room", room: "channel:1/typing", grants: []string{"channel:1"}, want: with(guest, talks)},
		{name: "sub-room, granted alone", room: "channel:1/typing", grants: []string{"channel:1/typing"}, want: with(guest, talks)},
		{name: "only a sub-room is granted", room: "channel:1", grants: []string{"channel:1/typing"}, err: granted},
		{name: "not granted", room: "channel:1", grants: []string{"conv:*"}, err: granted},
		{name: "nothing granted", room: "channel:1", grants: []string{}, err: granted},
		{name: "member, not granted", room: "conv:1", store: member(RoleOwner), grants: []string{"conv:2"}, err: granted},
		{name: "granted, not a member", room: "conv:1", store: none, grants: []string{"conv:1"}, err: stranger},

		{name: "members are away", room: "conv:1", store: &store{fails: "Member"}, err: away},
		{name: "rooms are away", room: "team:1", store: &store{fails: "Room"}, err: away},
	} {
		t.Run(c.name, func(t *testing.T) {
			adm, err := New(types(), c.store).Admit(t.Context(), &event.Identity{Tenant: "acme", User: "ann", Rooms: c.grants}, c.room)
			if says(err) != c.err || adm != c.want {
				t.Errorf("%+v, %s\nwant %+v, %s", adm, says(err), c.want, c.err)
			}
			if c.err == away && !errors.Is(err, errDisk) {
				t.Errorf("%v does not tell the cause", err)
			}
		})
	}
}

func TestReplayable(t *testing.T) {
	const all = "acme channel:x "
	head := func(epoch string, offset uint64) event.Head {
		return event.Head{Position: event.Position{Epoch: epoch, Offset: offset}}
	}
	for _, c := range []struct {
		name  string
		epoch string
		at    uint64
		head  event.Head
		kept  uint64
		fails string
		want  string
		err   string
		asked string // of the history, if it is needed at all
	}{
		{name: "behind", epoch: "e1", at: 3, head: head("e1", 9), asked: all + "e1/3 1 1"},
		{name: "at the head", epoch: "e1", at: 9, head: head("e1", 9), kept: 9},
		{name: "just before what is kept", epoch: "e1", at: 3, head: head("e1", 9), kept: 4, asked: all + "e1/3 1 1"},
		{name: "trimmed", epoch: "e1", at: 3, head: head("e1", 9), kept: 5, want: "trimmed", asked: all + "e1/3 1 1"},
		{name: "ahead", epoch: "e1", at: 10, head: head("e1", 9), want: "ahead"},
		{name: "another life", epoch: "e0", at: 3, head: head("e1", 9), want: "epoch"},
		{name: "another life, at the head's offset", epoch: "e0", at: 9, head: head("e1", 9), want: "epoch"},
		{name: "another life, ahead", epoch: "e0", at: 99, head: head("e1", 9), want: "epoch"},
		{name: "an offset of no life", at: 3, head: head("e1", 9), want: "epoch"},
		{name: "beginning of any life", head: head("e1", 9), asked: all + "e1/0 1 1"},
		{name: "beginning of this life", epoch: "e1", head: head("e1", 9), asked: all + "e1/0 1 1"},
		{name: "beginning of another life", epoch: "e0", head: head("e1", 9), want: "epoch"},
		{name: "the beginning is trimmed", head: head("e1", 9), kept: 2, want: "trimmed", asked: all + "e1/0 1 1"},
		{name: "beginning of nothing", head: head("", 0)},
		{name: "a life, of nothing", epoch: "e1", head: head("", 0), want: "epoch"},
		{name: "an offset, of nothing", at: 3, head: head("", 0), want: "ahead"},
		{name: "the history is away", epoch: "e1", at: 3, head: head("e1", 9), fails: "After", err: away, asked: all + "e1/3 1 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &store{kept: c.kept, fails: c.fails}
			why, err := Replayable(t.Context(), s, "acme", "channel:x", event.Position{Epoch: c.epoch, Offset: c.at}, c.head)
			if why != c.want || says(err) != c.err || strings.Join(s.asked, ", ") != c.asked {
				t.Errorf("%q, %v, asked %q; want %q, %s, %q", why, err, s.asked, c.want, c.err, c.asked)
			}
		})
	}
}

func TestRetention(t *testing.T) {
	r := New(types(), nil)
	for name, want := range map[string]TypeConfig{
		"conv:1": {MaxEvents: 5, MaxAge: time.Hour}, "conv:1/typing": {MaxEvents: 5, MaxAge: time.Hour}, "channel:1": {}, "ship:1": {}, "root:rooms": {MaxEvents: rootEvents},
	} {
		if events, age := r.Retention("acme", name); events != want.MaxEvents || age != want.MaxAge {
			t.Errorf("%s: %d, %v", name, events, age)
		}
	}
}

func TestReload(t *testing.T) {
	all := types()
	r := New(all, &store{})
	conv := all["conv"]
	conv.MaxEvents, conv.Participants = 7, false
	delete(all, "channel")
	all["conv"] = conv
	if n, _ := r.Retention("acme", "conv:1"); n != 5 {
		t.Errorf("%d events are kept before the types were reloaded", n)
	}
	r.Reload(all)
	if n, _ := r.Retention("acme", "conv:1"); n != 7 {
		t.Errorf("%d events are kept", n)
	}
	if _, ok := r.Direct("conv:1/participant/ann"); ok {
		t.Error("the type still has participants")
	}
	if _, err := r.Type("channel:x"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a type that is gone: %v", err)
	}
	if n, age := r.Retention("acme", "channel:x"); n != 0 || age != 0 {
		t.Errorf("of a type that is gone %d events are kept, for %v", n, age)
	}
}
