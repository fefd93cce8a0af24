package tail

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/heddle-rt/heddle/builtin"
	"github.com/heddle-rt/heddle/runtime/config"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

// world makes the records that handlers would, of a few rooms and users.
type world struct {
	*rapid.T
	now   time.Time
	rooms map[string]*place
	lives int
	log   []event.Record
}

// place is a room as its committer knows it.
type place struct {
	event.Head
	ended   bool
	members map[string]bool
	edits   map[uint64]uint64 // of a message, the newest edit
}

var (
	users = []string{"ann", "ben", "cid", "dan", "eve"}
	convs = []string{"conv:1", "conv:1", "team:1"}
)

func (w *world) pick(what string, from []string) string {
	return rapid.SampledFrom(from).Draw(w.T, what)
}

func (w *world) upTo(what string, n int) int { return rapid.IntRange(0, n).Draw(w.T, what) }

func (w *world) place(id string) *place {
	p := w.rooms[id]
	if p == nil {
		p = &place{members: map[string]bool{}, edits: map[uint64]uint64{}}
		w.rooms[id] = p
	}
	return p
}

// record appends one to the log.
func (w *world) record(id, user, action string, data any) *event.Record {
	p := w.place(id)
	if p.Offset == 0 {
		w.lives++
		p.Epoch = fmt.Sprintf("e%d", w.lives)
	}
	p.Offset++
	raw := must(json.Marshal(data))
	r := event.Record{Key: fmt.Sprintf("k%d", len(w.log)), Unread: action == "message:send"}
	if r.Unread {
		p.Messages++
	}
	r.Type, r.Tenant, r.Room, r.Position, r.Messages = event.TypeMessage, tenant, id, p.Position, p.Messages
	r.From, r.Action, r.Data = event.Sender{User: user, Device: "d"}, action, raw
	r.ID, r.Timestamp = fmt.Sprintf("id%d", len(w.log)), w.now.UnixMilli()
	w.log = append(w.log, r)
	return &w.log[len(w.log)-1]
}

type object = map[string]any

func (w *world) told(user, action, id string) {
	w.record(room.OfUser(user), user, action, room.Change{Room: id})
}

// act appends what one event brings about.
func (w *world) act() {
	id, user := w.pick("room", convs), w.pick("user", users)
	p := w.place(id)
	switch {
	case p.ended:
		w.own(id, user, p)
	case p.Offset == 0:
		w.create(id, user, p)
	default:
		rapid.SampledFrom([]func(string, string, *place){w.send, w.send, w.send, w.edit, w.remove, w.react, w.react, w.own, w.own, w.join, w.leave, w.update, w.end}).Draw(w.T, "act")(id, user, p)
	}
}

func (w *world) create(id, user string, p *place) {
	others := rapid.SliceOfNDistinct(rapid.SampledFrom(users), 1, 3, rapid.ID).Draw(w.T, "members")
	w.record(id, user, "room:create", object{"members": others, "count": len(others), "name": "n", "meta": object{"a": len(w.log)}})
	for _, m := range others {
		p.members[m] = true
		w.told(m, room.ActionAdded, id)
	}
}

func (w *world) send(id, user string, _ *place) {
	r := w.record(id, user, "message:send", object{"text": fmt.Sprint("m", len(w.log))})
	if w.upTo("expires", 5) == 0 {
		r.Expires = w.now.UnixMilli() + int64(w.upTo("ttl", 2000)) - 500
	}
}

// message is the offset of any record.
func (w *world) message(p *place) uint64 { return uint64(1 + w.upTo("message", int(p.Offset)-1)) }

func (w *world) edit(id, user string, p *place) {
	at := w.message(p)
	d := object{"offset": at, "version": 1, "text": fmt.Sprint("e", len(w.log))}
	if prior := p.edits[at]; prior > 0 {
		d["prior"] = prior
	}
	p.edits[at] = w.record(id, user, "message:edit", d).Offset
}

func (w *world) remove(id, user string, p *place) {
	at := w.message(p)
	d := object{"offset": at}
	if prior := p.edits[at]; prior > 0 {
		d["prior"] = prior
	}
	w.record(id, user, "message:delete", d)
}

func (w *world) react(id, user string, p *place) {
	w.record(id, user, "message:react", object{"offset": w.message(p), "key": w.pick("key", []string{"+", "-"}), "remove": w.upTo("remove", 2) == 0})
}

func (w *world) join(id, user string, p *place) {
	w.record(id, user, "room:join", object{"count": len(p.members)})
	p.members[user] = true
	w.told(user, room.ActionAdded, id)
}

func (w *world) leave(id, user string, p *place) {
	w.record(id, user, "room:leave", object{})
	delete(p.members, user)
	w.told(user, room.ActionRemoved, id)
	if len(p.members) == 0 {
		w.record("root:rooms", "", w.pick("list", []string{"room:emptied", "room:unlisted"}), object{"room": id})
	}
}

func (w *world) update(id, user string, p *place) {
	other := w.pick("other", users)
	d := object{"count": len(p.members)}
	switch w.upTo("what", 3) {
	case 0:
		d["add"], d["roles"] = []string{other}, object{other: w.pick("role", []string{"owner", "member"})}
		p.members[other] = true
	case 1:
		d["remove"] = []string{other}
		delete(p.members, other)
	case 2:
		d["joined_at"], d["roles"] = object{user: 7}, object{user: "owner"}
		p.members[user] = true
	default:
		d["name"], d["creator"], d["created_at"] = fmt.Sprint("name", len(w.log)), user, 9
	}
	w.record(id, user, "room:update", d)
	if p.members[other] {
		w.told(other, room.ActionAdded, id)
	}
}

func (w *world) end(id, user string, p *place) {
	if w.upTo("end", 2) > 0 {
		return
	}
	w.record(id, user, "room:delete", object{}).Ends = true
	p.ended = true
}

// own is a record of the user's own room.
func (w *world) own(id, user string, p *place) {
	own := room.OfUser(user)
	switch w.upTo("own", 2) {
	case 0:
		w.record(own, user, "presence:update", object{"status": fmt.Sprint("s", len(w.log))})
	case 1:
		w.record(own, user, "message:delete", object{"for": "me", "room": id, "epoch": p.Epoch, "offset": uint64(w.upTo("hide", 9))})
	default:
		epoch := p.Epoch
		if w.upTo("other life", 3) == 0 {
			epoch = "e0"
		}
		offset := uint64(1 + w.upTo("read", 9))
		w.record(own, user, "message:read", object{"room": id, "epoch": epoch, "offset": offset, "messages": offset})
	}
}

// model is a Tail, its base, and an oracle that has had everything.
type model struct {
	world
	oracle, base *shelf
	front        *front
	tail         *Tail
	cfg          Config
	limits       limits
	applied      int // records of the log, by oracle and tail
	kept         int // by the base
	passed       int // what the tail was told
	mark         int // nobody begins before: what has ended there is buried
	graves       bool
}

func newModel(rt *rapid.T) *model {
	m := &model{world: world{T: rt, now: time.UnixMilli(1_000_000_000), rooms: map[string]*place{}}}
	clock := func() time.Time { return m.now }
	projections := builtin.Projections()
	never := func(string) uint64 { return 0 }
	m.oracle, m.base = newShelf(projections, clock, never), newShelf(projections, clock, never)
	m.front = &front{Base: m.base}
	m.cfg = Config{Bytes: 1 << 20, Timeout: time.Minute}
	m.cfg.Bytes = rapid.SampledFrom([]config.Size{0, 3000, 10_000, 1 << 20}).Draw(rt, "bytes")
	m.limits = limits{records: rapid.IntRange(1, 6).Draw(rt, "records"), whole: rapid.SampledFrom([]int{0, 0, 1, 3, 5}).Draw(rt, "whole")}
	m.start()
	return m
}

func (m *model) close() {
	_ = m.oracle.Close()
	_ = m.base.Close()
}

func (m *model) start() {
	m.tail = New(m.cfg, Deps{Base: m.front, Projections: builtin.Projections(), Now: func() time.Time { return m.now }})
	m.tail.limits = m.limits
}

// apply gives the tail what the log has; a record's offset there is ten times its index.
func (m *model) apply() {
	var at []int64
	for i := m.applied; i < len(m.log); i++ {
		at = append(at, int64(10*i))
	}
	m.oracle.put(m.log[m.applied:]...)
	m.tail.Apply(m.log[m.applied:], at)
	m.applied = len(m.log)
}

// write appends some records, and the base takes some of those before.
func (m *model) write() {
	for range 1 + m.upTo("acts", 3) {
		m.act()
	}
	m.apply()
}

func (m *model) keep() {
	n := m.upTo("keep", m.applied-m.kept)
	m.base.put(m.log[m.kept : m.kept+n]...)
	m.kept += n
}

func (m *model) trim() {
	m.passed += m.upTo("pass", m.kept-m.passed)
	m.tail.Trim(int64(10 * m.passed))
}

// catchUp has the base take all, and the tail told so.
func (m *model) catchUp() {
	m.base.put(m.log[m.kept:m.applied]...)
	m.kept, m.passed = m.applied, m.applied
	m.tail.Trim(int64(10 * m.passed))
}

// takeOver is another node's: it reads the log again from anywhere that the base has come to.
func (m *model) takeOver() {
	m.start()
	m.passed = m.mark + m.upTo("mark", m.kept-m.mark)
	if m.upTo("known", 1) == 0 {
		m.tail.Trim(int64(10 * m.passed))
	}
	var at []int64
	for i := m.passed; i < m.applied; i++ {
		at = append(at, int64(10*i))
	}
	m.tail.Apply(m.log[m.passed:m.applied], at)
}

// bury lets time pass until the names of rooms that have ended are free.
func (m *model) bury() {
	m.catchUp()
	m.now = m.now.Add(time.Minute)
	m.oracle.bury(&m.world)
	m.base.bury(&m.world)
	for i := range m.log {
		if m.log[i].Ends {
			m.mark, m.graves = i+1, true
		}
	}
	maps.DeleteFunc(m.rooms, func(_ string, p *place) bool { return p.ended })
}

// bury sweeps the rooms that have ended.
func (s *shelf) bury(w *world) {
	for id, p := range w.rooms {
		if !p.ended {
			continue
		}
		s.sweep(func() bool { return must(s.part.Head(context.Background(), tenant, id)).Offset == 0 })
		s.mu.Lock()
		maps.DeleteFunc(s.sent, func(k marked, _ room.Marker) bool { return k.room == id })
		s.mu.Unlock()
	}
}

// rooms is what all of oracle, base and Tail can be asked.
type rooms interface {
	room.Reader
	room.History
	room.Notes
	Sent(ctx context.Context, tenant, user, room string) (room.Marker, error)
	Read(ctx context.Context, tenant, user, room string) (room.Marker, error)
}

// question is a read, whose answer is comparable.
type question struct {
	what string
	ask  func(s rooms) string
	many bool // it takes several reads, and may see some of what happens in between
}

func said[T any](v T, err error) string {
	if err != nil {
		return "error " + err.Error()
	}
	return fmt.Sprintf("%+v", v)
}

func saidFound[T any](v T, ok bool, err error) string { return said(fmt.Sprintf("%+v %v", v, ok), err) }

func saidRecords(records []event.Record, err error) string {
	var out []string
	for _, r := range records {
		out = append(out, fmt.Sprintf("%s %v %q", r.ID, r.Data == nil, fmt.Sprintf("%+v", r)))
	}
	return said(out, err)
}

// question draws one.
func (m *model) question() question {
	ctx := context.Background()
	id, user := m.pick("room", convs), m.pick("user", users)
	if m.upTo("other room", 4) == 0 {
		id = m.pick("room", []string{"root:rooms", room.OfUser(user)})
	}
	p := m.place(id)
	limit := 1 + m.upTo("limit", 4)
	kinds := []struct {
		what string
		ask  func(s rooms) string
		many bool
	}{
		{"head", func(s rooms) string { return said(s.Head(ctx, tenant, id)) }, false},
		{"room", func(s rooms) string { return saidFound(s.Room(ctx, tenant, id)) }, false},
		{"member " + user, func(s rooms) string { return saidFound(s.Member(ctx, tenant, id, user)) }, false},
		{"sent " + user, func(s rooms) string {
			mark, err := s.Sent(ctx, tenant, user, id)
			return m.present(id, mark, err)
		}, false},
		{"read " + user, func(s rooms) string { return said(s.Read(ctx, tenant, user, id)) }, false},
		{"marker " + user, func(s rooms) string {
			mark, err := s.Marker(ctx, tenant, user, id)
			return m.present(id, mark, err)
		}, true},
		{"rooms of " + user, m.roomsOf(user, limit), false},
	}
	switch n := m.upTo("question", len(kinds)+7); {
	case n < len(kinds):
		k := kinds[n]
		return question{id + " " + k.what, k.ask, k.many}
	case n == len(kinds):
		after := m.pick("after", append([]string{"", "", "", "b", "f"}, users...))
		return question{fmt.Sprintf("%s members %q %d", id, after, limit), func(s rooms) string { return said(s.Members(ctx, tenant, id, after, limit)) }, false}
	case n <= len(kinds)+3:
		from := uint64(m.upTo("from", int(p.Offset)))
		to := from + uint64(m.upTo("to", 12))
		limit := m.upTo("most", 4)
		return question{fmt.Sprintf("%s notes %d %d %d", id, from, to, limit), func(s rooms) string { return said(s.Notes(ctx, tenant, id, from, to, limit)) }, false}
	case n <= len(kinds)+5:
		return m.rowQuestion(id, limit)
	case n == len(kinds)+6:
		at := event.Position{Epoch: p.Epoch, Offset: uint64(m.upTo("at", int(p.Offset)+1))}
		if m.upTo("epoch", 5) == 0 {
			at.Epoch = m.pick("of", []string{"", "e0"})
		}
		return question{fmt.Sprintf("%s after %v %d", id, at, limit), func(s rooms) string { return saidRecords(s.After(ctx, tenant, id, at, limit, 1<<20)) }, false}
	}
	offset := uint64(m.upTo("before", int(p.Offset)+2))
	return question{fmt.Sprintf("%s before %d %d", id, offset, limit), func(s rooms) string { return saidRecords(s.Before(ctx, tenant, id, offset, limit, 1<<20)) }, false}
}

func (m *model) rowQuestion(id string, limit int) question {
	ctx := context.Background()
	kind := m.pick("kind", []string{"owner", "count", "empty", "room", "presence:update", "message:delete"})
	if m.upTo("one", 1) == 0 {
		key := m.pick("row", []string{"", "ann", "ben", "conv:1", "conv:2", "team:1"})
		return question{fmt.Sprintf("%s row %s %q", id, kind, key), func(s rooms) string { return saidFound(s.Row(ctx, tenant, id, kind, key)) }, false}
	}
	after := m.pick("after", []string{"", "ann", "b", "conv:1", "conv:1\x00e1\x00", "x"})
	return question{fmt.Sprintf("%s rows %s %q %d", id, kind, after, limit), func(s rooms) string { return said(s.Rows(ctx, tenant, id, kind, after, limit)) }, false}
}

// present is a marker. One of a life that is over says nothing, and may be forgotten, or not.
func (m *model) present(id string, mark room.Marker, err error) string {
	if m.graves && mark.Epoch != m.place(id).Epoch {
		mark = room.Marker{}
	}
	return said(mark, err)
}

// roomsOf are those that the user's own room tells: a room that has ended is not told.
func (m *model) roomsOf(user string, limit int) func(s rooms) string {
	return func(s rooms) string {
		if s == rooms(m.tail) {
			return said(s.RoomsOf(context.Background(), tenant, user, limit))
		}
		names := []string{}
		for _, row := range must(s.Rows(context.Background(), tenant, room.OfUser(user), rowRoom, "", limit)) {
			names = append(names, row.Key)
		}
		return said(names, nil)
	}
}

func (m *model) read() {
	for range 1 + m.upTo("reads", 5) {
		m.same(m.question())
	}
}

func (m *model) same(q question) {
	want, got := q.ask(m.oracle), q.ask(m.tail)
	if got != want {
		m.Fatalf("%s:\n got %s\nwant %s\n(%d in the log, %d kept, %d passed)", q.what, got, want, len(m.log), m.kept, m.passed)
	}
}

// lateRead asks, and much happens before the base's answer comes. What is answered then is
// true when it comes, or, of what became possible meanwhile, was when it was asked; and what
// is answered later does not come from it.
func (m *model) lateRead() {
	q := m.question()
	first := q.ask(m.oracle)
	l := newLate()
	m.front.late.Store(l)
	got := make(chan string, 1)
	go func() { got <- q.ask(m.tail) }() // ends when the base has answered
	var answer string
	select {
	case answer = <-got: // from memory
		got <- answer
	case <-l.asked:
		for range 1 + m.upTo("meanwhile", 8) {
			rapid.SampledFrom([]func(){m.write, m.write, m.keep, m.trim, m.catchUp}).Draw(m.T, "does")()
		}
	}
	m.front.late.Store(nil)
	close(l.release)
	answer = <-got
	if want := q.ask(m.oracle); answer != want && answer != first && !q.many {
		m.Fatalf("late %s:\n got %s\nwant %s\n  or %s", q.what, answer, want, first)
	}
	m.same(q)
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newModel(rt)
		defer m.close()
		rt.Repeat(map[string]func(*rapid.T){
			"write":    func(*rapid.T) { m.write() },
			"more":     func(*rapid.T) { m.write() },
			"keep":     func(*rapid.T) { m.keep() },
			"trim":     func(*rapid.T) { m.trim() },
			"read":     func(*rapid.T) { m.read() },
			"reread":   func(*rapid.T) { m.read() },
			"catchUp":  func(*rapid.T) { m.catchUp() },
			"late":     func(*rapid.T) { m.lateRead() },
			"later":    func(*rapid.T) { m.lateRead() },
			"takeOver": func(*rapid.T) { m.takeOver() },
			"bury":     func(*rapid.T) { m.bury() },
			"time":     func(*rapid.T) { m.now = m.now.Add(time.Duration(m.upTo("time", 700)) * time.Millisecond) },
			"":         func(*rapid.T) { m.bounded() },
		})
	})
}

// bounded checks what the Tail counts.
func (m *model) bounded() {
	t := m.tail
	t.mu.Lock()
	defer t.mu.Unlock()
	var bytes int64
	for _, e := range t.rooms {
		own := int64(entrySize)
		for _, c := range e.cells {
			own += c.size
		}
		for i := range e.records {
			own += e.records[i].size
		}
		if e.pins != 0 || own != e.bytes || own != e.counted {
			m.Fatalf("%v: %d pins, %d bytes, %d counted; has %d", e.name, e.pins, e.bytes, e.counted, own)
		}
		bytes += own
	}
	if bytes != t.bytes || t.bytes-t.dirty > int64(m.cfg.Bytes) {
		m.Fatalf("%d bytes counted, %d there, %d dirty", t.bytes, bytes, t.dirty)
	}
}
