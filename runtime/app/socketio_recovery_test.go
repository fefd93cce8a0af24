package app

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/trail"
)

// chatty is a node whose clients send as fast as they can.
func chatty(t testing.TB, set ...string) *node {
	t.Helper()
	return serve(t, append(set, "limit.message_burst=1000000", "limit.query_burst=1000000", "limit.control_burst=1000000")...)
}

// tell is do under an id that is not used again.
func tell(c *client, action, room, data string) received {
	c.t.Helper()
	id := fmt.Sprint("tell ", rand.Uint64())
	c.send(envelope(action, room, id, data))
	e := c.answer(id)
	if e.Type != "ack" {
		c.t.Fatalf("%s %s by %s: %s", action, room, c.user, e.js)
	}
	return e
}

// say has a native client publish texts in a room.
func say(c *client, room string, texts ...string) {
	c.t.Helper()
	for _, text := range texts {
		tell(c, "message:send", room, `{"text":`+quoted(text)+`}`)
	}
}

// TestSocketIORecovery drops a client at each moment that is a special one, and expects
// all that was missed, once.
func TestSocketIORecovery(t *testing.T) {
	t.Parallel()
	n := chatty(t)
	for _, by := range carriers {
		t.Run(string(by), func(t *testing.T) {
			t.Parallel()
			user, a, b := "ann-"+string(by), "conv:a-"+string(by), "conv:b-"+string(by)
			ben := n.open(t, dial{user: "ben-" + string(by)})
			for _, room := range []string{a, b} {
				tell(ben, "room:create", room, `{"members":[`+quoted(user)+`]}`)
			}
			r := n.reader(t, user, by)
			again := func(want ...string) {
				t.Helper()
				r.s.drop()
				if r.resume(by); !r.recovered {
					t.Fatalf("not recovered: %s %s", r.reason, r.lost)
				}
				r.take(len(want))
				r.settle()
				if got := r.heard(); !slices.Equal(got, want) {
					t.Fatalf("after a drop came %q, want %q", got, want)
				}
			}
			again() // nothing was ever sent
			if r.offset != "" {
				t.Fatal(r.offset)
			}
			r.s.drop()
			say(ben, a, "1", "2")
			again(a+"/2", a+"/3") // none had come before the drop; a/1 is its creation
			again()
			again() // a second and a third time with the same offset
			r.s.drop()
			say(ben, b, "1")
			again(b + "/2")
			say(ben, a, "3")
			r.take(1 + len(r.got))
			again()
			// A flood in the other room, while it is away and while it is there.
			r.s.drop()
			var want []string
			for i := range 700 {
				say(ben, b, "x")
				want = append(want, fmt.Sprintf("%s/%d", b, 3+i))
			}
			again(want...)
			say(ben, a, "4")
			for range 700 {
				say(ben, b, "y")
			}
			r.take(len(want) + 701)
			again()
			// What the client was sent and has not read comes again, without the rest.
			say(ben, a, "5")
			r.take(1)
			say(ben, b, "z")
			say(ben, a, "6")
			again(a+"/7", b+"/1403")
		})
	}
}

// follower is a reader, and what it should have.
type follower struct {
	*reader
	at     map[string]uint64 // by room, the last event that it has had
	seen   int               // of reader.got
	events int
	whole  int // times that it was recovered
	not    int
}

// check holds what has come since it was called last against the model.
func (f *follower) check() {
	f.t.Helper()
	for _, h := range f.got[f.seen:] {
		if at, in := f.at[h.meta.Room]; !in || h.meta.Offset != at+1 {
			f.t.Fatalf("%s had %s up to %d (%t), and then came %d", f.user, h.meta.Room, at, in, h.meta.Offset)
		}
		f.at[h.meta.Room]++
		f.events++
	}
	f.seen = len(f.got)
}

// again drops the connection and comes back.
func (f *follower) again(by carrier) {
	f.t.Helper()
	f.check()
	f.s.drop()
	f.resume(by)
	f.seen = 0
	if f.recovered {
		f.whole++
		for room := range f.at {
			if _, in := f.rooms[room]; !in {
				f.t.Fatalf("%s is recovered without %s", f.user, room)
			}
		}
		return
	}
	f.not++
	f.at = f.rooms
}

// TestSocketIORecoveryByChance interleaves many rooms, drops and joins by chance, and
// holds what comes against a model: each event once, in its room's order, and where the
// state is not recovered nothing of before.
func TestSocketIORecoveryByChance(t *testing.T) {
	t.Parallel()
	n := chatty(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	const rooms, steps = 12, 400
	const (
		stays   = "stays in its rooms"
		leaves  = "leaves and joins again"
		rewinds = "joins again where it was before"
	)
	for k, c := range []struct {
		by   carrier
		does string
	}{{byWebSocket, stays}, {byWebSocket, leaves}, {byWebSocket, rewinds}, {byUpgrade, rewinds}, {byPolling, leaves}} {
		by := c.by
		t.Run(fmt.Sprint(by, " ", c.does), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, uint64(k)))
			ben := n.open(t, dial{user: fmt.Sprint("ben-", k)})
			f := &follower{reader: n.reader(t, fmt.Sprint("ann-", k), by)}
			f.at = f.rooms
			name := func() string { return fmt.Sprintf("channel:%d-%d", k, rng.IntN(rooms)) }
			for i := range rooms {
				room := fmt.Sprintf("channel:%d-%d", k, i)
				f.at[room] = f.join(room)
				tell(ben, "room:join", room, "{}")
			}
			kinds := 100
			if c.does == stays {
				kinds = 95
			}
			for range steps {
				switch x := rng.IntN(kinds); {
				case x < 60:
					for range 1 + rng.IntN(8) {
						say(ben, name(), "x")
					}
				case x < 75:
					f.settle()
				case x < 80: // reads some of it
					for range rng.IntN(5) {
						if _, missing := f.behind(n); missing {
							f.take(len(f.got) + 1)
							f.check()
						}
					}
				case x < 95:
					f.again(by)
				default:
					room := name()
					f.do(`["room:leave",{"room":"` + room + `"}]`)
					f.check()
					delete(f.at, room)
					say(ben, room, "while it is away")
					if rng.IntN(3) == 0 {
						f.again(by)
					}
					f.at[room] = f.join(room)
					if c.does == rewinds {
						f.at[room] = f.joinBehind(room, f.at[room]-min(f.at[room], 1+rng.Uint64N(8)))
					}
				}
				f.check()
			}
			f.again(by)
			for room, missing := f.behind(n); missing; room, missing = f.behind(n) {
				f.take(len(f.got) + 1)
				f.check()
				_ = room
			}
			f.settle()
			f.check()
			t.Logf("%d events, %d times recovered, %d times not", f.events, f.whole, f.not)
			// What is sent again makes the node uncertain, until something else has come.
			if f.events == 0 || f.not > 0 && c.does != rewinds || f.whole < 2*f.not {
				t.Errorf("%d times recovered and %d times not", f.whole, f.not)
			}
		})
	}
}

// join joins a room, and gives where the client stands in it then.
func (f *follower) join(room string) uint64 {
	f.t.Helper()
	var at struct{ Offset uint64 }
	if err := json.Unmarshal(f.do(`["room:join",{"room":"`+room+`"}]`).Data, &at); err != nil {
		f.t.Fatal(err)
	}
	return at.Offset
}

// behind names a room of which the client has not had all.
func (f *follower) behind(n *node) (string, bool) {
	f.t.Helper()
	for room, at := range f.at {
		h, err := n.app.stores.rooms.Head(f.t.Context(), "acme", room)
		if err != nil {
			f.t.Fatal(err)
		}
		if h.Offset > at {
			return room, true
		}
	}
	return "", false
}

// TestSocketIORecoveryRefused comes back with what is not the client's, or is not good
// any more.
func TestSocketIORecoveryRefused(t *testing.T) {
	t.Parallel()
	n := chatty(t)
	ben := n.open(t, dial{user: "ben"})
	made := 0
	// fresh is a client in a room of its own where it has had three of five events.
	fresh := func(t *testing.T) (*reader, string) {
		made++
		user, room := fmt.Sprint("ann-", made), fmt.Sprint("conv:", made)
		tell(ben, "room:create", room, `{"members":[`+quoted(user)+`]}`)
		r := n.reader(t, user, byWebSocket)
		say(ben, room, "1", "2", "3")
		r.take(3)
		r.s.drop()
		say(ben, room, "4", "5")
		return r, room
	}
	other := n.reader(t, "mallory", byWebSocket)
	mark := func(room string, offset uint64) string {
		return string(trail.AppendText(nil, trail.Of(room, n.epoch("acme", room), offset)))
	}
	for _, c := range []struct {
		name   string
		forge  func(r *reader, room string)
		whole  bool
		reason string
	}{
		{"as it is", func(*reader, string) {}, true, ""},
		{"another user's", func(r *reader, _ string) { r.pid, other.pid = other.pid, "" }, false, "session_mismatch"},
		{"forged secret", func(r *reader, _ string) {
			p := strings.Split(r.pid, ".")
			r.pid = p[0] + "." + strings.Repeat("A", len(p[1]))
		}, false, "session_mismatch"},
		{"forged session", func(r *reader, _ string) {
			p := strings.Split(r.pid, ".")
			r.pid = "01ARZ3NDEKTSV4RRFFQ69G5FAV." + p[1]
		}, false, "session_unknown"},
		{"no pid at all", func(r *reader, _ string) { r.pid = "x" }, false, ""},
		{"a secret and more", func(r *reader, _ string) { r.pid += "x" }, false, "session_mismatch"},
		{"garbage", func(r *reader, _ string) { r.offset = "garbage" }, false, "positions_lost"},
		{"from the future", func(r *reader, room string) { r.offset = mark(room, 99) }, false, "positions_lost"},
		{"of a room that it has not", func(r *reader, _ string) {
			r.offset = mark("conv:1", 2)
		}, false, "positions_lost"},
		{"of long ago", func(r *reader, room string) { r.offset = mark(room, 2) }, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, room := fresh(t)
			c.forge(r, room)
			r.resume(byWebSocket)
			if r.recovered != c.whole || r.reason != c.reason {
				t.Fatalf("recovered %t, %q %s", r.recovered, r.reason, r.lost)
			}
			if r.recovered {
				r.take(2)
			}
			r.settle()
			for _, h := range r.got {
				if !r.recovered || h.meta.Room != room {
					t.Errorf("came %v", r.heard())
				}
			}
			say(ben, room, "6")
			if r.take(1 + len(r.got)); r.got[len(r.got)-1].meta.Offset != 7 {
				t.Error(r.heard())
			}
			say(ben, room, "7")
			r.s.drop()
			if r.resume(byWebSocket); !r.recovered {
				t.Errorf("then it is not recovered: %s %s", r.reason, r.lost)
			}
		})
	}
	body := n.admin("/metrics").body
	for _, line := range []string{
		`heddle_sessions_total{how="unrecovered"} 7`,
		`heddle_sessions_unrecovered_total{reason="session_unknown"} 1`,
		`heddle_sessions_unrecovered_total{reason="session_mismatch"} 3`,
		`heddle_sessions_unrecovered_total{reason="positions_lost"} 3`,
	} {
		if !strings.Contains(body, "\n"+line+"\n") {
			t.Error("the metrics lack", line)
		}
	}
}

// TestSocketIORecoveryOfAnotherTenant: the same user of another tenant has nothing of it.
func TestSocketIORecoveryOfAnotherTenant(t *testing.T) {
	t.Parallel()
	n := chatty(t)
	r := n.reader(t, "ann", byWebSocket)
	r.do(`["room:join",{"room":"channel:x"}]`)
	r.do(`["message:send",{"room":"channel:x","text":"secret"}]`)
	r.take(1)
	thief := *r
	thief.token = mint(t, claims("globex", "ann"))
	if thief.resume(byWebSocket); thief.recovered || thief.reason != "session_unknown" || thief.sid == r.sid || len(thief.rooms) > 1 {
		t.Error(thief)
	}
	thief.settle()
	if len(thief.got) > 0 {
		t.Error(thief.heard())
	}
	r.do(`["session:ping"]`) // nobody took its place
}

// TestSocketIORecoveryOfWhatIsGone: history is trimmed, rooms are deleted, tokens end.
func TestSocketIORecoveryOfWhatIsGone(t *testing.T) {
	t.Parallel()
	n := chatty(t, "storage.sweep_interval=10ms", "storage.sweep_rest=0s")
	ben := n.open(t, dial{user: "ben"})
	r := n.reader(t, "ann", byWebSocket)
	for _, room := range []string{"short:x", "team:x", "team:y"} {
		if strings.HasPrefix(room, "team") {
			tell(ben, "room:create", room, "{}")
		} else {
			tell(ben, "room:join", room, "{}")
		}
		r.do(`["room:join",{"room":"` + room + `"}]`)
	}
	say(ben, "team:x", "1")
	r.settle()
	r.s.drop()
	tell(ben, "room:delete", "team:x", "{}") // that of its last event
	say(ben, "team:y", "1")
	if r.resume(byWebSocket); !r.recovered {
		t.Errorf("not recovered: %s %s", r.reason, r.lost)
	}
	r.take(1)
	if _, in := r.rooms["team:x"]; in || !slices.Contains(r.heard(), fmt.Sprint("team:y/", n.head("team:y"))) {
		t.Error(r.rooms, r.heard())
	}
	say(ben, "short:x", "1")
	r.take(1)
	r.s.drop()
	say(ben, "short:x", "2", "3", "4", "5", "6", "7", "8", "9")
	eventually(t, "it is trimmed", func() bool { return len(n.records("acme", "short:x")) <= 3 })
	if r.resume(byWebSocket); r.recovered || r.reason != "positions_lost" || !strings.Contains(r.lost, "trimmed") {
		t.Error(r.recovered, r.reason, r.lost)
	}
	r.settle()
	if len(r.got) > 0 {
		t.Error(r.heard())
	}
	// Its token has ended: it is refused, and comes back with another.
	r.s.drop()
	say(ben, "short:x", "10")
	old := claims("acme", "ann")
	old.Expires = time.Now().Add(-time.Minute)
	r.token = mint(t, old)
	if p := r.try(byWebSocket); p.kind != '4' || !strings.Contains(p.data, `"code":"token_expired"`) {
		t.Error(p)
	}
	r.token = ""
	if r.resume(byWebSocket); !r.recovered {
		t.Error(r.reason, r.lost)
	}
	r.take(1)
}

func (n *node) head(room string) uint64 {
	h, err := n.app.stores.rooms.Head(n.t.Context(), "acme", room)
	if err != nil {
		n.t.Fatal(err)
	}
	return h.Offset
}

// TestSocketIORecoveryBesideTheOldConnection: the client has lost a connection that the
// node still takes for good, and writes to.
func TestSocketIORecoveryBesideTheOldConnection(t *testing.T) {
	t.Parallel()
	n := chatty(t)
	ben := n.open(t, dial{user: "ben"})
	tell(ben, "room:join", "channel:x", "{}")
	for _, by := range carriers {
		r := n.reader(t, "ann", by)
		r.do(`["room:join",{"room":"channel:x"}]`)
		say(ben, "channel:x", "1", "2")
		r.take(1)
		old, at := r.s, n.head("channel:x")
		if r.resume(by); !r.recovered {
			t.Fatal(r.reason, r.lost)
		}
		say(ben, "channel:x", "3")
		r.take(2)
		if want := []string{fmt.Sprint("channel:x/", at), fmt.Sprint("channel:x/", at+1)}; !slices.Equal(r.heard(), want) {
			t.Errorf("%q, want %q", r.heard(), want)
		}
		p, before := old.await("DISCONNECT", func(p packet5) bool { return p.kind == '1' })
		if len(before) == 0 || !strings.HasPrefix(before[len(before)-1].data, `["session:closed",{"code":"session_replaced"`) {
			t.Error(p, before)
		}
		old.leave()
		r.s.leave()
		eventually(t, "both connections are over", func() bool { return len(n.connections("acme", "ann")) == 0 })
	}
}

// TestSocketIORecoveryUnanswered: an answer that a client does not get must not change
// what the next one is told.
func TestSocketIORecoveryUnanswered(t *testing.T) {
	t.Parallel()
	n := chatty(t, "storage.sweep_interval=10ms", "storage.sweep_rest=0s")
	ben := n.open(t, dial{user: "ben"})
	for _, lost := range []bool{false, true} {
		room := fmt.Sprint("short:", lost)
		tell(ben, "room:join", room, "{}")
		r := n.reader(t, "ann", byWebSocket)
		r.do(`["room:join",{"room":"` + room + `"}]`)
		say(ben, room, "1")
		r.take(1)
		r.s.drop()
		say(ben, room, "2")
		if lost {
			say(ben, room, "3", "4", "5", "6", "7")
			eventually(t, "it is trimmed", func() bool { return len(n.records("acme", room)) <= 3 })
		}
		for range 2 {
			deaf := *r // its answer is never read
			deaf.resume(byWebSocket)
			if deaf.recovered == lost {
				t.Fatal(deaf.recovered, deaf.reason)
			}
			deaf.s.drop()
			if lost {
				break
			}
		}
		if r.resume(byWebSocket); r.recovered == lost {
			t.Errorf("recovered is %t: %s", r.recovered, r.reason)
		}
		if !lost {
			r.take(1)
		}
		r.settle()
		if want := map[bool]int{false: 1, true: 0}[lost]; len(r.got) != want {
			t.Error(r.heard())
		}
	}
}

// TestSocketIORecoveryAfterARestart: the session outlives the node.
func TestSocketIORecoveryAfterARestart(t *testing.T) {
	t.Parallel()
	n := chatty(t)
	r := n.reader(t, "ann", byWebSocket)
	for _, room := range []string{"channel:x", "channel:y"} {
		r.do(`["room:join",{"room":"` + room + `"}]`)
		r.do(`["message:send",{"room":"` + room + `","text":"1"}]`)
	}
	r.take(2)
	r.s.drop()
	n.stop()
	n.start()
	ben := n.open(t, dial{user: "ben"})
	tell(ben, "room:join", "channel:x", "{}")
	say(ben, "channel:x", "2")
	if r.resume(byWebSocket); !r.recovered {
		t.Fatal(r.reason, r.lost)
	}
	r.take(1)
	r.settle()
	if got := r.heard(); !slices.Equal(got, []string{"channel:x/2"}) {
		t.Error(got)
	}
}

// TestSocketIORecoveryOfSlowClients: what waits for a client that does not read is more
// than a trail remembers.
func TestSocketIORecoveryOfSlowClients(t *testing.T) {
	t.Parallel()
	n := chatty(t)
	ben := n.open(t, dial{user: "ben"})
	f := &follower{reader: n.reader(t, "ann", byWebSocket)}
	f.at = f.rooms
	rooms := []string{"channel:x", "channel:y"}
	for _, room := range rooms {
		tell(ben, "room:join", room, "{}")
		f.at[room] = f.join(room)
	}
	for range 400 {
		for _, room := range rooms {
			say(ben, room, "x")
		}
	}
	f.take(20)
	f.again(byWebSocket)
	f.settle()
	f.check()
	for _, missing := f.behind(n); missing; _, missing = f.behind(n) {
		f.take(len(f.got) + 1)
		f.check()
	}
}
