package app

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// wrong is a request that is refused, and has no effect.
type wrong struct {
	name, action, room, data string
	code, field, says        string
}

func wrongMessages() []wrong {
	const edit, read, remove, react = "message:edit", "message:read", "message:delete", "message:react"
	return []wrong{
		{"edit of a foreign message", edit, "channel:x", `{"offset":1,"version":0,"text":"x"}`, "forbidden", "data.offset", "author"},
		{"edit of a version that is not there any more", edit, "channel:x", `{"offset":2,"version":0,"text":"x"}`, "conflict", "data.version", "at version 1"},
		{"edit of a version to come", edit, "channel:x", `{"offset":2,"version":2,"text":"x"}`, "conflict", "data.version", "at version 1"},
		{"edit of a deleted message", edit, "channel:x", `{"offset":4,"version":0,"text":"x"}`, "conflict", "data.offset", "deleted"},
		{"edit of an edit", edit, "channel:x", `{"offset":3,"version":0,"text":"x"}`, "invalid", "data.offset", "not a message"},
		{"edit of a message to come", edit, "channel:x", `{"offset":99,"version":0,"text":"x"}`, "invalid", "data.offset", "no such event"},
		{"edit in another life of the room", edit, "channel:x", `{"offset":2,"epoch":"zzz","version":1,"text":"x"}`, "conflict", "data.epoch", ""},
		{"edit where one is not", edit, "conv:secret", `{"offset":2,"version":0,"text":"x"}`, "forbidden", "room", ""},
		{"delete of a foreign message", remove, "channel:x", `{"offset":1}`, "forbidden", "data.offset", ""},
		{"delete of a deleted message", remove, "channel:x", `{"offset":4}`, "conflict", "data.offset", "deleted"},
		{"reaction to a deleted message", react, "channel:x", `{"offset":4,"key":"+1"}`, "conflict", "data.offset", "deleted"},
		{"read of the future", read, "channel:x", `{"offset":99}`, "invalid", "data.offset", "no such event"},
		{"read of the next event", read, "channel:x", `{"offset":6}`, "invalid", "data.offset", "no such event"},
		{"read in another life of the room", read, "channel:x", `{"offset":1,"epoch":"zzz"}`, "conflict", "data.epoch", ""},
		{"read where one is not", read, "conv:secret", `{"offset":1}`, "forbidden", "room", ""},
	}
}

func wrongRooms() []wrong {
	const join, create = "room:join", "room:create"
	all := []wrong{
		{"join of a conversation of others", join, "conv:secret", "{}", "forbidden", "room", "not a member"},
		{"join of its typing", join, "conv:secret/typing", "{}", "forbidden", "room", "not a member"},
		{"join of another user's room", join, "user:witness", "{}", "forbidden", "room", ""},
		{"join of a room that is full", join, "team:full", "{}", "conflict", "room", "2 members"},
		{"join of a room that is not there", join, "team:none", "{}", "not_found", "room", "room:create"},
		{"create of a room that is there", create, "conv:secret", "{}", "conflict", "room", "exists"},
		{"create with one member too many", create, "team:b", `{"members":["ben","cid"]}`, "too_large", "data.members", "2 members"},
		{"history of a room of others", "room:history", "conv:secret", "{}", "forbidden", "room", ""},
		{"members of a room of others", "room:members", "conv:secret", "{}", "forbidden", "room", ""},
		{"update of a room of others", "room:update", "conv:secret", `{"name":"mine"}`, "forbidden", "room", ""},
		{"delete of a room of others", "room:delete", "conv:secret", "{}", "forbidden", "room", ""},
		{"presence of a room of others", "presence:subscribe", "conv:secret", "{}", "forbidden", "room", "not a member"},
	}
	for _, name := range []string{
		"conv", "conv:", ":b", "Conv:b", "conv:a b", "conv:ü", "conv:a\u0000", "conv:b/", "conv:b//typing", "conv:b/../x", "conv:b/typing/x/y", "conv:" + strings.Repeat("x", 129),
	} {
		all = append(all, wrong{"a room called " + name, create, name, "{}", "invalid", "room", ""}, wrong{"joining " + name, join, name, "{}", "invalid", "room", ""})
	}
	return append(all, wrong{"a room of no type", create, "ship:b", "{}", "not_found", "room", "no room type"})
}

func wrongUsers() []wrong {
	const status, direct = "presence:update", "direct:send"
	return []wrong{
		{"status text over size", status, "", `{"status":"dnd","text":` + str(257) + `}`, "too_large", "data.text", "256"},
		{"status emoji over size", status, "", `{"status":"dnd","emoji":` + str(65) + `}`, "too_large", "data.emoji", "64"},
		{"status data over size", status, "", `{"status":"dnd","data":{"a":` + str(1020) + `}}`, "too_large", "data.data", "1024"},
		{"no such status", status, "", `{"status":"offline"}`, "invalid", "data.status", "one of"},
		{"status for longer than a month", status, "", `{"status":"dnd","expires_in_ms":2678400001}`, "invalid", "data.expires_in_ms", ""},
		{"direct to an unknown device", direct, "", `{"to":"witness","device":"fridge","text":"x"}`, "not_found", "data.device", "no session"},
		{"direct to an unknown user's device", direct, "", `{"to":"nobody","device":"phone","text":"x"}`, "not_found", "data.device", "no session"},
		{"direct to another tenant's device", direct, "", `{"to":"stranger","device":"phone","text":"x"}`, "not_found", "data.device", "no session"},
		{"direct to no user", direct, "", `{"to":"a b","text":"x"}`, "invalid", "data.to", ""},
		{"presence of 101", "presence:subscribe", "", `{"users":` + times64(`"ben"`, 101) + `}`, "too_large", "data.users", "100"},
	}
}

// TestWrongRequests: each is refused with the exact error, in both dialects; nothing is
// stored, and nobody is told of anything.
func TestWrongRequests(t *testing.T) {
	t.Parallel()
	n := serve(t, "limit.query_burst=10000", "limit.message_burst=10000", "limit.score.refused=0", "rooms.team.max_members=2")
	witness := n.connect(t, dial{user: "witness"})
	witness.do("session:open", "", `{"device":"phone","rooms":["channel:x"]}`)
	witness.acked("message:send", "channel:x", "m1", `{"text":"foreign"}`)
	author := n.connect(t, dial{user: "mallory"})
	author.do("session:open", "", `{"rooms":["channel:x"]}`)
	author.acked("message:send", "channel:x", "m2", `{"text":"own"}`)
	author.acked("message:edit", "channel:x", "m3", `{"offset":2,"version":0,"text":"own, edited"}`)
	author.acked("message:send", "channel:x", "m4", `{"text":"too much"}`)
	author.acked("message:delete", "channel:x", "m5", `{"offset":4}`)
	author.do("session:close", "", "{}")
	owner := n.open(t, dial{user: "owner"})
	for _, room := range []string{"conv:secret", "team:full"} {
		news := 0 // the room tells of it, and the user's room
		count := func(e received) {
			if e.Type == "message" && strings.Contains(e.js, room) {
				news++
			}
		}
		owner.asks("room:create", room, room, `{"members":["ben"]}`)()
		for owner.answer(room, count); news < 2; {
			count(owner.must())
		}
	}
	stranger := n.connect(t, dial{tenant: "globex", user: "stranger"})
	stranger.do("session:open", "", `{"device":"phone"}`)
	cases := append(append(wrongMessages(), wrongRooms()...), wrongUsers()...)
	witness.until(func(e received) bool { return e.Room == "channel:x" && e.Offset == 5 })
	stored := n.stored()
	for _, d := range []dialect{"json", packed} {
		c := n.connect(t, dial{user: "mallory", dialect: d})
		c.do("session:open", "", `{"rooms":["channel:x","channel:y"]}`)
		for i, w := range cases {
			c.text(envelope(w.action, w.room, fmt.Sprint(i), w.data))
			e := c.answer(fmt.Sprint(i))
			if got := e.Payload.Data; e.Type != "error" || got.Code != w.code || got.Field != w.field || !strings.Contains(got.Message, w.says) || got.Message == "" || got.Retryable {
				t.Errorf("%s, %s: %s, want %s in %q", d, w.name, e.js, w.code, w.field)
			}
		}
		if late := c.waiting("p"); len(late) > 0 {
			t.Errorf("mallory is told %s", late[0].js)
		}
	}
	if now := n.stored(); now != stored {
		t.Errorf("%d events were stored", now-stored)
	}
	for _, c := range []*client{witness, owner, stranger} {
		for _, e := range c.waiting("p") {
			t.Errorf("%s is told %s", c.user, e.js)
		}
	}
}

// TestWrongRules: what does not compile is refused when the file is read, with its
// place; what runs too long is refused for the event, and counted.
func TestWrongRules(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]string{
		`{require: 'user =='}`:                            "tenants.acme.rules[0].require: 1:8: Syntax error",
		`{require: 'usr == "ann"'}`:                       "tenants.acme.rules[0].require: 1:1: undeclared reference to 'usr'",
		`{require: 'user'}`:                               "tenants.acme.rules[0].require: 1:1: the expression is of type string, want bool",
		`{require: 'true', actions: ["message:shout"]}`:   `tenants.acme.rules[0].actions[0]: no action is called "message:shout"`,
		`{cost: 10, require: '[1,2,3].all(x, x < now)'}`:  "tenants.acme.rules[0].require: 1:1: the expression costs",
		`{require: 'true'}, {require: 'room.kind == ""'}`: "tenants.acme.rules[1].require: 1:5: undeclared reference to 'room.kind'",
	} {
		r, err := load(strings.Replace(acmeOnly, "{auth", "{rules: ["+rule+"], auth", 1))
		if err == nil {
			r.Value.Storage.Dir = t.TempDir()
			_, err = New(*r.Value, Deps{Log: slog.New(slog.DiscardHandler)})
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", rule, err, want)
		}
	}
	n := serve(t, `tenants.acme.rules=[{actions: ["message:send"], require: 'data.body.all(x, data.body.all(y, y <= x))'}]`)
	ann := n.open(t, dial{user: "ann"})
	ann.do("room:join", "channel:x", "{}")
	send := func(id string, numbers int) received {
		ann.asks("message:send", "channel:x", id, `{"body":`+times64("1", numbers)+`}`)()
		return ann.answer(id)
	}
	for i := range 3 {
		if d := send(fmt.Sprint("long", i), 5000).Payload.Data; d.Code != "forbidden" || !strings.Contains(d.Message, "too long") || d.Retryable {
			t.Errorf("%+v", d)
		}
	}
	if e := send("short", 5); e.Type != "ack" || e.Offset != 1 {
		t.Error(e.js)
	}
	if m := n.admin("/metrics").body; !strings.Contains(m, `heddle_rules_total{result="costly",tenant="acme"} 3`) || !strings.Contains(m, `heddle_rules_total{result="held",tenant="acme"} 1`) {
		t.Error("not counted")
	}
}

// TestRoomsOverQuota: a tenant's rooms come to an end; what is over stores nothing, and
// other tenants and rooms that are there go on.
func TestRoomsOverQuota(t *testing.T) {
	t.Parallel()
	n := serve(t, "tenants.acme.quota.rooms=6")
	ann, stranger := n.open(t, dial{user: "ann"}), n.open(t, dial{tenant: "globex", user: "ann"})
	made := 0
	for i := range 20 {
		room := fmt.Sprint("conv:", i)
		ann.asks("room:create", room, "c", "{}")()
		e := ann.answer("c")
		if e.Type == "ack" {
			made++
			continue
		}
		if d := e.Payload.Data; d.Code != "rate_limited" || !strings.Contains(d.Message, "all the rooms") || !d.Retryable || d.RetryAfter <= 0 {
			t.Errorf("%s", e.js)
		}
		if len(n.records("acme", room)) != 0 {
			t.Errorf("%s is there", room)
		}
	}
	if made < 1 || made > 6 {
		t.Errorf("%d rooms were made", made)
	}
	ann.acked("message:send", "conv:0", "m", `{"text":"x"}`)
	stranger.acked("room:create", "conv:1", "c", "{}")
}

// TestDeviceFlood: one after the other, devices over the limit are refused and leave
// nothing behind; those that were there stay.
func TestDeviceFlood(t *testing.T) {
	t.Parallel()
	n := serve(t, "session.devices=3")
	var there []*client
	for i := range 3 {
		there = append(there, n.connect(t, dial{user: "ann"}))
		there[i].do("session:open", "", fmt.Sprintf(`{"device":"d%d"}`, i))
	}
	for i := range 60 {
		c := n.connect(t, dial{user: "ann"})
		c.asks("session:open", "", "o", fmt.Sprintf(`{"device":"x%d"}`, i))()
		if e := c.answer("o"); e.Payload.Data.Code != "conflict" || e.Payload.Data.Field != "data.device" {
			t.Fatal(e.js)
		}
		c.asks("message:send", "channel:x", "m", `{"text":"x"}`)()
		if e := c.answer("m"); e.Payload.Data.Code != "session_required" {
			t.Error(e.js)
		}
		c.drop()
	}
	for _, c := range there {
		if devices := strings.Count(c.do("session:devices", "", "{}").js, `"device":"d`); devices < 3 {
			t.Errorf("%d devices are left", devices)
		}
	}
	eventually(t, "only those are connected", func() bool { return len(n.connections("acme", "ann")) == 3 })
}
