package room

import (
	"fmt"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

func TestCreate(t *testing.T) {
	many, told := `["ann"`, []string{"ann"}
	for i := range 100 {
		many += fmt.Sprintf(`,"u%02d"`, i)
		told = append(told, fmt.Sprintf("u%02d", i))
	}
	for _, c := range []struct {
		name, room, data string
		stored           string
		told             []string // besides ann
		join             string
	}{
		{name: "alone", room: "conv:1", data: `{}`, stored: `{"members":["ann"]}`},
		{name: "with others", room: "conv:1", data: `{"members":["cid","ben"]}`, stored: `{"members":["ann","ben","cid"]}`, told: []string{"ben", "cid"}},
		{name: "who creates is a member once", room: "conv:1", data: `{"members":["ben","ann","ben"]}`, stored: `{"members":["ann","ben"]}`, told: []string{"ben"}},
		{name: "100 others", room: "conv:1", data: `{"members":` + strings.Replace(many, `"ann",`, "", 1) + `]}`, stored: `{"members":` + many + `]}`, told: told[1:]},
		{name: "named", room: "conv:1", data: `{"name":"a \"b\"","meta":{"k": [1,{}]},"members":[]}`, stored: `{"members":["ann"],"name":"a \"b\"","meta":{"k":[1,{}]}}`},
		{name: "of no name", room: "conv:1", data: `{"name":"","meta":{}}`, stored: `{"members":["ann"],"meta":{}}`},
		{name: "to enroll in", room: "team:1", data: `{}`, stored: `{"members":["ann"]}`},
		{name: "moderators publish", room: "board:1", data: `{}`, stored: `{"members":["ann"]}`},
		{name: "the server publishes", room: "desk:1", data: `{}`, stored: `{"members":["ann"]}`, join: "durable moderate"},
		{name: "without a stream", room: "chatter:1", data: `{}`, stored: `{"members":["ann"]}`, join: "moderate publish"},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := []string{"create: room:create " + c.room + " " + c.stored, fmt.Sprintf(added, "ann", c.room, "", 0)}
			for _, user := range c.told {
				want = append(want, fmt.Sprintf(added, user, c.room, "", 0))
			}
			if c.join == "" {
				c.join = "durable moderate publish"
			}
			want = append(want, "join "+c.room+" from /0 "+c.join)
			// Whether it is there already is the committer's to say: a retry has the same
			// effects, and so completes the first try.
			for _, s := range []*store{{}, stream(3).in(room.RoleOwner)} {
				ev, err := call(t, s, session{}, "i room:create "+c.room+" "+c.data)
				if err != nil || string(ev.Reply) != `{"room":"`+c.room+`"}` {
					t.Fatalf("%v, reply %s", err, ev.Reply)
				}
				same(t, effects(ev), want)
			}
		})
	}
}

func TestCreateRefused(t *testing.T) {
	const comes = "invalid in room: a sub-room comes with its room"
	for _, c := range []struct {
		name, line string
		from       session
		want       string
	}{
		{name: "no id", line: `- room:create conv:1 {}`, want: "invalid in id: this action needs an id"},
		{name: "unknown type", line: `i room:create ship:1 {}`, want: `not_found in room: there is no room type "ship"`},
		{name: "type without members", line: `i room:create channel:1 {}`, want: "invalid in room: rooms of this type need not be created: room:join is enough"},
		{name: "own room", line: `i room:create user:ann {}`, want: "invalid in room: rooms of this type need not be created: room:join is enough"},
		{name: "sub-room", line: `i room:create conv:1/typing {}`, want: comes},
		{name: "participant's sub-room", line: `i room:create conv:1/participant/ann {}`, want: comes},
		{name: "not granted", line: `i room:create conv:1 {}`, from: session{grants: []string{"team:*"}}, want: "forbidden in room: the token does not grant this room"},
		{name: "member of no name", line: `i room:create conv:1 {"members":[""]}`, want: "invalid in data.members[0]: must be 1 to 128 characters of " + event.NamePattern},
	} {
		t.Run(c.name, func(t *testing.T) {
			ev, err := call(t, stream(0), c.from, c.line)
			refused(t, ev, err, c.want)
		})
	}
}

// tables writes down what projections put.
type tables struct {
	room.Tables
	calls []string
}

func (t *tables) PutRoom(i room.Info) {
	t.calls = append(t.calls, fmt.Sprintf("room %s %s %d %s %q %s", i.Tenant, i.ID, i.Created, i.Creator, i.Name, i.Meta))
}

func (t *tables) PutMember(tenant, name string, m room.Member) {
	t.calls = append(t.calls, fmt.Sprintf("member %s %s %s %s %d", tenant, name, m.User, m.Role, m.Joined))
}

func (t *tables) DeleteMember(tenant, name, user string) {
	t.calls = append(t.calls, fmt.Sprintf("gone %s %s %s", tenant, name, user))
}

// TestProjections takes the records that the handlers emit, and some that they do
// not.
func TestProjections(t *testing.T) {
	for _, c := range []struct {
		name, line string
		store      *store
		data       string // instead of the handler's
		want       []string
	}{
		{name: "create", line: `i room:create conv:1 {"name":"n","meta":{"k":1},"members":["zoe","ben"]}`, store: &store{}, want: []string{
			`room acme conv:1 5 ann "n" {"k":1}`, "member acme conv:1 ann owner 5", "member acme conv:1 ben member 5", "member acme conv:1 zoe member 5"}},
		{name: "create without a name", line: `i room:create conv:1 {}`, store: &store{}, want: []string{`room acme conv:1 5 ann "" `, "member acme conv:1 ann owner 5"}},
		{name: "create, not readable", line: `i room:create conv:1 {}`, store: &store{}, data: `[]`},
		{name: "join", line: `i room:join team:1 {}`, store: stream(0), want: []string{"member acme team:1 ann member 5"}},
		{name: "leave", line: `i room:leave conv:1 {}`, store: stream(0).in(room.RoleOwner), want: []string{"gone acme conv:1 ann"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ev, err := call(t, c.store, session{joined: []string{"conv:1"}}, c.line)
			if err != nil {
				t.Fatal(err)
			}
			r := &event.Record{Envelope: ev.Effects[0].Envelope}
			r.Timestamp = 5
			if c.data != "" {
				r.Data = []byte(c.data)
			}
			for range 2 { // however often
				put := &tables{}
				Projections()[r.Action](put, r)
				same(t, put.calls, c.want)
			}
		})
	}
	for _, action := range []string{room.ActionAdded, room.ActionRemoved} {
		if Projections()[action] != nil {
			t.Errorf("%s changes tables", action)
		}
	}
}
