package app

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestAnswersComeInOrder mixes requests that take very different ways.
func TestAnswersComeInOrder(t *testing.T) {
	t.Parallel()
	n := serve(t)
	for _, d := range []dialect{"json", packed} {
		c := n.open(t, dial{user: "ann-" + string(d), dialect: d})
		c.do("room:join", "channel:x", "{}")
		var all, want []string
		for i := range 60 {
			id := fmt.Sprint(i)
			want = append(want, id)
			all = append(all, []string{
				envelope("session:ping", "", id, "{}"),
				envelope("message:send", "channel:x", id, `{"text":"durable"}`),
				envelope("message:send", "channel:x", id, `{"text":"ephemeral","ephemeral":true}`),
				envelope("room:history", "channel:x", id, `{"limit":3}`),
				envelope("message:send", "channel:x", id, `{"text":"refused","ttl_ms":-1}`),
				envelope("room:join", "channel:y", id, "{}"),
			}[i%6])
		}
		c.text("[" + strings.Join(all[:30], ",") + "]")
		for _, e := range all[30:] {
			c.text(e)
		}
		var got []string
		for len(got) < len(want) {
			if e := c.must(); e.Ref != "" {
				got = append(got, e.Ref)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("answers in the order %v", got)
		}
	}
}

// TestCreatorIsInTheRoom sends to a new room as soon as it is there.
func TestCreatorIsInTheRoom(t *testing.T) {
	t.Parallel()
	n := serve(t)
	c := n.open(t, dial{user: "ann"})
	for i := range 40 {
		room := fmt.Sprint("conv:", i)
		c.do("room:create", room, `{"members":["ben"]}`)
		c.send(envelope("message:send", room, "first", `{"text":"x"}`))
		if e := c.answer("first"); e.Type != "ack" || e.Offset != 2 {
			t.Fatal(e.js)
		}
	}
	// A retry of what has been undone since does not undo that.
	c.send(envelope("room:create", "conv:back", "create", "{}"))
	c.answer("create")
	c.do("room:leave", "conv:back", "{}")
	c.send(envelope("room:create", "conv:back", "create", "{}"))
	if e := c.answer("create"); !e.Payload.Data.Repeat {
		t.Error(e.js)
	}
	c.refused("message:send", "conv:back", "m", `{"text":"x"}`, "forbidden")
}

// TestJoiningAgainChangesNothing joins a busy room over and over.
func TestJoiningAgainChangesNothing(t *testing.T) {
	t.Parallel()
	n := serve(t, "limit.query_burst=10000")
	ann, ben := n.open(t, dial{user: "ann"}), n.open(t, dial{user: "ben"})
	ann.do("room:create", "team:1", "{}")
	s := &stream{from: map[string]uint64{"team:1": 1}, seen: map[string][]string{}}
	ben.send(envelope("room:join", "team:1", "join", "{}"))
	ben.answer("join", func(e received) { // room:added may be quicker than the ack
		if err := s.take(e); err != nil {
			t.Error(err)
		}
	})
	const total = 100
	for i := range total {
		ann.send(envelope("message:send", "team:1", fmt.Sprint(i), `{"text":"x"}`))
		ben.text(envelope("room:join", "team:1", fmt.Sprint(i), "{}"))
	}
	if err := s.collect(ben, total+2); err != nil {
		t.Error(err)
	}
	for i := range total {
		ann.answer(fmt.Sprint(i))
	}
	// Unless it is asked to.
	ben.send(envelope("room:join", "team:1", "again", fmt.Sprintf(`{"since":{"epoch":%q,"offset":%d}}`, n.epoch("acme", "team:1"), total)))
	ben.answer("again", func(e received) {
		if e.Type == "message" {
			t.Errorf("came again, before the answer: %s", e.js)
		}
	})
	for _, want := range []uint64{total + 1, total + 2} {
		if e := ben.must(); e.Offset != want {
			t.Error(e.js)
		}
	}
}

// TestRetriesStoreOnce is promise P3: many connections of one user send the same
// ids at the same time.
func TestRetriesStoreOnce(t *testing.T) {
	t.Parallel()
	n := serve(t)
	const conns, senders, ids = 5, 50, 8
	var mu sync.Mutex
	acks := map[string]map[string]int{} // position and ULID, by id
	first := map[string]int{}
	var clients []*client
	for i := range conns {
		c := n.open(t, dial{user: "ann", dialect: []dialect{"json", packed}[i%2]})
		c.do("room:join", "channel:x", "{}")
		clients = append(clients, c)
	}
	var wg sync.WaitGroup
	for _, c := range clients {
		var write sync.Mutex
		for range senders / conns {
			wg.Go(func() {
				for i := range ids {
					write.Lock()
					c.text(envelope("message:send", "channel:x", fmt.Sprint("id", i), `{"text":"x"}`))
					write.Unlock()
				}
			})
		}
		wg.Go(func() {
			for left := senders / conns * ids; left > 0; {
				e, err := c.next()
				if err != nil {
					t.Error(err)
					return
				}
				r := parse(t, e)
				if r.Type == "message" {
					continue
				}
				left--
				mu.Lock()
				if acks[r.Ref] == nil {
					acks[r.Ref] = map[string]int{}
				}
				acks[r.Ref][fmt.Sprint(r.Type, r.Epoch, r.Offset, r.ID, r.Timestamp)]++
				if !r.Payload.Data.Repeat {
					first[r.Ref]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if stored := n.records("acme", "channel:x"); len(stored) != ids {
		t.Errorf("%d events are stored for %d ids", len(stored), ids)
	}
	for id, positions := range acks {
		if len(positions) != 1 || first[id] != 1 {
			t.Errorf("%s: %d acks say that it is new; positions %v", id, first[id], positions)
		}
		for _, count := range positions {
			if count != senders {
				t.Errorf("%s: %d of %d acks", id, count, senders)
			}
		}
	}
	if len(acks) != ids {
		t.Errorf("acks for %v", slices.Collect(maps.Keys(acks)))
	}
}

// stream is what one receiver saw of its rooms.
type stream struct {
	from map[string]uint64   // the offset that it begins behind
	seen map[string][]string // ULIDs
}

// collect reads until the receiver has each room up to the offset. One that came late
// may have nothing to wait for.
func (s *stream) collect(c *client, until uint64) error {
	for !s.has(until) {
		js, err := c.next()
		if err != nil {
			return err
		}
		if err := s.take(parse(c.t, js)); err != nil {
			return err
		}
	}
	return nil
}

func (s *stream) has(until uint64) bool {
	for room, from := range s.from {
		if from+uint64(len(s.seen[room])) < until {
			return false
		}
	}
	return true
}

func (s *stream) take(e received) error {
	if e.Type != "message" {
		return nil
	}
	switch next := s.from[e.Room] + uint64(len(s.seen[e.Room])) + 1; {
	case e.Offset < next:
		if at := e.Offset - s.from[e.Room]; at > 0 && s.seen[e.Room][at-1] != e.ID {
			return fmt.Errorf("%s %d was another event before", e.Room, e.Offset)
		}
		return fmt.Errorf("%s %d came twice", e.Room, e.Offset)
	case e.Offset > next:
		return fmt.Errorf("%s: %d after %d", e.Room, e.Offset, next-1)
	}
	s.seen[e.Room] = append(s.seen[e.Room], e.ID)
	return nil
}

// TestEverybodySeesOneOrder is promise P2: two rooms, many senders; receivers that
// are there from the start, that join in the middle, and that resume.
func TestEverybodySeesOneOrder(t *testing.T) {
	t.Parallel()
	n := serve(t, "limit.message_burst=10000")
	const senders, each, receivers = 6, 60, 4
	const total = senders * each
	rooms := []string{"channel:a", "channel:b"}
	streams := make([]*stream, 3*receivers)
	var ready, wg sync.WaitGroup
	half := make(chan struct{}) // closed when half of it is sent
	var once sync.Once
	for i := range receivers {
		for way := range 3 {
			s := &stream{from: map[string]uint64{}, seen: map[string][]string{}}
			streams[3*i+way] = s
			d := dial{user: fmt.Sprintf("receiver%d-%d", i, way), dialect: []dialect{"json", packed}[i%2]}
			ready.Add(1)
			wg.Go(func() {
				here := sync.OnceFunc(ready.Done)
				defer here()
				if err := receive(n, t, d, s, way, total, here, half, rooms); err != nil {
					t.Errorf("receiver %d, way %d: %v", i, way, err)
				}
			})
		}
	}
	ready.Wait()
	for i := range senders {
		wg.Go(func() {
			defer once.Do(func() { close(half) })
			c := n.connect(t, dial{user: fmt.Sprint("sender", i)})
			c.do("session:open", "", `{}`)
			for _, room := range rooms {
				c.do("room:join", room, "{}")
			}
			for k := range each {
				for _, room := range rooms {
					c.text(envelope("message:send", room, "", `{"text":"x"}`))
				}
				if k == each/2 {
					once.Do(func() { close(half) })
				}
			}
			c.do("session:ping", "", "{}")
		})
	}
	wg.Wait()
	for _, room := range rooms {
		records := n.records("acme", room) // newest first
		slices.Reverse(records)
		if len(records) != total {
			t.Fatalf("%d records in %s", len(records), room)
		}
		for i, s := range streams {
			for k, id := range s.seen[room] {
				if r := &records[s.from[room]+uint64(k)]; r.ID != id {
					t.Fatalf("receiver %d saw %s at %d of %s, stored is %s", i, id, s.from[room]+uint64(k)+1, room, r.ID)
				}
			}
		}
	}
}

// Ways to receive.
const (
	fromStart = iota
	inTheMiddle
	resuming
)

func receive(n *node, t *testing.T, d dial, s *stream, way int, total uint64, ready func(), half <-chan struct{}, rooms []string) error {
	if way == inTheMiddle {
		ready()
		<-half
	}
	c := n.connect(t, d)
	c.send(envelope("session:open", "", "o", fmt.Sprintf(`{"rooms":[%q,%q]}`, rooms[0], rooms[1])))
	w := c.must()
	for _, r := range w.Payload.Data.Rooms {
		if r.Room != "user:"+d.user {
			s.from[r.Room] = r.Offset
		}
	}
	if way != inTheMiddle {
		ready()
	}
	if way != resuming {
		return s.collect(c, total)
	}
	for drops := range uint64(3) { // each time a bit further
		if err := s.collect(c, (drops+1)*total/4); err != nil {
			return err
		}
		c.drop()
		c = n.connect(t, d)
		var at []string
		for _, r := range rooms {
			p := `{"epoch":"","offset":0}`
			if k := len(s.seen[r]); k > 0 {
				p = fmt.Sprintf(`{"epoch":%q,"offset":%d}`, n.epoch("acme", r), k)
			}
			at = append(at, fmt.Sprintf("%q:%s", r, p))
		}
		c.send(envelope("session:resume", "", "r", fmt.Sprintf(`{"session":%q,"resume_token":%q,"positions":{%s}}`,
			w.Payload.Data.Session, w.Payload.Data.ResumeToken, strings.Join(at, ","))))
		if e := c.must(); !e.Payload.Data.Recovered {
			return fmt.Errorf("not recovered: %s", e.js)
		}
	}
	return s.collect(c, total)
}

// epoch is the room's life at present.
func (n *node) epoch(tenant, room string) string {
	head, err := n.app.stores.rooms.Head(n.t.Context(), tenant, room)
	if err != nil {
		n.t.Error(err)
	}
	return head.Epoch
}
