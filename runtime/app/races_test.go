package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/session"
)

// rounds are of races of two clients over real sockets, since who wins is chance. Each
// test says what must hold whoever does.
const rounds = 20

// together sends at about the same time, each of them first in its turn.
func together(round int, sends ...func()) {
	for i := range sends {
		sends[(round+i)%len(sends)]()
		time.Sleep(rand.N(200 * time.Microsecond)) // what is varied is time itself
	}
}

// asks is a send for together.
func (c *client) asks(action, room, id, data string) func() {
	return func() { c.send(envelope(action, room, id, data)) }
}

// acked sends a request and expects its ack.
func (c *client) acked(action, room, id, data string) received {
	c.t.Helper()
	c.asks(action, room, id, data)()
	e := c.answer(id)
	if e.Type != "ack" {
		c.t.Fatalf("%s %s by %s: %s", action, room, c.user, e.js)
	}
	return e
}

// settled is the answer to what was sent before, which is sent again while the answer
// says that it may be.
func (c *client) settled(send func(), id string, before ...func(received)) received {
	c.t.Helper()
	for {
		e := c.answer(id, before...)
		if e.Type == "ack" || !e.Payload.Data.Retryable {
			return e
		}
		send()
	}
}

// refused sends a request and expects one of the errors. While the session is still
// following what its user was added to, that is not known yet.
func (c *client) refused(action, room, id, data string, codes ...string) {
	c.t.Helper()
	ask := c.asks(action, room, id, data)
	ask()
	if e := c.settled(ask, id); e.Type != "error" || !slices.Contains(codes, e.Payload.Data.Code) {
		c.t.Errorf("%s %s by %s is not refused: %s", action, room, c.user, e.js)
	}
}

// until reads until an event is there, and returns all of them.
func (c *client) until(is func(received) bool) (all []received) {
	c.t.Helper()
	for {
		all = append(all, c.must())
		if is(all[len(all)-1]) {
			return all
		}
	}
}

// waiting is what has come to a client that has not read it, answers left out.
func (c *client) waiting(id string) (all []received) {
	c.t.Helper()
	c.asks("session:ping", "", id, "{}")()
	c.answer(id, func(e received) { all = append(all, e) })
	return all
}

// TestRaceJoinAgainstDelete: the delete always succeeds and is the room's last event.
// The join is stored before it, or it is refused as not_found. Who has joined is told
// of the end, on all devices. Nobody is in the room afterwards, nor
// can come in, nor is told of anything behind the end.
func TestRaceJoinAgainstDelete(t *testing.T) {
	t.Parallel()
	n := serve(t, "limit.query_burst=10000")
	ann, ben, tab := n.open(t, dial{user: "ann"}), n.open(t, dial{user: "ben"}), n.open(t, dial{user: "ben"})
	joined := 0
	for i := range rounds {
		room, id := fmt.Sprint("team:", i), fmt.Sprint(i)
		ann.acked("room:create", room, "c", "{}")
		together(i, ann.asks("room:delete", room, "d", "{}"), ben.asks("room:join", room, "j"+id, "{}"))
		d := ann.settled(ann.asks("room:delete", room, "d", "{}"), "d")
		if d.Type != "ack" {
			t.Fatal(d.js)
		}
		var told []received
		note := func(e received) { told = append(told, e) }
		switch j := ben.answer("j"+id, note); {
		case j.Type == "ack":
			joined++
			if j.Offset >= d.Offset {
				t.Errorf("joined at %d, behind the end at %d", j.Offset, d.Offset)
			}
			told = append(told, ben.pending(room, d.Offset, told)...)
			tab.pending(room, d.Offset, nil)
		case j.Payload.Data.Code != "not_found":
			t.Errorf("the join: %s", j.js)
		}
		for _, try := range []struct{ action, data string }{{"message:send", `{"text":"x"}`}, {"room:join", "{}"}} {
			ask := ben.asks(try.action, room, try.action+id, try.data)
			ask()
			if e := ben.settled(ask, try.action+id, note); e.Payload.Data.Code != "forbidden" && e.Payload.Data.Code != "not_found" {
				t.Errorf("%s is not refused: %s", try.action, e.js)
			}
		}
		told = append(told, ben.waiting("p"+id)...)
		ends := 0
		for _, e := range told {
			if e.Room == room && e.Offset > d.Offset {
				t.Errorf("behind the end: %s", e.js)
			}
			if e.Room == room && e.Offset == d.Offset {
				ends++
			}
		}
		if ends > 2 { // it may come from both ways at once
			t.Errorf("told %d times of the end", ends)
		}
		if last := n.records("acme", room)[0]; last.Action != "room:delete" || last.Offset != d.Offset {
			t.Errorf("the last event is %s at %d", last.Action, last.Offset)
		}
	}
	again := n.connect(t, dial{user: "ben"})
	if rooms := again.do("session:open", "", "{}").Payload.Data.Rooms; len(rooms) != 1 {
		t.Errorf("still in %v", rooms)
	}
	t.Logf("joined %d times", joined)
}

// TestRaceEditAgainstDelete: the delete always succeeds. The edit is stored before it,
// or it is refused. Others hear the delete last, and nothing of what was said is left
// in history or in the store.
func TestRaceEditAgainstDelete(t *testing.T) {
	t.Parallel()
	n := serve(t, "limit.message_burst=10000")
	phone, tab, ben := n.open(t, dial{user: "ann"}), n.open(t, dial{user: "ann"}), n.open(t, dial{user: "ben"})
	phone.do("room:create", "team:1", `{"members":["ben"]}`)
	tab.until(func(e received) bool { return e.Payload.Action == "room:added" })
	edited := 0
	for i := range rounds {
		id := fmt.Sprint(i)
		at := phone.acked("message:send", "team:1", "m"+id, fmt.Sprintf(`{"text":"secret-%d"}`, i)).Offset
		heard := ben.until(func(e received) bool { return e.Offset == at && e.Room == "team:1" }) // from history it might come without its content
		edit := phone.asks("message:edit", "team:1", "e"+id, fmt.Sprintf(`{"offset":%d,"version":0,"text":"secret-%d, edited"}`, at, i))
		remove := tab.asks("message:delete", "team:1", "d"+id, fmt.Sprintf(`{"offset":%d}`, at))
		together(i, edit, remove)
		d, e := tab.settled(remove, "d"+id), phone.settled(edit, "e"+id)
		if d.Type != "ack" {
			t.Fatal(d.js)
		}
		want := []string{"message:send", "message:delete"}
		switch code := e.Payload.Data.Code; {
		case e.Type == "ack":
			edited++
			want = slices.Insert(want, 1, "message:edit")
			if e.Offset >= d.Offset {
				t.Errorf("edited at %d, behind the delete at %d", e.Offset, d.Offset)
			}
		case code != "not_found" && code != "conflict":
			t.Errorf("the edit: %s", e.js)
		}
		var got []string
		for _, e := range append(heard, ben.until(func(e received) bool { return e.Offset == d.Offset && e.Room == "team:1" })...) {
			if e.Room == "team:1" && e.Payload.Action != "room:create" {
				got = append(got, e.Payload.Action)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("ben heard %q, want %q", got, want)
		}
	}
	ben.findsNothing("team:1", "secret")
	t.Logf("edited %d times", edited)
}

// findsNothing looks for a word in all of a room's history, and in the store.
func (c *client) findsNothing(room, word string) {
	c.t.Helper()
	for before := "200"; ; {
		page := c.acked("room:history", room, "h"+before, `{"limit":200,"before":`+before+`}`)
		if strings.Contains(page.js, word) {
			c.t.Errorf("in history: %s", page.js)
		}
		if !page.Payload.Data.More {
			break
		}
		before = fmt.Sprint(page.Payload.Data.Events[0].Offset)
	}
	for _, r := range c.node.records("acme", room) {
		if strings.Contains(string(r.Data), word) {
			c.t.Errorf("in the store: %d %s %s", r.Offset, r.Action, r.Data)
		}
	}
}

// marker is what of message:read is of interest here.
type marker struct {
	Room           string
	Offset, Unread uint64
	ReadOffset     uint64 `json:"read_offset"`
	Rooms          []marker
}

func (e received) marker(t *testing.T) (m marker) {
	t.Helper()
	var all struct{ Payload struct{ Data marker } }
	if err := json.Unmarshal([]byte(e.js), &all); err != nil {
		t.Fatal(err)
	}
	return all.Payload.Data
}

// TestRaceTwoDevicesReading: both are acknowledged, one perhaps at its second try,
// with a marker that is neither behind what the device has read nor beyond the farther
// one. Both devices are told of the same markers, none of which is behind one before
// it, and so are the others in the room. What a device that comes later is told is the
// farthest.
func TestRaceTwoDevicesReading(t *testing.T) {
	t.Parallel()
	n := serve(t, "limit.message_burst=10000")
	phone, tab, ben := n.open(t, dial{user: "ann"}), n.open(t, dial{user: "ann"}), n.open(t, dial{user: "ben"})
	const messages, top = 6, 7
	want := map[string]uint64{}
	for i := range rounds {
		room, id := fmt.Sprint("conv:", i), fmt.Sprint(i)
		ben.acked("room:create", room, "c", `{"members":["ann"]}`)
		ben.text(times64(envelope("message:send", room, "", `{"text":"x"}`), messages))
		all := func(e received) bool { return e.Room == room && e.Offset == top }
		phone.until(all)
		tab.until(all)
		pick := rand.Perm(messages)
		read := map[*client]uint64{phone: uint64(pick[0] + 2), tab: uint64(pick[1] + 2)}
		far := max(read[phone], read[tab])
		want[room] = far
		data := func(c *client) string { return fmt.Sprintf(`{"offset":%d}`, read[c]) }
		asks := map[*client]func(){phone: phone.asks("message:read", room, "p"+id, data(phone)), tab: tab.asks("message:read", room, "t"+id, data(tab))}
		together(i, asks[phone], asks[tab])
		heard, stored := map[*client][]uint64{}, 0
		note := func(c *client) func(received) {
			return func(e received) {
				if m := e.marker(t); e.Room == "user:ann" && m.Room == room && e.Payload.Action == "message:read" {
					heard[c] = append(heard[c], m.Offset)
				}
			}
		}
		for c, id := range map[*client]string{phone: "p" + id, tab: "t" + id} {
			a := c.settled(asks[c], id, note(c))
			if m := a.marker(t); a.Type != "ack" || m.Offset < read[c] || m.Offset > far || m.Unread != top-m.Offset {
				t.Errorf("read %d of %v: %s", read[c], read, a.js)
			}
			if a.ID != "" {
				stored++
			}
		}
		for _, c := range []*client{phone, tab} {
			for len(heard[c]) < stored {
				note(c)(c.must())
			}
		}
		if h := heard[tab]; !slices.Equal(heard[phone], h) || stored == 0 || !slices.IsSorted(h) || h[len(h)-1] != far {
			t.Errorf("of %v the devices were told %v", read, heard)
		}
		ben.until(func(e received) bool {
			return e.Room == room && e.Type == "event" && e.Payload.Action == "message:read" && e.marker(t).Offset == far
		})
	}
	for _, r := range n.connect(t, dial{user: "ann"}).do("session:open", "", "{}").marker(t).Rooms {
		if far := want[r.Room]; far > 0 && (r.ReadOffset != far || r.Unread != top-far) {
			t.Errorf("%s: read %d, unread %d; want %d", r.Room, r.ReadOffset, r.Unread, far)
		}
	}
}

// TestRaceRefreshAgainstExpiry: a session whose refresh is acknowledged goes on behind
// the end of its first token; any other is closed with 4402. Nothing is in between.
// Sessions are looked at every second: one whose token ends a second earlier tells
// when that is. All are opened with tokens that last, then given one that ends when
// three times as long is over; those that have a lasting one again before are in time
// however slow the machine is.
func TestRaceRefreshAgainstExpiry(t *testing.T) {
	t.Parallel()
	n := serve(t, "session.expiry_notice=0s", "socket.close_timeout="+patience.String(), "socket.heartbeat.interval=10m", "limit.message_burst=10000")
	begin := time.Now()
	first, clients, fresh := n.open(t, dial{user: "first"}), make([]*client, 150), make([]string, 150)
	refresh := func(token string) string { return envelope("auth:refresh", "", "r", `{"token":`+quoted(token)+`}`) }
	for i := range clients {
		clients[i] = n.open(t, dial{user: fmt.Sprint("user", i)})
		fresh[i] = refresh(mintES256(t, clients[i].user))
	}
	end := time.Now().Add(3*time.Since(begin) + 2*time.Second).Truncate(time.Second) // tokens count in seconds
	shorten := func(c *client, at time.Time) {
		token := claims("acme", c.user)
		token.Expires = at
		c.text(refresh(mint(t, token)))
	}
	shorten(first, end)
	const early = 10
	for i, c := range clients {
		if shorten(c, end.Add(time.Second)); i < early {
			c.text(fresh[i])
		}
	}
	for i, c := range clients {
		if c.answer("r"); i < early {
			c.answer("r")
		}
	}
	time.Sleep(time.Until(end)) // what is waited for is time itself
	first.ends(4402)
	time.Sleep(985 * time.Millisecond) // what is waited for is time itself
	for i, c := range clients[early:] {
		c.text(fresh[early+i])
		time.Sleep(50 * time.Microsecond)
	}
	for _, c := range clients[:early] {
		c.do("room:join", "channel:x", "{}")
	}
	refreshed := early
	for _, c := range clients[early:] {
		js, err := c.next()
		if err == nil && parse(t, js).Type == "error" && parse(t, js).Payload.Data.Code == "token_expired" {
			js, err = c.next()
		}
		var over *closed
		switch {
		case errors.As(err, &over):
			if over.code != 4402 {
				t.Errorf("%s: %v", c.user, over)
			}
		case err != nil:
			t.Fatal(err)
		case parse(t, js).Type != "ack":
			t.Errorf("%s: %s", c.user, js)
		default:
			refreshed++
			c.do("room:join", "channel:x", "{}")
		}
	}
	eventually(t, "all others are gone", func() bool { return len(n.app.sessions.Connections(session.Filter{Tenant: "acme"})) == refreshed })
	t.Logf("refreshed %d of %d", refreshed, len(clients))
}

// TestRaceLeaveAgainstPublish: the leave always succeeds, and what ann says is stored.
// What ben says is stored, or it is refused. ann gets all of it in the order of the
// offsets. ben's devices get what was said until the leave, in that order too and
// without a gap; the one that leaves gets nothing behind the answer, the other nothing
// behind the end of the membership, and nobody what is said when that was seen.
func TestRaceLeaveAgainstPublish(t *testing.T) {
	t.Parallel()
	n := serve(t, "limit.message_burst=10000", "limit.query_burst=100000")
	ann, phone, tab := n.open(t, dial{user: "ann"}), n.open(t, dial{user: "ben"}), n.open(t, dial{user: "ben"})
	refused, behind, after := 0, 0, 0
	for i := range rounds {
		room, id := fmt.Sprint("conv:", i), fmt.Sprint(i)
		ann.acked("room:create", room, "c", `{"members":["ben"]}`)
		in := func(e received) bool {
			return e.Room == room && e.Payload.Action == "room:create" && e.Type == "message"
		}
		phone.until(in)
		tab.until(in)
		together(i,
			ann.asks("message:send", room, "a"+id, `{"text":"of ann"}`),
			tab.asks("room:leave", room, "l"+id, "{}"),
			phone.asks("message:send", room, "b"+id, `{"text":"of ben"}`))
		var heard [3][]received // by ann, phone, tab
		a := ann.answer("a"+id, func(e received) { heard[0] = append(heard[0], e) })
		b := phone.answer("b"+id, func(e received) { heard[1] = append(heard[1], e) })
		l := tab.answer("l"+id, func(e received) { heard[2] = append(heard[2], e) })
		if a.Type != "ack" || l.Type != "ack" {
			t.Fatal(a.js, l.js)
		}
		top := max(a.Offset, b.Offset, l.Offset)
		switch {
		case b.Type != "ack" && b.Payload.Data.Code != "forbidden":
			t.Errorf("ben's message: %s", b.js)
		case b.Type != "ack":
			refused++
		case b.Offset > l.Offset:
			behind++
		}
		heard[2] = append(heard[2], tab.pending(room, l.Offset, heard[2])...)
		tab.refused("message:send", room, "y"+id, `{"text":"too late"}`, "forbidden")
		heard[0] = append(heard[0], ann.pending(room, top, heard[0])...)
		heard[1] = append(heard[1], phone.pending(room, l.Offset, heard[1])...)
		ann.acked("message:send", room, "z"+id, `{"text":"they are gone"}`)
		for k, c := range []*client{phone, tab} {
			if late := offsetsIn(c.waiting("w"+id), room); len(late) > 0 {
				t.Errorf("ben left at %d, and the device %d heard %v when it was not there any more", l.Offset, k, late)
			}
		}
		for k, events := range heard {
			offsets := append([]uint64{1}, offsetsIn(events, room)...)
			if at := len(offsets); uint64(at) < l.Offset || k == 0 && uint64(at) != top || offsets[at-1] != uint64(at) || !slices.IsSorted(offsets) {
				t.Errorf("ben left at %d, ann's message is at %d, ben's at %d, and %d heard %v", l.Offset, a.Offset, b.Offset, k, offsets)
			} else if k > 0 && uint64(at) > l.Offset {
				after++
			}
		}
	}
	t.Logf("%d messages of ben's were refused and %d stored behind the leave; %d times a device heard what stands behind it", refused, behind, after)
}

// pending reads until a durable event of the room has come, if it has not been heard.
func (c *client) pending(room string, offset uint64, heard []received) []received {
	c.t.Helper()
	is := func(e received) bool { return e.Room == room && e.Offset == offset && e.Type == "message" }
	if slices.ContainsFunc(heard, is) {
		return nil
	}
	return c.until(is)
}

// offsetsIn are those of a room's durable events, but for the first.
func offsetsIn(events []received, room string) (all []uint64) {
	for _, e := range events {
		if e.Room == room && e.Type == "message" && e.Offset > 1 {
			all = append(all, e.Offset)
		}
	}
	return all
}
