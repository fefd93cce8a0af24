package room

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

func TestUpdate(t *testing.T) {
	const stored = "room:update conv:1 %s, of room at 7"
	update := func(data string) string { return fmt.Sprintf(stored, data) }
	add := func(user string) string { return fmt.Sprintf(added, user, "conv:1", "e1", 7) }
	gone := func(user string) string { return fmt.Sprintf(removed, user, "conv:1") }
	role := func(user, role string) string { return fmt.Sprintf(changed, user, "conv:1", role) }
	moderated := stream(7).with("ann", room.RoleModerator, "ben", room.RoleMember, "cid", room.RoleOwner)
	for _, c := range []struct {
		name, data string
		store      *store // named if nil
		server     bool
		want       []string
	}{
		{name: "a name", data: `{"name":"<new>"}`, want: []string{update(`{"creator":"zoe","created_at":9,"name":"<new>","meta":{"k": "<"}}`)}},
		{name: "no name", data: `{"name":""}`, want: []string{update(`{"creator":"zoe","created_at":9,"name":"","meta":{"k": "<"}}`)}},
		{name: "data", data: `{"meta":{ "a":"\u003c" }}`, want: []string{update(`{"creator":"zoe","created_at":9,"name":"old <b>","meta":{ "a":"\u003c" }}`)}},
		{name: "no data", data: `{"meta":null}`, want: []string{update(`{"creator":"zoe","created_at":9,"name":"old <b>","meta":null}`)}},
		{name: "both", data: `{"name":"n","meta":{}}`, want: []string{update(`{"creator":"zoe","created_at":9,"name":"n","meta":{}}`)}},
		{name: "a name where there was nothing", data: `{"name":"n"}`, store: stream(7).in(room.RoleOwner), want: []string{update(`{"name":"n","meta":null}`)}},
		{name: "the name that it has", data: `{"name":"old \u003cb>"}`, want: []string{update(`{}`)}},
		{name: "the data that it has", data: `{"meta":{"k": "<"}}`, want: []string{update(`{}`)}},
		{name: "no data where there is none", data: `{"meta":null}`, store: stream(7).in(room.RoleOwner), want: []string{update(`{}`)}},

		{name: "add", data: `{"add":["eve","dan","eve"]}`, want: []string{update(`{"add":["dan","eve"]}`), add("dan"), add("eve")}},
		{name: "add who is there", data: `{"add":["ben","ann"]}`, want: []string{update(`{}`), add("ann"), add("ben")}},
		{name: "add as", data: `{"add":["dan","eve"],"roles":{"dan":"moderator","eve":"member"}}`, want: []string{update(`{"add":["dan","eve"],"roles":{"dan":"moderator"}}`),
			add("dan"), add("eve"), role("dan", "moderator"), role("eve", "member")}},
		{name: "add as, who is there", data: `{"add":["ben"],"roles":{"ben":"moderator"}}`, want: []string{update(`{"roles":{"ben":"moderator"},"joined_at":{"ben":2}}`),
			add("ben"), role("ben", "moderator")}},
		{name: "remove", data: `{"remove":["cid","ben","cid"]}`, want: []string{update(`{"remove":["ben","cid"]}`), gone("ben"), gone("cid")}},
		{name: "remove who is not there", data: `{"remove":["dan"]}`, want: []string{update(`{}`), gone("dan")}},
		{name: "roles", data: `{"roles":{"cid":"moderator","ben":"owner"}}`, want: []string{update(`{"roles":{"ben":"owner","cid":"moderator"},"joined_at":{"ben":2,"cid":3}}`),
			role("ben", "owner"), role("cid", "moderator")}},
		{name: "the role that it is", data: `{"roles":{"ben":"member"}}`, want: []string{update(`{}`), role("ben", "member")}},
		{name: "all at once", data: `{"name":"n","meta":{},"add":["dan"],"remove":["cid"],"roles":{"ben":"owner","ann":"member"}}`, want: []string{
			update(`{"creator":"zoe","created_at":9,"add":["dan"],"remove":["cid"],"roles":{"ann":"member","ben":"owner"},"joined_at":{"ann":1,"ben":2},"name":"n","meta":{}}`),
			add("dan"), gone("cid"), role("ann", "member"), role("ben", "owner")}},

		{name: "hand over and be removed", data: `{"remove":["ann"],"roles":{"ben":"owner"}}`, want: []string{
			update(`{"remove":["ann"],"roles":{"ben":"owner"},"joined_at":{"ben":2}}`), gone("ann"), role("ben", "owner")}},
		{name: "hand over to who comes", data: `{"add":["dan"],"remove":["ann"],"roles":{"dan":"owner"}}`, want: []string{
			update(`{"add":["dan"],"remove":["ann"],"roles":{"dan":"owner"}}`), add("dan"), gone("ann"), role("dan", "owner")}},
		{name: "one of two owners", data: `{"remove":["cid"]}`, store: stream(7).with("ann", room.RoleOwner, "cid", room.RoleOwner), want: []string{update(`{"remove":["cid"]}`), gone("cid")}},

		{name: "moderators add and remove", data: `{"name":"n","add":["dan"],"remove":["ben"]}`, store: moderated, want: []string{
			update(`{"add":["dan"],"remove":["ben"],"name":"n","meta":null}`), add("dan"), gone("ben")}},

		{name: "the server", data: `{"add":["dan"],"roles":{"ben":"moderator"}}`, server: true, want: []string{
			update(`{"add":["dan"],"roles":{"ben":"moderator"},"joined_at":{"ben":2}}`), add("dan"), role("ben", "moderator")}},
		{name: "the server takes the last owner", data: `{"remove":["ann"]}`, server: true, want: []string{update(`{"remove":["ann"]}`), gone("ann")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.store == nil {
				c.store = named()
			}
			from := in("conv:1")
			from.server = c.server
			ev, err := call(t, c.store, from, "i room:update conv:1 "+c.data)
			if err != nil || string(ev.Reply) != `{"room":"conv:1"}` {
				t.Fatalf("%v, reply %s", err, ev.Reply)
			}
			same(t, effects(ev), c.want)
		})
	}
}

// TestUpdateCounts: the bound holds for what comes of an update, not for each part
// of it.
func TestUpdateCounts(t *testing.T) {
	three := func() *store { return named().row("count ", "3") }
	for _, c := range []struct {
		name, data string
		store      *store
		want       string // the first effect
	}{
		{"one for one", `{"add":["dan"],"remove":["ben"]}`, three(), `room:update trio:1 {"add":["dan"],"remove":["ben"],"count":3}, of room at 7`},
		{"fewer", `{"remove":["ben"]}`, three(), `room:update trio:1 {"remove":["ben"],"count":2}, of room at 7`},
		{"fewer than are too many", `{"remove":["ben"]}`, named().row("count ", "9"), `room:update trio:1 {"remove":["ben"],"count":8}, of room at 7`},
		{"who is there anyway", `{"add":["ben"],"name":"n"}`, three(), `room:update trio:1 {"creator":"zoe","created_at":9,"name":"n","meta":{"k": "<"}}, of room at 7`},
	} {
		t.Run(c.name, func(t *testing.T) {
			ev, err := call(t, c.store, in("trio:1"), "i room:update trio:1 "+c.data)
			if err != nil {
				t.Fatal(err)
			}
			same(t, effects(ev)[:1], []string{c.want})
		})
	}
	ev, err := call(t, three(), in("trio:1"), `i room:update trio:1 {"add":["dan","eve"],"remove":["ben"]}`)
	refused(t, ev, err, "conflict in data.add: this room may have 3 members at most")
}

// TestUpdateEmpties: only the server leaves nobody behind.
func TestUpdateEmpties(t *testing.T) {
	s := stream(7).with("ann", room.RoleOwner, "ben", room.RoleMember)
	ev, err := call(t, s, session{server: true}, `i room:update club:1 {"remove":["ann","ben"]}`)
	if err != nil {
		t.Fatal(err)
	}
	same(t, effects(ev), []string{`room:update club:1 {"remove":["ann","ben"]}, of room at 7`,
		fmt.Sprintf(removed, "ann", "club:1"), fmt.Sprintf(removed, "ben", "club:1"), fmt.Sprintf(left, "club:1")})
}

func TestUpdateRefused(t *testing.T) {
	var many []string
	for i := range 60 {
		many = append(many, fmt.Sprintf("u%02d", i))
	}
	two := `{"add":["` + strings.Join(many, `","`) + `"],"remove":["v` + strings.Join(many, `","v`) + `"]}`
	as := func(role string) *store {
		return stream(7).with("ann", role, "ben", room.RoleModerator, "cid", room.RoleMember, "eve", room.RoleOwner)
	}
	const (
		contents = "invalid in payload.data: one of name, meta, add, remove and roles is needed"
		last     = "conflict in data.%s: a room keeps its last owner"
	)
	for _, c := range []struct {
		name, line string
		store      *store
		from       *session
		want       string
	}{
		{name: "nothing", line: `i room:update conv:1 {}`, want: contents},
		{name: "nobody", line: `i room:update conv:1 {"add":[],"remove":[],"roles":{}}`, want: contents},
		{name: "no id", line: `- room:update conv:1 {"name":"x"}`, want: "invalid in id: this action needs an id"},
		{name: "a list for data", line: `i room:update conv:1 {"meta":[]}`, want: "invalid in data.meta: must be an object or null"},
		{name: "too much data", line: `i room:update conv:1 {"meta":{"a":"` + strings.Repeat("x", 4100) + `"}}`, want: "too_large in data.meta: must be at most 4096 bytes of JSON"},
		{name: "a long name", line: `i room:update conv:1 {"name":"` + strings.Repeat("x", 201) + `"}`, want: "too_large in data.name: must be at most 200 bytes"},
		{name: "no user", line: `i room:update conv:1 {"add":["a b"]}`, want: "invalid in data.add[0]: must be 1 to 128 characters of " + event.NamePattern},
		{name: "no role", line: `i room:update conv:1 {"roles":{"ben":"king"}}`, want: `invalid in data.roles.ben: must be one of owner, moderator, member`},
		{name: "in and out", line: `i room:update conv:1 {"add":["dan"],"remove":["ben","dan"]}`, want: "invalid in data.remove[1]: is in add as well"},
		{name: "out, as", line: `i room:update conv:1 {"remove":["ben"],"roles":{"ben":"owner"}}`, want: "invalid in data.remove[0]: is in roles as well"},
		{name: "too many together", line: `i room:update conv:1 ` + two, want: "too_large in payload.data: at most 100 users in one event, not 120"},
		{name: "a role of nobody's", line: `i room:update conv:1 {"roles":{"dan":"owner"}}`, want: "not_found in data.roles.dan: is not a member of this room"},
		{name: "the last owner", line: `i room:update conv:1 {"remove":["ben","ann"]}`, want: fmt.Sprintf(last, "remove[1]")},
		{name: "the last owner's role", line: `i room:update conv:1 {"roles":{"ann":"moderator","ben":"moderator"}}`, want: fmt.Sprintf(last, "roles.ann")},
		{name: "all owners", line: `i room:update conv:1 {"remove":["eve"],"roles":{"ann":"member"}}`, store: as(room.RoleOwner), want: fmt.Sprintf(last, "roles.ann")},

		{name: "a member", line: `i room:update conv:1 {"name":"x"}`, store: as(room.RoleMember), want: "forbidden in room: moderators only"},
		{name: "who is not a member any more", line: `i room:update conv:1 {"name":"x"}`, store: stream(7), want: "forbidden in room: not a member of this room"},
		{name: "who has not joined", line: `i room:update conv:1 {"name":"x"}`, from: &session{}, want: "forbidden in room: the session has not joined this room"},
		{name: "a moderator gives a role", line: `i room:update conv:1 {"roles":{"cid":"moderator"}}`, store: as(room.RoleModerator), want: "forbidden in data.roles: owners only"},
		{name: "a moderator removes a moderator", line: `i room:update conv:1 {"remove":["cid","ben"]}`, store: as(room.RoleModerator), want: "forbidden in data.remove[1]: only owners remove owners and moderators"},
		{name: "a moderator removes an owner", line: `i room:update conv:1 {"remove":["eve"]}`, store: as(room.RoleModerator), want: "forbidden in data.remove[0]: only owners remove owners and moderators"},

		{name: "no members", line: `i room:update channel:1 {"name":"x"}`, want: "invalid in room: only rooms with members are changed or deleted"},
		{name: "a sub-room", line: `i room:update conv:1/typing {"name":"x"}`, want: "invalid in room: a sub-room goes with its room"},
		{name: "a type that is gone", line: `i room:update ship:1 {"name":"x"}`, want: `not_found in room: there is no room type "ship"`},
		{name: "a room that is gone", line: `i room:update conv:9 {"name":"x"}`, from: &session{server: true}, want: "not_found in room: there is no such room"},

		{name: "no head", line: `i room:update conv:1 {"name":"x"}`, store: named().failing("Head"), want: away},
		{name: "no member", line: `i room:update conv:1 {"name":"x"}`, store: named().failing("Member"), want: away},
		{name: "no room", line: `i room:update conv:1 {"name":"x"}`, store: named().failing("Room"), want: away},
		{name: "no owners", line: `i room:update conv:1 {"remove":["ann"]}`, store: named().failing("Rows"), want: away},
		{name: "no count", line: `i room:update trio:1 {"remove":["ben"]}`, store: named().failing("Row"), want: away},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.store == nil {
				c.store = named()
			}
			if c.from == nil {
				c.from = &session{joined: []string{"conv:1", "trio:1", "channel:1", "conv:1/typing", "ship:1"}}
			}
			ev, err := call(t, c.store, *c.from, c.line)
			refused(t, ev, err, c.want)
		})
	}
}

// moving is a room that something happens in, whenever somebody looks.
type moving struct{ *store }

func (m moving) Head(ctx context.Context, tenant, name string) (event.Head, error) {
	h, err := m.store.Head(ctx, tenant, name)
	m.records = append(m.records, event.Record{Envelope: event.Envelope{Position: event.Position{Epoch: "e1", Offset: h.Offset + 1}}})
	return h, err
}

// TestRefusalsOfAMovingRoom: what was read before and after a change does not make
// a final answer together.
func TestRefusalsOfAMovingRoom(t *testing.T) {
	for _, line := range []string{`i room:update conv:1 {"remove":["ann"]}`, `i room:update trio:1 {"add":["dan"]}`, `i room:join trio:1 {}`} {
		s := named()
		if strings.Contains(line, "join") {
			s = stream(7).with("ben", room.RoleOwner, "cid", room.RoleMember, "dan", room.RoleMember)
		}
		ev, err := called(t, s, moving{s}, session{joined: []string{"conv:1", "trio:1"}}, line)
		refused(t, ev, err, "changed in : what this is about changed at the same time; it may be sent again")
	}
}

func TestDelete(t *testing.T) {
	for _, c := range []struct {
		name string
		from session
		want []string
	}{
		{"owner", in("conv:1"), []string{"room:delete conv:1 {}, of room at 7, ends", "leave conv:1"}},
		{"server", session{server: true}, []string{"room:delete conv:1 {}, of room at 7, ends"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ev, err := call(t, named(), c.from, "- room:delete conv:1 {}")
			if err != nil || string(ev.Reply) != `{"room":"conv:1"}` {
				t.Fatalf("%v, reply %s", err, ev.Reply)
			}
			same(t, effects(ev), c.want)
		})
	}
	for _, c := range []struct {
		name, line string
		store      *store
		from       session
		want       string
	}{
		{"moderator", "i room:delete conv:1 {}", stream(7).in(room.RoleModerator), in("conv:1"), "forbidden in room: owners only"},
		{"nobody any more", "i room:delete conv:1 {}", stream(7), in("conv:1"), "forbidden in room: not a member of this room"},
		{"not joined", "i room:delete conv:1 {}", named(), session{}, "forbidden in room: the session has not joined this room"},
		{"no members", "i room:delete channel:1 {}", named(), in("channel:1"), "invalid in room: only rooms with members are changed or deleted"},
		{"sub-room", "i room:delete conv:1/typing {}", named(), in("conv:1/typing"), "invalid in room: a sub-room goes with its room"},
		{"gone", "i room:delete conv:9 {}", named(), session{server: true}, "not_found in room: there is no such room"},
		{"no head", "i room:delete conv:1 {}", named().failing("Head"), in("conv:1"), away},
		{"no member", "i room:delete conv:1 {}", named().failing("Member"), in("conv:1"), away},
		{"no room", "i room:delete conv:1 {}", named().failing("Room"), in("conv:1"), away},
	} {
		t.Run(c.name, func(t *testing.T) {
			ev, err := call(t, c.store, c.from, c.line)
			refused(t, ev, err, c.want)
		})
	}
}
