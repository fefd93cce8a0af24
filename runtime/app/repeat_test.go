package app

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestRepeatsHaveTheShapeOfTheFirst sends what was stored again when it would be
// refused by now. All that clients get is held to the schema; beside that the answer
// has the members of the first one.
func TestRepeatsHaveTheShapeOfTheFirst(t *testing.T) {
	t.Parallel()
	n := serve(t, "limit.query_burst=10000")
	const message, edit = `ben message:send {"text":"x"}`, `ben message:edit {"offset":3,"version":0,"text":"y"}`
	for i, c := range []struct {
		before string // of the owner ann and the member ben
		line   string // "USER ACTION DATA"
		after  string // makes that it would be refused
	}{
		{"", `cid room:join {}`, `ann room:delete {}`},
		{"", `ben room:leave {}`, ""},
		{`ann room:update {"roles":{"ben":"moderator"}}`, `ben room:update {"name":"x"}`, `ben room:leave {}`},
		{"", `ann room:delete {}`, ""},
		{"", message, `ben room:leave {}`},
		{message, edit, `ben message:edit {"offset":3,"version":1,"text":"z"}`},
		{message, edit, `ann message:delete {"offset":3}`},
		{message, `ben message:delete {"offset":3}`, `ben room:leave {}`},
		{message, `ben message:react {"offset":3,"key":"+1"}`, `ann message:delete {"offset":3}`},
	} {
		t.Run(fmt.Sprint(i, " ", c.line), func(t *testing.T) {
			users := map[string]*client{}
			for _, user := range []string{"ann", "ben", "cid"} {
				users[user] = n.open(t, dial{user: user})
			}
			ask := func(id, line string) received {
				word := strings.SplitN(line, " ", 3)
				c := users[word[0]]
				c.send(envelope(word[1], fmt.Sprint("team:", i), id, word[2]))
				return c.answer(id)
			}
			for j, line := range []string{`ann room:create {}`, `ben room:join {}`, c.before} {
				if line == "" {
					continue
				}
				if e := ask(fmt.Sprint(j), line); e.Type != "ack" {
					t.Fatal(e.js)
				}
			}
			first := ask("a", c.line)
			if c.after != "" {
				ask("after", c.after)
			}
			if e := ask("b", c.line); e.Type != "error" {
				t.Errorf("with another id it is not refused: %s", e.js)
			}
			again := ask("a", c.line)
			if first.Type != "ack" || again.Type != "ack" || !again.Payload.Data.Repeat ||
				again.Epoch != first.Epoch || again.Offset != first.Offset || again.ID != first.ID || again.Timestamp != first.Timestamp {
				t.Fatalf("first %s, then %s", first.js, again.js)
			}
			has := membersOf(t, again.js)
			for _, name := range membersOf(t, first.js) {
				if !slices.Contains(has, name) {
					t.Errorf("%s is missing: first %s, then %s", name, first.js, again.js)
				}
			}
		})
	}
}

// membersOf are the names in an answer's data.
func membersOf(t *testing.T, js string) (names []string) {
	t.Helper()
	var e struct {
		Payload struct{ Data map[string]json.RawMessage }
	}
	if err := json.Unmarshal([]byte(js), &e); err != nil {
		t.Fatal(err)
	}
	for name := range e.Payload.Data {
		names = append(names, name)
	}
	return names
}
