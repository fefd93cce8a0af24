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
		{name: "named", room: "conv:1", data: `{"name":"a \"b\"","meta":{"k": [1,{}]},"members":[]}`, stored: `{"members":["ann"],"name":"a \"b\"","meta":{"k": [1,{}]}}`},
		{name: "of no name", room: "conv:1", data: `{"name":"","meta":{}}`, stored: `{"members":["ann"],"name":"","meta":{}}`},
		{name: "byte for byte", room: "conv:1", data: `{"meta":{ "<&>":"\u2028<\u003e" },"name":"<Tea & \u003cMilk>"}`, stored: `{"members":["ann"],"name":"<Tea & \u003cMilk>","meta":{ "<&>":"\u2028<\u003e" }}`},
		{name: "as many as there may be", room: "trio:1", data: `{"members":["ben","cid"]}`, stored: `{"members":["ann","ben","cid"],"count":3}`, told: []string{"ben", "cid"}},
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
		{name: "too many", line: `i room:create trio:1 {"members":["ben","cid","dan"]}`, want: "too_large in data.members: this room may have 3 members at most, its creator with them"},
		{name: "the server's", line: `i room:create office:1 {}`, want: "forbidden in room: only the server creates rooms of this type"},
		{name: "member of no name", line: `i room:create conv:1 {"members":[""]}`, want: "invalid in data.members[0]: must be 1 to 128 characters of " + event.NamePattern},
	} {
		t.Run(c.name, func(t *testing.T) {
			ev, err := call(t, stream(0), c.from, c.line)
			refused(t, ev, err, c.want)
		})
	}
}

func TestTheServerCreates(t *testing.T) {
	for _, c := range []struct {
		name, line string
		want       []string
	}{
		{"for members", `i room:create office:1 {"members":["ben"]}`, []string{`create: room:create office:1 {"members":["ben"]}`, fmt.Sprintf(added, "ben", "office:1", "", 0)}},
		{"for nobody yet", `i room:create office:1 {"name":"x"}`, []string{`create: room:create office:1 {"members":[],"name":"x"}`, fmt.Sprintf(left, "office:1")}},
		{"for nobody, for ever", `i room:create team:1 {}`, []string{`create: room:create team:1 {"members":[]}`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ev, err := call(t, &store{}, session{server: true}, c.line)
			if err != nil {
				t.Fatal(err)
			}
			same(t, effects(ev), c.want)
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

func (t *tables) PutRow(tenant, name string, r room.Row) {
	t.calls = append(t.calls, fmt.Sprintf("row %s %s %s %q=%s", tenant, name, r.Kind, r.Key, r.Value))
}

func (t *tables) DeleteRow(tenant, name string, r room.Row) {
	t.calls = append(t.calls, fmt.Sprintf("no row %s %s %s %q", tenant, name, r.Kind, r.Key))
}

func (t *tables) EndRoom(tenant, name string) {
	t.calls = append(t.calls, fmt.Sprintf("end %s %s", tenant, name))
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
			`room acme conv:1 5 ann "n" {"k":1}`, "member acme conv:1 ann owner 5", `row acme conv:1 owner "ann"=`, "member acme conv:1 ben member 5", `no row acme conv:1 owner "ben"`,
			"member acme conv:1 zoe member 5", `no row acme conv:1 owner "zoe"`}},
		{name: "create without a name", line: `i room:create conv:1 {}`, store: &store{}, want: []string{`room acme conv:1 5 ann "" `, "member acme conv:1 ann owner 5", `row acme conv:1 owner "ann"=`}},
		{name: "create, byte for byte", line: `i room:create conv:1 {"name":"<\u003c","meta":{ "a":"<\u003c" }}`, store: &store{}, want: []string{
			`room acme conv:1 5 ann "<<" { "a":"<\u003c" }`, "member acme conv:1 ann owner 5", `row acme conv:1 owner "ann"=`}},
		{name: "create, counted", line: `i room:create trio:1 {}`, store: &store{}, want: []string{
			`room acme trio:1 5 ann "" `, "member acme trio:1 ann owner 5", `row acme trio:1 owner "ann"=`, `row acme trio:1 count ""=1`}},
		{name: "create, not readable", line: `i room:create conv:1 {}`, store: &store{}, data: `[]`},
		{name: "join", line: `i room:join team:1 {}`, store: stream(0), want: []string{"member acme team:1 ann member 5", `no row acme team:1 count ""`}},
		{name: "join, counted", line: `i room:join trio:1 {}`, store: stream(0).with("ben", "owner"), want: []string{"member acme trio:1 ann member 5", `row acme trio:1 count ""=2`}},
		{name: "leave", line: `i room:leave conv:1 {}`, store: stream(0).in(room.RoleOwner), want: []string{"gone acme conv:1 ann", `no row acme conv:1 owner "ann"`, `no row acme conv:1 count ""`}},
		{name: "leave, counted", line: `i room:leave trio:1 {}`, store: stream(0).in(room.RoleOwner), want: []string{"gone acme trio:1 ann", `no row acme trio:1 owner "ann"`, `row acme trio:1 count ""=0`}},
		{name: "update the name", line: `i room:update conv:1 {"name":"new"}`, store: named(), want: []string{`room acme conv:1 9 zoe "new" {"k": "<"}`}},
		{name: "update the data", line: `i room:update conv:1 {"meta":{}}`, store: named(), want: []string{`room acme conv:1 9 zoe "old <b>" {}`}},
		{name: "update away the data", line: `i room:update conv:1 {"meta":null}`, store: named(), want: []string{`room acme conv:1 9 zoe "old <b>" `}},
		{name: "update members", line: `i room:update conv:1 {"add":["dan","eve"],"remove":["cid"],"roles":{"ben":"owner","dan":"moderator"}}`, store: named(), want: []string{
			"member acme conv:1 dan moderator 5", `no row acme conv:1 owner "dan"`, "member acme conv:1 eve member 5", `no row acme conv:1 owner "eve"`,
			"member acme conv:1 ben owner 2", `row acme conv:1 owner "ben"=`, "gone acme conv:1 cid", `no row acme conv:1 owner "cid"`, `no row acme conv:1 count ""`}},
		{name: "update a role", line: `i room:update conv:1 {"roles":{"ben":"moderator"}}`, store: named(), want: []string{"member acme conv:1 ben moderator 2", `no row acme conv:1 owner "ben"`}},
		{name: "update, counted", line: `i room:update trio:1 {"add":["dan"],"remove":["cid"]}`, store: named(), want: []string{
			"member acme trio:1 dan member 5", `no row acme trio:1 owner "dan"`, "gone acme trio:1 cid", `no row acme trio:1 owner "cid"`, `row acme trio:1 count ""=3`}},
		{name: "update, not readable", line: `i room:update conv:1 {"name":"new"}`, store: named(), data: `[]`},
		{name: "delete", line: `i room:delete conv:1 {}`, store: named(), want: []string{"end acme conv:1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ev, err := call(t, c.store, session{joined: []string{"conv:1", "trio:1"}}, c.line)
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
	for _, action := range []string{room.ActionAdded, room.ActionRemoved, room.ActionChanged, actionExpire} {
		if Projections()[action] != nil {
			t.Errorf("%s changes tables", action)
		}
	}
}

// named is a room with a name, whose members are ann (its owner), ben and cid.
func named() *store {
	s := stream(7).with("ann", room.RoleOwner, "ben", room.RoleMember, "cid", room.RoleMember)
	s.info = room.Info{Creator: "zoe", Created: 9, Name: "old <b>", Meta: []byte(`{"k": "<"}`)}
	return s
}
