package presence

import (
	"encoding/json"
	"slices"
	"testing"
	"time"
)

// TestPartlyRefused: of several users those are watched who can be, and the answer
// names the others.
func TestPartlyRefused(t *testing.T) {
	in(t, config, func(t *testing.T, w *world) {
		eve := w.client("eve")
		eve.grants = []string{"user:ben", "user:eve"}
		ev, err := eve.do("presence:subscribe", "", `{"users":["bob","ben","bob","ben","cat"]}`)
		if err != nil {
			t.Fatal(err)
		}
		const no = `"error":{"code":"forbidden","message":"the token does not grant this room","retryable":false}`
		want := `{"users":[{"user":"ben","status":"offline"},{"user":"ben","status":"offline"}],"refused":[{"user":"bob",` + no + `},{"user":"cat",` + no + `}]}`
		if string(ev.Reply) != want {
			t.Errorf("answered %s\nwant %s", ev.Reply, want)
		}
		if !slices.Equal(eve.rooms, []string{"user:ben/presence"}) {
			t.Errorf("watches %q", eve.rooms)
		}
	})
}

// TestSeen: who does not watch is told what the others see, and nothing follows
// from it.
func TestSeen(t *testing.T) {
	in(t, config, func(t *testing.T, w *world) {
		asked := func(users ...string) string {
			js, err := json.Marshal(w.Seen("acme", users))
			if err != nil {
				t.Fatal(err)
			}
			return w.relative(string(js))
		}
		lines := w.play(t, []string{
			"0s ben online", `0s ben subscribe {"users":["ann"]}`, "1s ann/phone online", "1s ann/tab online",
			`2s ann/phone update {"status":"dnd","text":"l\u00fcnch","emoji":"x","data":{"n":12345678901234567890}}`,
		}, 3*time.Second)
		want := `[{"user":"ann","status":"dnd","text":"lünch","emoji":"x","data":{"n":12345678901234567890},@2s,"devices":2},{"user":"zoe","status":"offline"},{"user":"ben","status":"online",@0s,"devices":1}]`
		if got := asked("ann", "zoe", "ben"); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
		if after := w.read(); len(after) != len(lines) {
			t.Errorf("watchers are told %q", after[len(lines):])
		}
		if other := w.Seen("umbrella", []string{"ann"}); other[0].Status != "offline" || other[0].Text != "" {
			t.Errorf("another tenant sees %+v", other)
		}
		w.play(t, []string{`4s ann/phone update {"status":"invisible","text":"hidden"}`}, 5*time.Second)
		if got, want := asked("ann"), `[{"user":"ann","status":"offline",@4s}]`; got != want {
			t.Errorf("invisible: %s", got)
		}
	})
}

// TestSeenIn pages through a room without watching it.
func TestSeenIn(t *testing.T) {
	in(t, config, func(t *testing.T, w *world) {
		w.play(t, []string{
			"0s ann online", "0s ann join conv:1", "0s ben online", "0s ben join conv:1", "0s cat online", "0s cat join conv:1", `0s cat update {"status":"away"}`,
			"0s dan online", "0s dan join conv:1", `0s dan update {"status":"invisible"}`, "0s ann join hall:1",
		}, time.Second)
		for _, c := range []struct {
			room, after string
			limit       int
			names       []string
			next        string
			online      int
			away        int
		}{
			{"conv:1", "", 2, []string{"ann", "ben"}, "ben", 2, 1},
			{"conv:1", "ben", 2, []string{"cat"}, "", 2, 1},
			{"conv:1", "cat", 2, []string{}, "", 2, 1},
			{"conv:2", "", 2, []string{}, "", 0, 0},
			{"hall:1", "", 2, nil, "", 1, 0},
			{"hall:2", "", 2, nil, "", 0, 0},
		} {
			got := w.SeenIn("acme", c.room, c.after, c.limit)
			var names []string
			if got.Users != nil {
				names = []string{}
			}
			for _, u := range got.Users {
				names = append(names, u.User)
			}
			if !slices.Equal(names, c.names) || (names == nil) != (c.names == nil) || got.Next != c.next || got.Online != c.online || got.Away != c.away || got.DND != 0 {
				t.Errorf("%s behind %q: %+v", c.room, c.after, got)
			}
		}
		if got := w.SeenIn("umbrella", "conv:1", "", 10); len(got.Users) != 0 || got.Online != 0 {
			t.Errorf("another tenant sees %+v", got)
		}
		if w.Stats().Rooms != 2 {
			t.Error("to ask makes rooms")
		}
	})
}
