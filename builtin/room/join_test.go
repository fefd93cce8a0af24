package room

import (
	"fmt"
	"testing"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

// at is a reply to room:join, with what may come behind it.
func at(name, epoch string, offset, unread, read int, rest string) string {
	return fmt.Sprintf(`{"room":%q,"epoch":%q,"offset":%d,"unread":%d,"read_offset":%d,"member":%s}`, name, epoch, offset, unread, read, rest)
}

func TestJoin(t *testing.T) {
	read := func(epoch string, offset, messages uint64) *store {
		s := stream(10).in(room.RoleMember)
		s.mark = room.Marker{Position: event.Position{Epoch: epoch, Offset: offset}, Messages: messages}
		return s
	}
	trimmed := stream(10)
	trimmed.kept = 4
	const enrolled = `room:join %s {}, heeds room at 3`
	for _, c := range []struct {
		name, line string
		store      *store
		want       []string
		reply      string
	}{
		{"without members", `- room:join channel:1 {}`, stream(10), []string{"join channel:1 from e1/10 durable publish"}, at("channel:1", "e1", 10, 5, 0, "false")},
		{"without events", `- room:join channel:1 {}`, stream(0), []string{"join channel:1 from /0 durable publish"}, at("channel:1", "", 0, 0, 0, "false")},
		{"without a stream", `- room:join live:1 {}`, stream(0), []string{"join live:1 from /0 publish"}, at("live:1", "", 0, 0, 0, "false")},
		{"own room", `- room:join user:ann {}`, stream(10), []string{"join user:ann from e1/10 durable"}, at("user:ann", "e1", 10, 5, 0, "false")},
		{"member", `- room:join conv:1 {}`, stream(10).in(room.RoleMember), []string{"join conv:1 from e1/10 durable publish"}, at("conv:1", "e1", 10, 5, 0, "true")},
		{"owner", `- room:join conv:1 {}`, stream(10).in(room.RoleOwner), []string{"join conv:1 from e1/10 durable moderate publish"}, at("conv:1", "e1", 10, 5, 0, "true")},
		{"member's sub-room", `- room:join conv:1/typing {}`, stream(2).in(room.RoleMember), []string{"join conv:1/typing from e1/2 durable publish"}, at("conv:1/typing", "e1", 2, 1, 0, "true")},
		{"moderators publish", `- room:join board:1 {}`, stream(2).in(room.RoleModerator), []string{"join board:1 from e1/2 durable moderate publish"}, at("board:1", "e1", 2, 1, 0, "true")},
		{"members do not", `- room:join board:1 {}`, stream(2).in(room.RoleMember), []string{"join board:1 from e1/2 durable"}, at("board:1", "e1", 2, 1, 0, "true")},
		{"nobody does", `- room:join desk:1 {}`, stream(2).in(room.RoleOwner), []string{"join desk:1 from e1/2 durable moderate"}, at("desk:1", "e1", 2, 1, 0, "true")},

		{"enroll", `i room:join team:1 {}`, stream(3), []string{fmt.Sprintf(enrolled, "team:1"), fmt.Sprintf(added, "ann", "team:1", "e1", 3),
			"join team:1 from e1/3 durable publish"}, at("team:1", "e1", 3, 1, 0, "true")},
		{"enroll, and replay", `i room:join team:1 {"since":{"epoch":"e1","offset":1}}`, stream(3), []string{fmt.Sprintf(enrolled, "team:1"),
			fmt.Sprintf(added, "ann", "team:1", "e1", 3), "join team:1 from e1/1 again durable publish"}, at("team:1", "e1", 3, 1, 0, `true,"recovered":true`)},
		{"enroll to listen", `i room:join board:1 {}`, stream(3), []string{fmt.Sprintf(enrolled, "board:1"), fmt.Sprintf(added, "ann", "board:1", "e1", 3),
			"join board:1 from e1/3 durable"}, at("board:1", "e1", 3, 1, 0, "true")},

		{"enroll, counted", `i room:join trio:1 {}`, stream(3).with("ben", "owner", "cid", "member"), []string{`room:join trio:1 {"count":3}, of room at 3`, fmt.Sprintf(added, "ann", "trio:1", "e1", 3),
			"join trio:1 from e1/3 durable publish"}, at("trio:1", "e1", 3, 1, 0, "true")},
		{"enroll, the count is known", `i room:join trio:1 {}`, stream(3).row("count ", "0"), []string{`room:join trio:1 {"count":1}, of room at 3`, fmt.Sprintf(added, "ann", "trio:1", "e1", 3),
			"join trio:1 from e1/3 durable publish"}, at("trio:1", "e1", 3, 1, 0, "true")},
		{"enroll in what may be about to end", `i room:join club:1 {}`, stream(3), []string{"room:join club:1 {}, of room at 3", fmt.Sprintf(added, "ann", "club:1", "e1", 3),
			"join club:1 from e1/3 durable publish"}, at("club:1", "e1", 3, 1, 0, "true")},
		{"enroll in what may not", `i room:join club:1 {}`, stream(3).with("ben", "owner"), []string{fmt.Sprintf(enrolled, "club:1"), fmt.Sprintf(added, "ann", "club:1", "e1", 3),
			"join club:1 from e1/3 durable publish"}, at("club:1", "e1", 3, 1, 0, "true")},
		{"not announced", `i room:join quiet:1 {}`, stream(3), []string{fmt.Sprintf(enrolled, "quiet:1") + ", silent", fmt.Sprintf(added, "ann", "quiet:1", "e1", 3),
			"join quiet:1 from e1/3 durable publish"}, at("quiet:1", "e1", 3, 1, 0, "true")},
		{"another's presence", `- room:join user:ben/presence {}`, stream(0), []string{"join user:ben/presence from /0"}, at("user:ben/presence", "", 0, 0, 0, "false")},
		{"own part", `- room:join conv:1/participant/ann {}`, stream(0).in(room.RoleMember), []string{"join conv:1/participant/ann from /0 durable publish"}, at("conv:1/participant/ann", "", 0, 0, 0, "true")},

		{"some was read", `- room:join conv:1 {}`, read("e1", 6, 3), []string{"join conv:1 from e1/10 durable publish"}, at("conv:1", "e1", 10, 2, 6, "true")},
		{"another life was read", `- room:join conv:1 {}`, read("e0", 60, 30), []string{"join conv:1 from e1/10 durable publish"}, at("conv:1", "e1", 10, 5, 0, "true")},
		{"more was read meanwhile", `- room:join conv:1 {}`, read("e1", 14, 7), []string{"join conv:1 from e1/10 durable publish"}, at("conv:1", "e1", 10, 0, 14, "true")},

		{"since the beginning", `- room:join channel:1 {"since":{"epoch":"","offset":0}}`, stream(3), []string{"join channel:1 from /0 again durable publish"},
			at("channel:1", "e1", 3, 1, 0, `false,"recovered":true`)},
		{"since the head", `- room:join channel:1 {"since":{"epoch":"e1","offset":3}}`, stream(3), []string{"join channel:1 from e1/3 again durable publish"},
			at("channel:1", "e1", 3, 1, 0, `false,"recovered":true`)},
		{"since ahead", `- room:join channel:1 {"since":{"epoch":"e1","offset":4}}`, stream(3), []string{"join channel:1 from e1/3 again durable publish"},
			at("channel:1", "e1", 3, 1, 0, `false,"recovered":false,"reason":"ahead"`)},
		{"since another life", `- room:join channel:1 {"since":{"epoch":"e0","offset":1}}`, stream(3), []string{"join channel:1 from e1/3 again durable publish"},
			at("channel:1", "e1", 3, 1, 0, `false,"recovered":false,"reason":"epoch"`)},
		{"since what is kept no more", `- room:join channel:1 {"since":{"epoch":"e1","offset":2}}`, trimmed, []string{"join channel:1 from e1/10 again durable publish"},
			at("channel:1", "e1", 10, 5, 0, `false,"recovered":false,"reason":"trimmed"`)},
		{"since just before what is kept", `- room:join channel:1 {"since":{"epoch":"e1","offset":3}}`, trimmed, []string{"join channel:1 from e1/3 again durable publish"},
			at("channel:1", "e1", 10, 5, 0, `false,"recovered":true`)},
	} {
		t.Run(c.name, func(t *testing.T) {
			ev, err := call(t, c.store, session{}, c.line)
			if err != nil || string(ev.Reply) != c.reply {
				t.Fatalf("%v, reply\n%s, want\n%s", err, ev.Reply, c.reply)
			}
			same(t, effects(ev), c.want)
		})
	}
}

func TestJoinRefused(t *testing.T) {
	const (
		since    = `i room:join team:1 {"since":{"epoch":"e1","offset":1}}`
		stranger = "forbidden in room: not a member of this room"
	)
	for _, c := range []struct {
		name, line string
		store      *store
		from       session
		want       string
	}{
		{name: "enroll without an id", line: `- room:join team:1 {}`, store: stream(3), want: "invalid in id: this action needs an id"},
		{name: "unknown type", line: `i room:join ship:1 {}`, store: stream(3), want: `not_found in room: there is no room type "ship"`},
		{name: "by invitation", line: `i room:join conv:1 {}`, store: stream(3), want: stranger},
		{name: "by invitation, and not there", line: `i room:join conv:2 {}`, store: stream(0), want: stranger},
		{name: "sub-room of one by invitation", line: `i room:join conv:1/typing {}`, store: stream(3), want: stranger},
		{name: "another's own room", line: `i room:join user:ben {}`, store: stream(3), want: stranger},
		{name: "sub-room of another's own room", line: `i room:join user:ben/drafts {}`, store: stream(3), want: stranger},
		{name: "full", line: `i room:join trio:1 {}`, store: stream(3).with("ben", "owner", "cid", "member", "dan", "member"), want: "conflict in room: this room may have 3 members at most"},
		{name: "the server", line: `i room:join team:1 {}`, store: stream(3), from: session{server: true}, want: "forbidden in room: the server joins and leaves no rooms"},
		{name: "no count", line: `i room:join trio:1 {}`, store: stream(3).failing("Row"), want: away},
		{name: "no members to count", line: `i room:join trio:1 {}`, store: stream(3).failing("Members"), want: away},
		{name: "no members", line: `i room:join club:1 {}`, store: stream(3).failing("Members"), want: away},
		{name: "unknown sub-room", line: `i room:join conv:1/polls {}`, store: stream(3).in(room.RoleOwner), want: "not_found in room: there is no such sub-room; there are conv:id/presence, conv:id/typing, conv:id/participant/user"},
		{name: "another's part", line: `i room:join conv:1/participant/ben {}`, store: stream(3).in(room.RoleMember), want: "forbidden in room: only this participant and moderators receive this room"},
		{name: "not created yet", line: `i room:join team:2 {}`, store: stream(0), want: "not_found in room: there is no such room; room:create makes it"},
		{name: "not granted", line: `i room:join team:1 {}`, store: stream(3), from: session{grants: []string{}}, want: "forbidden in room: the token does not grant this room"},
		{name: "since half a position", line: `i room:join team:1 {"since":{"offset":1}}`, store: stream(3), want: "invalid in data.since.epoch: is missing"},
		{name: "no member", line: since, store: stream(3).failing("Member"), want: away},
		{name: "no room", line: since, store: stream(3).failing("Room"), want: away},
		{name: "no head", line: since, store: stream(3).failing("Head"), want: away},
		{name: "no marker", line: since, store: stream(3).failing("Marker"), want: away},
		{name: "no history", line: since, store: stream(3).failing("After"), want: away},
	} {
		t.Run(c.name, func(t *testing.T) {
			ev, err := call(t, c.store, c.from, c.line)
			refused(t, ev, err, c.want)
		})
	}
}

func TestLeave(t *testing.T) {
	for _, c := range []struct {
		name, line, room string
		store            *store
		want             []string
	}{
		{"without members", `- room:leave channel:1 {}`, "channel:1", stream(3).failing("Member"), []string{"leave channel:1"}},
		{"member", `i room:leave conv:1 {}`, "conv:1", stream(3).in(room.RoleMember), []string{"room:leave conv:1 {}, of room at 3", fmt.Sprintf(removed, "ann", "conv:1"), "leave conv:1"}},
		{"owner", `i room:leave team:1 {}`, "team:1", stream(3).in(room.RoleOwner), []string{"room:leave team:1 {}, of room at 3", fmt.Sprintf(removed, "ann", "team:1"), "leave team:1"}},
		{"counted", `i room:leave trio:1 {}`, "trio:1", stream(3).in(room.RoleMember).row("count ", "3"), []string{`room:leave trio:1 {"count":2}, of room at 3`, fmt.Sprintf(removed, "ann", "trio:1"), "leave trio:1"}},
		{"not announced", `i room:leave quiet:1 {}`, "quiet:1", stream(3).in(room.RoleMember), []string{"room:leave quiet:1 {}, of room at 3, silent", fmt.Sprintf(removed, "ann", "quiet:1"), "leave quiet:1"}},
		{"not the last one", `i room:leave club:1 {}`, "club:1", stream(3).with("ann", "owner", "ben", "member"), []string{"room:leave club:1 {}, of room at 3", fmt.Sprintf(removed, "ann", "club:1"), "leave club:1"}},
		{"the last one", `i room:leave club:1 {}`, "club:1", stream(3).in(room.RoleOwner), []string{"room:leave club:1 {}, of room at 3", fmt.Sprintf(removed, "ann", "club:1"), fmt.Sprintf(left, "club:1"), "leave club:1"}},
		{"again, after the others", `i room:leave club:1 {}`, "club:1", stream(3), []string{fmt.Sprintf(removed, "ann", "club:1"), fmt.Sprintf(left, "club:1"), "leave club:1"}},
		{"a sub-room, and the room not", `- room:leave conv:1/typing {}`, "conv:1/typing", stream(3).failing("Member"), []string{"leave conv:1/typing"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ev, err := call(t, c.store, session{joined: []string{c.room}}, c.line)
			if err != nil || string(ev.Reply) != `{"room":"`+c.room+`"}` {
				t.Fatalf("%v, reply %s", err, ev.Reply)
			}
			same(t, effects(ev), c.want)
		})
	}
	for _, c := range []struct {
		name, line string
		store      *store
		want       string
	}{
		{"no id", `- room:leave conv:1 {}`, stream(3).in(room.RoleMember), "invalid in id: this action needs an id"},
		{"own room", `i room:leave user:ann {}`, stream(3), "forbidden in room: nobody leaves the own room"},
		{"a type that is gone", `i room:leave ship:1 {}`, stream(3), `not_found in room: there is no room type "ship"`},
		{"not joined", `i room:leave conv:2 {}`, stream(3).in(room.RoleMember), "forbidden in room: the session has not joined this room"},
		{"no member", `i room:leave conv:1 {}`, stream(3).failing("Member"), away},
		{"no head", `i room:leave conv:1 {}`, stream(3).failing("Head"), away},
		{"no count", `i room:leave trio:1 {}`, stream(3).in("member").failing("Row"), away},
	} {
		t.Run(c.name, func(t *testing.T) {
			ev, err := call(t, c.store, session{joined: []string{"conv:1", "club:1", "trio:1", "user:ann", "ship:1"}}, c.line)
			refused(t, ev, err, c.want)
		})
	}
}

// TestNoMemberOfWhatIsNotReceived: a session that may join no more rooms is refused
// before its user becomes a member.
func TestNoMemberOfWhatIsNotReceived(t *testing.T) {
	for _, line := range []string{`i room:join team:1 {}`, `i room:join channel:1 {}`, `i room:create conv:1 {}`} {
		ev, err := call(t, stream(3), session{full: true}, line)
		refused(t, ev, err, "forbidden in room: full")
	}
	for line, from := range map[string]session{
		`i room:join conv:1 {}`:   {full: true, joined: []string{"conv:1"}},
		`i room:create conv:1 {}`: {full: true, server: true},
	} {
		if _, err := call(t, stream(3).in(room.RoleMember), from, line); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}
