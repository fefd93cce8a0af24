package history_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/heddle-rt/heddle/backends/history"
)

// world makes a random run without a fault: what is stored, who is there, and what they
// are told of it.
type world struct {
	t       *rapid.T
	now     time.Duration
	streams map[string][]history.Event
	sent    int
	h       *history.History
	people  []*person
}

// person is one with a session, and with a device while it is there.
type person struct {
	rec   *history.Session
	have  map[string]history.Position
	there int // in History.Lives, of the present connection; -1 while away
	old   []history.Send
}

func randomRun(t *rapid.T) *history.History {
	w := &world{t: t, streams: map[string][]history.Event{a: nil, b: nil}, h: &history.History{
		Final: map[string][][]history.Event{}, Bounds: history.Bounds{Expiry: time.Second, Presence: 10 * time.Second},
	}}
	for i := range 3 {
		p := &person{rec: &history.Session{Name: fmt.Sprint("user-", i)}, have: map[string]history.Position{}, there: -1}
		w.people, w.h.Sessions = append(w.people, p), append(w.h.Sessions, p.rec)
		w.come(p)
	}
	for range rapid.IntRange(20, 80).Draw(t, "steps") {
		w.now += time.Duration(rapid.IntRange(1, 3000).Draw(t, "pause")) * time.Millisecond
		w.step(w.people[rapid.IntRange(0, 2).Draw(t, "who")])
	}
	for _, p := range w.people {
		if p.there < 0 {
			w.come(p)
		}
	}
	for room, events := range w.streams {
		w.h.Final[room] = [][]history.Event{slices.Clone(events), slices.Clone(events)}
	}
	return w.h
}

func (w *world) step(p *person) {
	switch n := rapid.IntRange(0, 9).Draw(w.t, "what"); {
	case p.there < 0:
		w.come(p)
	case n == 0:
		w.h.Lives[p.there].To = w.now
		p.there = -1
	case n == 1:
		devices := map[string]int{}
		for _, l := range w.h.Lives {
			if l.To == 0 {
				devices[l.User]++
			}
		}
		w.h.Looks = append(w.h.Looks, history.Look{By: p.rec.Name, At: w.now, Devices: devices})
	case n == 2:
		room := w.room()
		page := w.streams[room]
		page = page[max(0, len(page)-5):]
		w.h.Reads = append(w.h.Reads, history.Read{By: p.rec.Name, Room: room, Asked: w.now, Answered: w.now, Newest: true, Events: slices.Clone(page)})
	case n == 3 && len(p.old) > 0: // an ack that was lost, it thinks
		again := p.old[0]
		again.At, again.Answered = w.now, w.now
		p.old = p.old[1:]
		w.h.Sends = append(w.h.Sends, again)
	default:
		w.send(p)
	}
}

func (w *world) room() string { return rapid.SampledFrom([]string{a, b}).Draw(w.t, "room") }

// send stores a message, and gives it to those who are there. Now and then its ack is
// lost, or it is only an attempt.
func (w *world) send(p *person) {
	room := w.room()
	w.sent++
	s := history.Send{Key: fmt.Sprint(p.rec.Name, "-", w.sent), Room: room, Conn: p.there, At: w.now}
	fate := rapid.IntRange(0, 9).Draw(w.t, "fate")
	if fate == 0 {
		w.h.Sends = append(w.h.Sends, s)
		return
	}
	s.Ack = event(room, len(w.streams[room])+1)
	s.Ack.Key = s.Key
	w.streams[room] = append(w.streams[room], s.Ack)
	if fate > 1 {
		s.Answered = w.now
		p.old = append(p.old, s)
	}
	w.h.Sends = append(w.h.Sends, s)
	for _, to := range w.people {
		if to.there >= 0 {
			w.give(to, s.Ack)
		}
	}
}

func (w *world) give(p *person, e history.Event) {
	p.rec.Steps = append(p.rec.Steps, history.Step{At: w.now, Seen: e})
	p.have[e.Room] = e.Position
}

// come opens or resumes, from where it is or a little before, and is given what it missed.
func (w *world) come(p *person) {
	o := &history.Opened{Resumed: len(p.rec.Steps) > 0, From: map[string]history.Position{}}
	for room, events := range w.streams {
		at := p.have[room]
		if !o.Resumed && len(events) > 0 {
			at = events[len(events)-1].Position
		}
		if o.Resumed && at.Offset > 0 {
			at.Offset -= uint64(rapid.IntRange(0, int(min(at.Offset-1, 2))).Draw(w.t, "back"))
		}
		o.From[room] = at
		p.have[room] = at
	}
	if o.Resumed {
		o.Recovered = rapid.Bool().Draw(w.t, "recovered")
		if !o.Recovered {
			o.Reason = "session_unknown"
		}
	}
	p.rec.Steps = append(p.rec.Steps, history.Step{At: w.now, Opened: o})
	for _, room := range slices.Sorted(maps.Keys(w.streams)) {
		for _, e := range w.streams[room][o.From[room].Offset:] {
			w.give(p, e)
		}
	}
	p.there = len(w.h.Lives)
	w.h.Lives = append(w.h.Lives, history.Life{User: p.rec.Name, Device: "phone", From: w.now})
}

func TestRandomRuns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if found := history.Check(randomRun(t)); len(found) > 0 {
			t.Fatalf("a run without a fault: %v", found)
		}
	})
}

// TestRandomFaults plants one fault into a random run.
func TestRandomFaults(t *testing.T) {
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				h := randomRun(t)
				if !m.plant(t, h) {
					t.Skip("there is no place for it")
				}
				found := history.Check(h)
				if !slices.ContainsFunc(promises(found), func(p string) bool { return strings.Contains(m.promises, p) }) {
					t.Fatalf("want %s broken, found %v", m.promises, found)
				}
			})
		})
	}
}

// mutations change a run in a random place, if there is one.
var mutations = []struct {
	name, promises string // one of them is broken
	plant          func(t *rapid.T, h *history.History) bool
}{
	{"an acked event is lost", "P1", func(t *rapid.T, h *history.History) bool {
		s := pick(t, h.Sends, func(s *history.Send) bool { return s.Answered > 0 && s.Ack.Offset == uint64(len(h.Final[s.Room][0])) })
		if s == nil {
			return false
		}
		for i, events := range h.Final[s.Room] {
			h.Final[s.Room][i] = events[:len(events)-1]
		}
		return true
	}},
	{"an event is not delivered", "P1 P2", func(t *rapid.T, h *history.History) bool {
		s := h.Sessions[rapid.IntRange(0, len(h.Sessions)-1).Draw(t, "session")]
		at := index(t, len(s.Steps), func(i int) bool { return s.Steps[i].Opened == nil && once(s, i) })
		if at < 0 {
			return false
		}
		s.Steps = slices.Delete(s.Steps, at, at+1)
		return true
	}},
	{"an offset is used again", "P2", func(t *rapid.T, h *history.History) bool {
		s := h.Sessions[rapid.IntRange(0, len(h.Sessions)-1).Draw(t, "session")]
		at := index(t, len(s.Steps), func(i int) bool { return s.Steps[i].Opened == nil })
		if at < 0 {
			return false
		}
		s.Steps[at].Seen.ID = "ulid-other"
		return true
	}},
	{"two messages of a connection change places", "P2", func(t *rapid.T, h *history.History) bool {
		single := func(s *history.Send) bool {
			return s.Answered > 0 && len(slices.DeleteFunc(slices.Clone(h.Sends), func(o history.Send) bool { return o.Key != s.Key })) == 1
		}
		i := index(t, len(h.Sends), func(i int) bool {
			return single(&h.Sends[i]) && slices.ContainsFunc(h.Sends[i+1:], func(o history.Send) bool {
				return o.Conn == h.Sends[i].Conn && o.Room == h.Sends[i].Room && single(&o)
			})
		})
		if i < 0 {
			return false
		}
		k := i + 1 + slices.IndexFunc(h.Sends[i+1:], func(o history.Send) bool {
			return o.Conn == h.Sends[i].Conn && o.Room == h.Sends[i].Room && single(&o)
		})
		h.Sends[i], h.Sends[k] = h.Sends[k], h.Sends[i]
		return true
	}},
	{"an id is stored twice", "P3", func(t *rapid.T, h *history.History) bool {
		s := pick(t, h.Sends, func(s *history.Send) bool { return s.Ack.Offset > 0 })
		if s == nil {
			return false
		}
		for i, events := range h.Final[s.Room] {
			e := event(s.Room, len(events)+1)
			e.Key = s.Key
			h.Final[s.Room][i] = append(events, e)
		}
		return true
	}},
	{"a resume forgets a room", "P4", func(t *rapid.T, h *history.History) bool {
		s := h.Sessions[rapid.IntRange(0, len(h.Sessions)-1).Draw(t, "session")]
		at := index(t, len(s.Steps), func(i int) bool { return s.Steps[i].Opened != nil && s.Steps[i].Opened.Resumed })
		if at < 0 {
			return false
		}
		delete(s.Steps[at].Opened.From, rapid.SampledFrom([]string{a, b}).Draw(t, "room"))
		return true
	}},
	{"a page ends too early", "P5", func(t *rapid.T, h *history.History) bool {
		r := pick(t, h.Reads, func(r *history.Read) bool {
			if len(r.Events) == 0 {
				return false
			}
			last := r.Events[len(r.Events)-1]
			return slices.ContainsFunc(h.Sends, func(s history.Send) bool { return s.Ack == last && s.Answered > 0 && s.Answered < r.Asked })
		})
		if r == nil {
			return false
		}
		r.Events = r.Events[:len(r.Events)-1]
		return true
	}},
	{"an event outlives its time", "P6", func(t *rapid.T, h *history.History) bool {
		s := h.Sessions[rapid.IntRange(0, len(h.Sessions)-1).Draw(t, "session")]
		at := index(t, len(s.Steps), func(i int) bool { return s.Steps[i].Opened == nil && s.Steps[i].At > 2*time.Second })
		if at < 0 {
			return false
		}
		s.Steps[at].Seen.Expires = s.Steps[at].At - 1100*time.Millisecond
		return true
	}},
	{"somebody stays for ever", "P7", func(t *rapid.T, h *history.History) bool {
		l := pick(t, h.Looks, func(l *history.Look) bool { return l.At >= h.Bounds.Presence })
		if l == nil {
			return false
		}
		l.Devices = maps.Clone(l.Devices)
		l.Devices["nobody"] = 1
		return true
	}},
}

// once reports whether a step's event is seen in no other.
func once(s *history.Session, at int) bool {
	for i := range s.Steps {
		if i != at && s.Steps[i].Seen == s.Steps[at].Seen {
			return false
		}
	}
	return true
}

// index draws one of n that will do, -1 if none does.
func index(t *rapid.T, n int, will func(i int) bool) int {
	var list []int
	for i := range n {
		if will(i) {
			list = append(list, i)
		}
	}
	if len(list) == 0 {
		return -1
	}
	return rapid.SampledFrom(list).Draw(t, "index")
}

// pick draws an item that will do, nil if none does.
func pick[T any](t *rapid.T, list []T, will func(*T) bool) *T {
	if i := index(t, len(list), func(i int) bool { return will(&list[i]) }); i >= 0 {
		return &list[i]
	}
	return nil
}
