package session

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

func TestOpen(t *testing.T) {
	for name, c := range map[string]struct {
		world   func(w *world)
		data    map[string]any
		rooms   []string
		refused string // the one room refused, and the code
		code    string
		device  string
	}{
		"the own room": {rooms: []string{"user:ann"}},
		"rooms asked for": {
			data:  map[string]any{"rooms": []string{"channel:x", "channel:x", "user:ann"}},
			rooms: []string{"user:ann", "channel:x"},
		},
		"rooms of which the user is a member": {
			world: func(w *world) { w.member["ann"] = []string{"conv:1", "conv:2"} },
			data:  map[string]any{"rooms": []string{"channel:x", "conv:2"}},
			rooms: []string{"user:ann", "conv:1", "conv:2", "channel:x"},
		},
		"a room that is closed": {
			world: func(w *world) { w.closed["channel:x"] = true },
			data:  map[string]any{"rooms": []string{"channel:x", "channel:y"}},
			rooms: []string{"user:ann", "channel:y"}, refused: "channel:x forbidden",
		},
		"more rooms than allowed": {
			data:  map[string]any{"rooms": []string{"a:1", "a:2", "a:3", "a:4", "a:5", "a:6"}},
			rooms: []string{"user:ann", "a:1", "a:2", "a:3", "a:4", "a:5"}, refused: "a:6 forbidden",
		},
		"a device":      {data: map[string]any{"device": "phone"}, rooms: []string{"user:ann"}, device: "phone"},
		"no tables":     {world: func(w *world) { w.fails["RoomsOf"] = errNo }, code: "unavailable"},
		"no admissions": {world: func(w *world) { w.fails["Admit"] = fault.Wrap("", fault.Timeout, errNo) }, code: "timeout"},
		"no history":    {world: func(w *world) { w.fails["Head"] = errNo }, code: "unavailable"},
		"no markers": {
			world: func(w *world) { w.fails["Marker"] = errNo },
			data:  map[string]any{"rooms": []string{"channel:x"}}, code: "unavailable",
		},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(t *testing.T, n *node) {
				if c.world != nil {
					c.world(n.world)
				}
				a := n.connect("ann")
				if code := a.do("session:open", c.data); code != c.code {
					t.Fatalf("answered %q, want %q", code, c.code)
				}
				if c.code != "" {
					if st := a.State(); st != Authenticating {
						t.Errorf("state %v", st)
					}
					clear(n.world.fails)
					a.must("session:open", c.data) // on the same connection
					return
				}
				r := &a.reply
				if !slices.Equal(r.rooms(), c.rooms) || r.Recovered != nil || r.Session == "" || r.ResumeToken == "" || r.Device != c.device {
					t.Errorf("welcome %+v", r)
				}
				if refused := len(r.Refused) == 1 && r.Refused[0].Room+" "+r.Refused[0].Code == c.refused; !refused && (c.refused != "" || r.Refused != nil) {
					t.Errorf("refused %v", r.Refused)
				}
				slices.Sort(c.rooms)
				if got := a.joined(); !slices.Equal(got, c.rooms) {
					t.Errorf("joined %v", got)
				}
				if st := a.State(); st != Active || n.SessionsOpened.Load() != 1 {
					t.Errorf("state %v, %d opened", st, n.SessionsOpened.Load())
				}
			})
		})
	}
}

func TestADeviceOtherThanTheTokensIsRefused(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		first := n.open("ann")
		for action, data := range map[string]map[string]any{
			"session:open":   {},
			"session:resume": {"session": first.reply.Session, "resume_token": first.reply.ResumeToken},
		} {
			a := n.connect("")
			a.Authenticated(&event.Identity{Tenant: tenant, User: "ann", Device: "tv"})
			data["device"] = "phone"
			if code := a.do(action, data); code != "forbidden" || a.reply.Field != "data.device" || a.State() != Authenticating {
				t.Errorf("%s: answered %q in %q, state %v", action, code, a.reply.Field, a.State())
			}
			data["device"] = "tv"
			a.must(action, data)
			if a.reply.Device != "tv" {
				t.Errorf("%s: device %q", action, a.reply.Device)
			}
		}
	})
}

func TestTheDeviceOfAFailedOpenDoesNotStay(t *testing.T) {
	for name, c := range map[string]struct{ fails, action string }{
		"open":           {"RoomsOf", "session:open"},
		"resume":         {"Load", "session:resume"},
		"it has a place": {"Online", "session:open"},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(t *testing.T, n *node) {
				n.cfg.Devices, n.cfg.DevicesPolicy = 1, "reject"
				n.deps.Presence = away{n.world}
				a := n.connect("ann")
				data := map[string]any{"session": "s", "resume_token": "t", "device": "tablet"}
				n.world.fail(c.fails, errNo)
				if code := a.do(c.action, data); code == "" {
					t.Fatal("opened")
				}
				n.world.fail(c.fails, nil)
				if other, code := n.device("ann", "watch"); code != "" {
					t.Errorf("what is not open takes a place: %s", code)
				} else {
					other.Closed()
				}
				data["device"] = "phone"
				a.must(c.action, data)
				if a.reply.Device != "phone" || a.Identity().Device != "phone" {
					t.Errorf("device %q, %q", a.reply.Device, a.Identity().Device)
				}
			})
		})
	}
}

// away is a Presence that may fail.
type away struct{ *world }

func (w away) Online(context.Context, string, string, string, bool, *atomic.Int64) error {
	defer w.mu.Unlock()
	return w.enter("Online")
}
func (away) Offline(string, string, *atomic.Int64)            {}
func (away) Active(string, string)                            {}
func (away) JoinedRoom(string, string, string, *atomic.Int64) {}
func (away) LeftRoom(string, string, string, *atomic.Int64)   {}

func TestResume(t *testing.T) {
	at := func(offset uint64) event.Position { return event.Position{Epoch: epoch, Offset: offset} }
	for name, c := range map[string]struct {
		meanwhile func(n *node) // between the drop and the resume
		session   string        // instead of the session's own
		token     string        // likewise
		user      string        // likewise
		positions map[string]event.Position
		reason    string // why not recovered
		lost      string // the one room lost, and why
		rooms     []string
		replayed  int // messages
	}{
		"where it was":         {rooms: []string{"channel:x", "user:ann"}},
		"what was missed":      {meanwhile: missed(3), rooms: []string{"channel:x", "user:ann"}, replayed: 3},
		"what was not handled": {positions: map[string]event.Position{"channel:x": at(1)}, rooms: []string{"channel:x", "user:ann"}, replayed: 1},
		"another room too":     {positions: map[string]event.Position{"channel:y": {}}, rooms: []string{"channel:x", "channel:y", "user:ann"}},
		"a room gained": {
			meanwhile: func(n *node) {
				n.world.publish("conv:1", "message:send", 0)
				n.world.publish("user:ann", "room:added", map[string]any{"room": "conv:1", "since": event.Position{}})
				n.world.member["ann"] = []string{"conv:1"}
			},
			rooms: []string{"channel:x", "conv:1", "user:ann"}, replayed: 1,
		},
		"a room gained behind many events of the own room": {
			meanwhile: func(n *node) {
				for range gainedEvents + 10 {
					n.world.publish("user:ann", "message:read", 0)
				}
				n.world.publish("conv:1", "message:send", 0)
				n.world.publish("user:ann", "room:added", map[string]any{"room": "conv:1", "since": event.Position{}})
				n.world.member["ann"] = []string{"conv:1"}
			},
			positions: map[string]event.Position{"user:ann": at(gainedEvents + 11)}, rooms: []string{"channel:x", "conv:1", "user:ann"}, replayed: 1,
		},
		"a room gained behind a page of the own room": {
			meanwhile: func(n *node) {
				for range gainedEvents + 10 {
					n.world.publish("user:ann", "message:read", 0)
				}
				n.world.publish("conv:1", "message:send", 0)
				n.world.publish("user:ann", "room:added", map[string]any{"room": "conv:1", "since": event.Position{}})
				n.world.member["ann"] = []string{"conv:1"}
			},
			positions: map[string]event.Position{"user:ann": at(5)}, rooms: []string{"channel:x", "conv:1", "user:ann"}, replayed: 1,
		},
		"an unknown session": {session: "x", reason: reasonUnknown, rooms: []string{"user:ann"}},
		"a session whose time is over": {
			meanwhile: func(*node) { time.Sleep(limits.ResumeTTL + recordSlack + time.Second) }, reason: reasonUnknown, rooms: []string{"user:ann"},
		},
		"another's session": {user: "ben", reason: reasonMismatch, rooms: []string{"user:ben"}},
		"the wrong token": {
			token: "x", positions: map[string]event.Position{"channel:x": at(1)}, reason: reasonMismatch,
			rooms: []string{"channel:x", "user:ann"}, replayed: 1,
		},
		"a position of another epoch": {
			positions: map[string]event.Position{"channel:x": {Epoch: "e0", Offset: 1}}, reason: reasonPositions, lost: "channel:x epoch",
			rooms: []string{"channel:x", "user:ann"},
		},
		"a position ahead": {
			positions: map[string]event.Position{"channel:x": at(9)}, reason: reasonPositions, lost: "channel:x ahead", rooms: []string{"channel:x", "user:ann"},
		},
		"a position trimmed": {
			meanwhile: func(n *node) { missed(5)(n); n.world.trimmed["channel:x"] = 4 },
			reason:    reasonPositions, lost: "channel:x trimmed", rooms: []string{"channel:x", "user:ann"},
		},
		"rooms gained that are not kept": {
			meanwhile: func(n *node) {
				n.world.publish("user:ann", "room:added", map[string]any{"room": "conv:1"})
				n.world.trimmed["user:ann"] = 1
			},
			reason: reasonPositions, lost: "user:ann trimmed", rooms: []string{"channel:x", "user:ann"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			inTime(t, func(t *testing.T, n *node) {
				missed(2)(n)
				a := n.open("ann", "channel:x")
				a.Closed()
				synctest.Wait()
				if c.meanwhile != nil {
					time.Sleep(time.Second) // the record is saved
					c.meanwhile(n)
				}
				for _, s := range []struct{ to, from *string }{{&a.reply.Session, &c.session}, {&a.reply.ResumeToken, &c.token}} {
					if *s.from != "" {
						*s.to = *s.from
					}
				}
				b := a.resumeAs(cmp.Or(c.user, "ann"), c.positions)
				r := &b.reply
				if r.Recovered == nil || *r.Recovered != (c.reason == "") || r.Reason != c.reason || (r.Session == a.reply.Session) != (c.reason == "" || c.reason == reasonPositions) {
					t.Errorf("welcome %+v", r)
				}
				if lost := len(r.Lost) == 1 && r.Lost[0].Room+" "+r.Lost[0].Reason == c.lost; !lost && (c.lost != "" || r.Lost != nil) {
					t.Errorf("lost %v", r.Lost)
				}
				if got := b.joined(); !slices.Equal(got, c.rooms) {
					t.Errorf("joined %v", got)
				}
				if n.Resumed.Load()+n.Unrecovered.Sum() != 1 || (n.Resumed.Load() == 1) != (c.reason == "") {
					t.Errorf("%d resumed, %d not recovered", n.Resumed.Load(), n.Unrecovered.Sum())
				}
				n.Unrecovered.Each(func(count uint64, reason string) {
					if (count == 1) != (reason == c.reason) {
						t.Errorf("%d are counted as %s", count, reason)
					}
				})
				synctest.Wait()
				got := len(slices.DeleteFunc(b.conn.sent(), func(js string) bool { return !strings.Contains(js, "message:send") }))
				if got != c.replayed {
					t.Errorf("%d events were replayed, want %d", got, c.replayed)
				}
			})
		})
	}
}

// missed publishes events in channel:x.
func missed(events int) func(n *node) {
	return func(n *node) {
		for range events {
			n.deps.Hub.Publish([]event.Record{*n.world.publish("channel:x", "message:send", 0)})
		}
	}
}

func TestASessionIsResumedWhileItIsBeingSaved(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		n.world.block["Save"] = func() { time.Sleep(time.Second) }
		a := n.open("ann", "channel:x")
		a.Closed()
		time.Sleep(saveEvery + time.Millisecond)
		if b := a.resume(nil); !*b.reply.Recovered || len(b.joined()) != 2 {
			t.Errorf("welcome %+v", b.reply)
		}
	})
}

func TestResumeThatFailsMayBeTriedAgain(t *testing.T) {
	for _, method := range []string{"Load", "After", "Head", "RoomsOf"} {
		t.Run(method, func(t *testing.T) {
			inTime(t, func(t *testing.T, n *node) {
				n.world.publish("user:ann", "message:send", 0)
				a := n.open("ann")
				a.Closed()
				time.Sleep(time.Second) // the record is saved
				n.world.publish("user:ann", "message:send", 0)
				b := n.connect("ann")
				data := map[string]any{"session": a.reply.Session, "resume_token": a.reply.ResumeToken}
				n.world.fail(method, errNo)
				if code := b.do("session:resume", data); code != "unavailable" {
					t.Fatalf("answered %q", code)
				}
				n.world.fail(method, nil)
				b.must("session:resume", data)
				if b.reply.Session != a.reply.Session || b.State() != Active {
					t.Errorf("session %s, state %v", b.reply.Session, b.State())
				}
			})
		})
	}
}

// A client that has lost its connection without the node knowing takes its session
// to a new one.
func TestTheNewerConnectionHasTheSession(t *testing.T) {
	inTime(t, func(t *testing.T, n *node) {
		a := n.open("ann", "channel:x")
		b := a.resume(nil)
		if got := a.conn.end(); got != fault.SessionReplaced.Code() {
			t.Errorf("the older connection ends with %q", got)
		}
		if err := a.JoinRoom(t.Context(), "channel:y", event.Position{}, event.Membership{}, false); !fault.Is(err, fault.SessionLost) {
			t.Errorf("the older connection joins a room: %v", err)
		}
		a.Closed()
		time.Sleep(time.Second)
		if r := n.world.stored(b.reply.Session); len(r.Rooms) != 2 || r.ID != b.reply.Session {
			t.Errorf("stored %+v", r)
		}
		if states, users := n.Counts(); states["active"] != 1 || states["detached"] != 0 || users != 1 {
			t.Errorf("%v, %d users", states, users)
		}
	})
}

// The welcome is written by hand: as encoding/json would.
func TestWelcomeIsJSON(t *testing.T) {
	type room struct {
		Room   string `json:"room"`
		Epoch  string `json:"epoch"`
		Offset uint64 `json:"offset"`
		Unread uint64 `json:"unread"`
		Read   uint64 `json:"read_offset"`
		Member bool   `json:"member"`
	}
	type refused struct {
		Room string `json:"room"`
		Code string `json:"code"`
	}
	type lost struct {
		Room   string `json:"room"`
		Reason string `json:"reason"`
	}
	type data struct {
		Session   string    `json:"session"`
		Node      string    `json:"node"`
		Token     string    `json:"resume_token"`
		TTL       int64     `json:"resume_ttl_ms"`
		User      string    `json:"user"`
		Device    string    `json:"device"`
		Heartbeat int64     `json:"heartbeat_ms"`
		MaxFrame  int       `json:"max_frame_bytes"`
		Rooms     []room    `json:"rooms"`
		Refused   []refused `json:"refused,omitempty"`
		Recovered *bool     `json:"recovered,omitempty"`
		Reason    string    `json:"reason,omitempty"`
		Lost      []lost    `json:"lost,omitempty"`
	}
	isNot, is := false, true
	for name, c := range map[string]struct {
		w    welcome
		want data
	}{
		"least": {want: data{Rooms: []room{}}},
		"opened": {
			welcome{
				session: "s", node: "n\"1\n", token: "t", ttl: time.Minute, user: "ann", device: "phone", limits: Limits{Heartbeat: time.Second, MaxFrameBytes: 9},
				rooms:   []roomState{{room: "a:1", Position: event.Position{Epoch: "e", Offset: event.MaxOffset}, unread: 2, read: 3, member: true}, {room: "a:2"}},
				refused: []without{{"a:3", "forbidden"}},
			},
			data{
				Session: "s", Node: "n\"1\n", Token: "t", TTL: 60000, User: "ann", Device: "phone", Heartbeat: 1000, MaxFrame: 9,
				Rooms: []room{{"a:1", "e", event.MaxOffset, 2, 3, true}, {Room: "a:2"}}, Refused: []refused{{"a:3", "forbidden"}},
			},
		},
		"recovered": {welcome{recovered: yes}, data{Rooms: []room{}, Recovered: &is}},
		"lost": {
			welcome{recovered: no, reason: reasonPositions, lost: []without{{"a:1", "epoch"}, {"a:2", "ahead"}}},
			data{Rooms: []room{}, Recovered: &isNot, Reason: reasonPositions, Lost: []lost{{"a:1", "epoch"}, {"a:2", "ahead"}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			want, err := json.Marshal(c.want)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.w.json(); string(got) != string(want) {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestTexts(t *testing.T) {
	for raw, want := range map[string][]string{
		"[]": nil, "[ ]": nil, `["a:1"]`: {"a:1"}, "[ \"a:1\" ,\n\"b\\u003a2\"\t]": {"a:1", "b:2"}, `["",""]`: {"", ""},
	} {
		if got := texts([]byte(raw)); !slices.Equal(got, want) {
			t.Errorf("%s: %q", raw, got)
		}
	}
	if texts(nil) != nil {
		t.Error("nothing is something")
	}
}
