package presence

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// TestRooms: what the watchers of a room are told. Ben watches conv:1.
func TestRooms(t *testing.T) {
	ann, annGone := `{"user":"ann","status":"online",@1s,"devices":1}`, `{"user":"ann","status":"offline"}`
	ben := `0s conv:1/presence {"users":[{"user":"ben","status":"online",@0s,"devices":1}],"online":1,"away":0,"dnd":0}`
	for _, c := range []struct {
		name   string
		script []string
		want   []string
	}{
		{"joins and leaves", []string{"1s ann online", "1s ann join conv:1", "2s ann leave conv:1", "3s ann join conv:1"}, []string{
			`1s conv:1/presence {"users":[` + ann + `],"online":2,"away":0,"dnd":0}`,
			`2s conv:1/presence {"users":[` + annGone + `],"online":1,"away":0,"dnd":0}`,
			`3s conv:1/presence {"users":[` + ann + `],"online":2,"away":0,"dnd":0}`}},
		{"is not there without joining", []string{"1s ann online", "1s ann join conv:2", "1s ann join user:ann", "1s ann join conv:1/typing"}, nil},
		{"flaps", []string{"1s ann online", "1s ann join conv:1", "2s ann close", "3s ann back", "3s ann join conv:1", "4s ann close", "5s ann back", "5s ann join conv:1"}, []string{
			`1s conv:1/presence {"users":[` + ann + `],"online":2,"away":0,"dnd":0}`}},
		{"comes back, but not to the room", []string{"1s ann online", "1s ann join conv:1", "2s ann close", "3s ann back"}, []string{
			`1s conv:1/presence {"users":[` + ann + `],"online":2,"away":0,"dnd":0}`,
			`12s conv:1/presence {"users":[` + annGone + `],"online":1,"away":0,"dnd":0}`}},
		{"goes", []string{"1s ann online", "1s ann join conv:1", "2s ann close"}, []string{
			`1s conv:1/presence {"users":[` + ann + `],"online":2,"away":0,"dnd":0}`,
			`12s conv:1/presence {"users":[{"user":"ann","status":"offline",@12s}],"online":1,"away":0,"dnd":0}`}},
		{"of two sessions one leaves", []string{"1s ann online", "1s ann join conv:1", "1s ann/x online", "1s ann/x join conv:1", "2s ann leave conv:1"}, []string{
			`1s conv:1/presence {"users":[` + ann + `],"online":2,"away":0,"dnd":0}`,
			`1.25s conv:1/presence {"users":[` + strings.Replace(ann, ":1}", ":2}", 1) + `],"online":2,"away":0,"dnd":0}`}},
		{"changes of an interval are one event", []string{"1s ann online", "1s ann join conv:1", "1010ms cat online", "1010ms cat join conv:1", "1020ms dan online", "1020ms dan join conv:1", `1030ms dan update {"status":"away"}`}, []string{
			`1s conv:1/presence {"users":[` + ann + `],"online":2,"away":0,"dnd":0}`,
			`1.25s conv:1/presence {"users":[{"user":"cat","status":"online",@1.01s,"devices":1},{"user":"dan","status":"away",@1.03s,"devices":1}],"online":3,"away":1,"dnd":0}`}},
		{"what came to nothing is not told", []string{"1s ann online", "1s ann join conv:1", "1010ms cat online", "1010ms cat join conv:1", "1020ms cat leave conv:1", `1030ms ann update {"status":"dnd"}`, `1040ms ann update {"status":"invisible"}`}, []string{
			`1s conv:1/presence {"users":[` + ann + `],"online":2,"away":0,"dnd":0}`,
			`1.25s conv:1/presence {"users":[{"user":"ann","status":"offline",@1.04s}],"online":1,"away":0,"dnd":0}`}},
		{"unless somebody was shown it", []string{"1s ann online", "1s ann join conv:1", "1010ms cat online", "1010ms cat join conv:1", `1015ms cat subscribe conv:1 {"after":"ann","limit":1}`, "1020ms cat leave conv:1"}, []string{
			`1s conv:1/presence {"users":[` + ann + `],"online":2,"away":0,"dnd":0}`,
			`1.015s cat: {"users":[{"user":"ben","status":"online",@0s,"devices":1}],"next":"ben","online":3,"away":0,"dnd":0}`,
			`1.25s conv:1/presence {"users":[{"user":"cat","status":"offline"}],"online":2,"away":0,"dnd":0}`}},
		{"rooms of counts", []string{"1s ann online", "1s ann join hall:1", "1s ben subscribe hall:1 {}", "2s cat online", "2s cat join hall:1", "3s cat leave hall:1", "4s cat join hall:1", "4010ms cat leave hall:1", "4020ms dan online", "4020ms dan join hall:1"}, []string{
			`1s ben: {"online":1,"away":0,"dnd":0}`, `2s hall:1/presence {"online":2,"away":0,"dnd":0}`,
			`3s hall:1/presence {"online":1,"away":0,"dnd":0}`, `4s hall:1/presence {"online":2,"away":0,"dnd":0}`}},
		{"no watchers left", []string{"1s ben unsubscribe conv:1 {}", "1s ann online", "2s ann join conv:1"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, config, func(t *testing.T, w *world) {
				script := append([]string{"0s ben online", `0s ben subscribe conv:1 {}`, "0s ben join conv:1"}, c.script...)
				want := append([]string{`0s ben: {"users":[],"online":0,"away":0,"dnd":0}`, ben}, c.want...)
				same(t, w.play(t, script, time.Minute), want)
			})
		})
	}
}

// told reads what a room was told, as a client would, and returns who the client
// believes is there.
func told(t *testing.T, w *world) (names []string, counts string) {
	t.Helper()
	there := map[string]bool{}
	for _, env := range w.told {
		var d struct {
			Users []struct {
				User, Status string
			}
			Reset  bool
			Online *int
		}
		if err := json.Unmarshal(env.Data, &d); err != nil {
			t.Fatalf("%s: %v", env.Data, err)
		}
		if d.Reset {
			clear(there)
		}
		for _, u := range d.Users {
			if there[u.User] = true; u.Status == "offline" {
				delete(there, u.User)
			}
		}
		if d.Online != nil {
			counts = fmt.Sprint(*d.Online)
		}
	}
	for name := range there {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, counts
}

// TestLarge: a room grows beyond names, and shrinks again.
func TestLarge(t *testing.T) {
	cfg := config
	cfg.Large, cfg.Named = 20, 4
	in(t, cfg, func(t *testing.T, w *world) {
		w.client("watcher").join("conv:1/presence")
		user := func(i int) *client { return w.client(fmt.Sprintf("u%02d", i)) }
		for i := range 40 {
			if err := user(i).online(false); err != nil {
				t.Fatal(err)
			}
			user(i).join("conv:1")
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		w.read()
		if _, n := told(t, w); n != "40" {
			t.Errorf("believes in %s", n)
		}
		if st := w.Stats(); st.Lists < 4 || st.Counts < 4 || st.Lists+st.Counts > 17 {
			t.Errorf("%+v", st)
		}
		for i := range 31 {
			user(i).leave("conv:1")
		}
		time.Sleep(time.Minute)
		w.read()
		if names, n := told(t, w); strings.Join(names, " ") != "u31 u32 u33 u34 u35 u36 u37 u38 u39" || n != "9" {
			t.Errorf("believes in %q, %s", names, n)
		}
		ev, err := w.client("watcher").do("presence:subscribe", "conv:1", `{"after":"u32","limit":3}`)
		if err != nil || since.ReplaceAllString(string(ev.Reply), "@") != `{"users":[{"user":"u33","status":"online",@,"devices":1},{"user":"u34","status":"online",@,"devices":1},{"user":"u35","status":"online",@,"devices":1}],"next":"u35","online":9,"away":0,"dnd":0}` {
			t.Errorf("%v, %s", err, ev.Reply)
		}
	})
}

// TestReconnect measures what doc.go states: a room of 5,000, whose members all
// come back within 10 s. Every frame costs each of them one.
func TestReconnect(t *testing.T) {
	const members, within = 5000, 10 * time.Second
	for _, c := range []struct {
		name   string
		before bool // they were there, and have lost their connections
		most   int
		bytes  int
	}{
		{"after a restart of the node", false, 25, 16 << 10},
		{"after a break of the network", true, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, config, func(t *testing.T, w *world) {
				come := func(over time.Duration) {
					order := rand.Perm(members)
					for i, n := range order {
						time.Sleep(over*time.Duration(i+1)/members - over*time.Duration(i)/members)
						u := w.client(fmt.Sprintf("a-user-with-a-name%04d", n))
						if err := u.online(true); err != nil {
							t.Fatal(err)
						}
						u.join("conv:1")
						u.join("conv:1/presence")
					}
				}
				if c.before {
					come(time.Minute)
					time.Sleep(10 * time.Second)
					for i := range members {
						w.client(fmt.Sprintf("a-user-with-a-name%04d", i)).close()
					}
				}
				synctest.Wait()
				w.told = nil
				come(within - time.Second)
				time.Sleep(30 * time.Second)
				w.read()
				bytes := 0
				for i := range w.told {
					bytes += len(w.told[i].Data)
				}
				t.Logf("%d events to each member, %d bytes: %+v", len(w.told), bytes, w.Stats())
				if len(w.told) > c.most || bytes > c.bytes {
					t.Errorf("%d events of %d bytes", len(w.told), bytes)
				}
				if _, n := told(t, w); !c.before && n != "5000" {
					t.Errorf("the last of them tells of %s", n)
				}
			})
		})
	}
}

func TestRefused(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, c := range []struct{ name, action, room, data, want string }{
		{"no status", "update", "", `{}`, "invalid in data.status: is missing"},
		{"unknown status", "update", "", `{"status":"offline"}`, "invalid in data.status: must be one of online, away, dnd, invisible, auto"},
		{"text too long", "update", "", `{"status":"dnd","text":"` + long + `"}`, "too_large in data.text: must be at most 256 bytes"},
		{"emoji too long", "update", "", `{"status":"dnd","emoji":"` + long + `"}`, "too_large in data.emoji: must be at most 64 bytes"},
		{"data too long", "update", "", `{"status":"dnd","data":{"a":"` + strings.Repeat(long, 4) + `"}}`, "too_large in data.data: must be at most 1024 bytes of JSON"},
		{"data is no object", "update", "", `{"status":"dnd","data":1}`, "invalid in data.data: must be an object"},
		{"over at once", "update", "", `{"status":"dnd","expires_in_ms":0}`, "invalid in data.expires_in_ms: must be between 1 and 2678400000"},
		{"in a room", "update", "conv:1", `{"status":"dnd"}`, "invalid in room: a user has one presence for all rooms"},
		{"nothing to watch", "subscribe", "", `{}`, "invalid in data.users: users or a room is needed"},
		{"nobody to watch", "subscribe", "", `{"users":[]}`, "invalid in data.users: must be at least 1 elements"},
		{"users in a room", "subscribe", "conv:1", `{"users":["ben"]}`, "invalid in data.users: users or a room, not both"},
		{"no name", "subscribe", "", `{"users":["ben","a b"]}`, "invalid in data.users[1]: must be 1 to 128 characters of [A-Za-z0-9._~@|+=-]"},
		{"too many", "subscribe", "", `{"users":["a"` + strings.Repeat(`,"a"`, 100) + `]}`, "too_large in data.users: must be at most 100 elements"},
		{"a user's room", "subscribe", "user:ben", `{}`, "invalid in room: must be a room, not a part of one; users are watched by their names"},
		{"a sub-room", "subscribe", "conv:1/presence", `{}`, "invalid in room: must be a room, not a part of one; users are watched by their names"},
		{"presence is off", "subscribe", "open:1", `{}`, "not_found in room: rooms of this type have no sub-rooms"},
		{"no such type", "subscribe", "ship:1", `{}`, `not_found in room: there is no room type "ship"`},
		{"stranger", "subscribe", "conv:1", `{}`, "forbidden in room: not a member of this room"},
		{"a page of nothing", "subscribe", "hall:1", `{"limit":0}`, "invalid in data.limit: must be between 1 and 200"},
		{"not granted", "subscribe", "", `{"users":["bob","cat","bob"]}`, "forbidden in data.users[0]: the token does not grant this room"},
		{"nothing to unwatch", "unsubscribe", "", `{}`, "invalid in data.users: users or a room is needed"},
		{"both to unwatch", "unsubscribe", "conv:1", `{"users":["ben"]}`, "invalid in data.users: users or a room, not both"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, config, func(t *testing.T, w *world) {
				eve := w.client("eve")
				eve.grants = []string{"conv:*", "hall:*", "open:*", "ship:*", "user:ben", "user:eve"}
				ev, err := eve.do("presence:"+c.action, c.room, c.data)
				f := fault.Of(err)
				if got := fmt.Sprintf("%s in %s: %s", f.Kind, f.Field, f.Message()); err == nil || got != c.want {
					t.Errorf("%v\nwant %s", err, c.want)
				}
				if len(eve.rooms) != 0 || ev.Reply != nil || len(w.rows) != 0 {
					t.Errorf("refused, and yet: %q %s %q", eve.rooms, ev.Reply, w.rows)
				}
			})
		})
	}
}

// TestServer: who is no user has no presence.
func TestServer(t *testing.T) {
	in(t, config, func(t *testing.T, w *world) {
		for action, data := range map[string]string{"update": `{"status":"dnd"}`, "subscribe": `{"users":["ben"]}`, "unsubscribe": `{"users":["ben"]}`} {
			if ev, err := w.client("").do("presence:"+action, "", data); !fault.Is(err, fault.Forbidden) || len(ev.Effects) != 0 {
				t.Errorf("%s: %v", action, err)
			}
		}
	})
}

func TestTenantsAreApart(t *testing.T) {
	in(t, config, func(t *testing.T, w *world) {
		w.client("ben").join("user:ann/presence")
		w.client("ben").join("conv:1/presence")
		var eve client
		if err := w.Online(t.Context(), "acme", "ann", "", false, &eve.used); err != nil {
			t.Fatal(err)
		}
		w.JoinedRoom("umbrella", "ann", "conv:1", &eve.used)
		w.Offline("umbrella", "ann", &eve.used)
		w.LeftRoom("umbrella", "ben", "user:ann/presence", &eve.used)
		w.JoinedRoom("umbrella", "ben", "user:ann/presence", &eve.used)
		same(t, w.play(t, nil, time.Minute), []string{`0s user:ann/presence {"user":"ann","status":"online",@0s,"devices":1}`})
		w.Offline("acme", "ann", &eve.used)
	})
}
