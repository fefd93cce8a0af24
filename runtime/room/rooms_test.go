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
		"conv":    {Members: true, Stream: true, Join: "members", Publish: "participants", MaxEvents: 5, MaxAge: time.Hour},
		"team":    {Members: true, Stream: true, Join: "open", Publish: "participants"},
		"board":   {Members: true, Stream: true, Join: "open", Publish: "moderators"},
		"desk":    {Members: true, Stream: true, Join: "members", Publish: "server"},
		"channel": {Stream: true, Join: "open", Publish: "participants"},
		"closed":  {Stream: true, Join: "members", Publish: "participants"}, // no members to join: nobody may
		"hall":    {Stream: true, Join: "open", Publish: "moderators"},      // no members to moderate: nobody may
		"news":    {Stream: true, Join: "open", Publish: "server"},
		"live":    {Join: "open", Publish: "participants"},
		"user":    {Stream: true, Join: "self", Publish: "server"},
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
	away     = "unavailable in : a part that this needs is away"
)

func TestAdmit(t *testing.T) {
	member := func(role string) *store {
		return &store{rooms: "conv:1 team:1 board:1 desk:1 ", members: map[string]string{
			"conv:1 ann": role, "team:1 ann": role, "board:1 ann": role, "desk:1 ann": role}}
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
		{name: "a role nobody knows", room: "conv:1", store: member("king"), want: with(lasting, talks)},
		{name: "member's sub-room", room: "conv:1/typing", store: member(RoleOwner), want: with(lasting, leads)},
		{name: "member's own sub-room", room: "conv:1/participant/ann", store: member(RoleMember), want: with(lasting, talks)},
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
		{name: "sub-room of another's", room: "user:ben/participant/ann", err: stranger},

		{name: "granted", room: "channel:1", grants: []string{"conv:*", "channel:1"}, want: with(guest, talks)},
		{name: "granted by pattern", room: "conv:1", store: member(RoleMember), grants: []string{"conv:*"}, want: with(lasting, talks)},
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
		"conv:1": {MaxEvents: 5, MaxAge: time.Hour}, "conv:1/typing": {MaxEvents: 5, MaxAge: time.Hour}, "channel:1": {}, "ship:1": {},
	} {
		if events, age := r.Retention("acme", name); events != want.MaxEvents || age != want.MaxAge {
			t.Errorf("%s: %d, %v", name, events, age)
		}
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string][2]string{ // type, base
		"conv:1": {"conv", "conv:1"}, "conv:1/typing": {"conv", "conv:1"}, "conv:1/participant/ann": {"conv", "conv:1"}, OfUser("ann"): {UserType, "user:ann"}, "conv": {"conv", "conv"}, "": {},
	} {
		if typ, base := TypeOf(name), Base(name); typ != want[0] || base != want[1] {
			t.Errorf("%q: type %q, base %q", name, typ, base)
		}
	}
	for name, want := range map[string]bool{
		"a": true, "conv": true, "a-b_2": true, strings.Repeat("a", 32): true, "": false, strings.Repeat("a", 33): false, "2a": false, "Conv": false, "a:b": false, "a/b": false, "a\n": false, "é": false,
	} {
		if TypeName.MatchString(name) != want {
			t.Errorf("type %q: %v", name, !want)
		}
	}
}
