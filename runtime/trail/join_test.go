package trail

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/heddle-rt/heddle/runtime/frame"
)

// session is a model of what a client is sent that joins, leaves, and goes back.
type session struct {
	log    []entry
	since  map[uint64]uint64 // by room that it is in
	at     map[uint64]uint64
	head   map[uint64]uint64
	read   int // entries that the node knows to be
	trail  Trail
	points []uint64 // of the trail, behind each entry
	kept   []byte   // written when a room was joined last, or later
}

// entry is an event, or that a room was joined at an offset.
type entry struct {
	frame.Mark
	join bool
}

func (s *session) String() string {
	var b strings.Builder
	for _, e := range s.log {
		if e.join {
			fmt.Fprintf(&b, " (%d joined behind %d)", e.Room, e.Offset)
		} else {
			fmt.Fprintf(&b, " %d/%d", e.Room, e.Offset)
		}
	}
	return b.String()
}

// right checks what the node takes a client's position in a room for that has read up to
// the entry i, which is an event, and perhaps what is no event behind it.
func (s *session) right(i int, room, at uint64) error {
	var p, joined uint64
	in, last := false, -1
	for k, e := range s.log {
		if e.Room == room && e.join {
			last, joined = k, e.Offset
		}
		if e.Room == room && k <= i {
			in, p = true, e.Offset
		}
	}
	if last <= i {
		if at != p {
			return fmt.Errorf("stands at %d", p)
		}
		return nil
	}
	between, unread := 0, 0
	for _, e := range s.log[i+1 : last] {
		if !e.join {
			if between++; e.Room == room {
				if unread++; !in {
					in, p = true, e.Offset-1
				}
			}
		}
	}
	switch {
	case between == 0 && at != joined:
		return fmt.Errorf("has joined at %d", joined)
	case at > joined, unread > 0 && at > p, in && at < min(p, joined):
		return fmt.Errorf("stands at %d with %d unread, and has joined at %d", p, unread, joined)
	}
	return nil
}

// note adds to what the client was sent.
func (s *session) note(room uint64, join bool) {
	e := entry{frame.Mark{Room: room, Offset: s.at[room]}, join}
	if s.log = append(s.log, e); join {
		s.trail.Join(e.Mark)
		s.kept = s.trail.Append(nil)
	} else {
		s.trail.Note(e.Mark)
	}
	s.points = append(s.points, s.trail.Point())
}

func (s *session) send(room uint64) {
	if _, in := s.since[room]; in {
		s.at[room]++
		s.head[room] = max(s.head[room], s.at[room])
		s.note(room, false)
	}
}

// step does something by chance.
func (s *session) step(t *rapid.T) {
	room := rapid.Uint64Range(1, 3).Draw(t, "room")
	switch kind := rapid.IntRange(0, 99).Draw(t, "kind"); {
	case kind < 55:
		s.send(room)
	case kind < 57: // more than a trail remembers
		for k := range uint64(2 * maxRuns / 3) {
			s.send(1 + k%3)
		}
	case kind < 62:
		s.kept = s.trail.Append(nil)
	case kind < 70:
		if s.read = rapid.IntRange(s.read, len(s.log)).Draw(t, "read"); s.read > 0 {
			s.trail.Confirm(s.points[s.read-1])
		}
	case kind < 75:
		delete(s.since, room)
	case kind < 80: // while the session is not there, or is behind
		s.head[room]++
	default: // joins, again, or goes back
		to := s.head[room]
		if rapid.Bool().Draw(t, "past") {
			to = rapid.Uint64Range(0, to).Draw(t, "since")
		}
		if _, in := s.since[room]; !in || to < s.at[room] {
			s.since[room], s.at[room] = to, to
			s.note(room, true)
		}
	}
}

// sure counts the rooms of which a trail says, for a mark, where the client stands, and
// checks that.
func (s *session) sure(tr *Trail, i int) (n int, err error) {
	at, known := tr.Positions(s.log[i].Mark)
	if !known {
		return 0, nil
	}
	for room, since := range s.since {
		p, has := at[room]
		switch {
		case !has:
			p = since
		case p == Unsure || p < since: // the session says so
			continue
		}
		n++
		if err := s.right(i, room, p); err != nil {
			return n, fmt.Errorf("entry %d of%v, %d read: room %d is taken for %d, but %w", i, s, s.read, room, p, err)
		}
	}
	return n, nil
}

// TestTrailOfRoomsJoinedAgain holds trails against the model: who is told that the node
// knows gets each event once, whichever of those with its mark it has read.
func TestTrailOfRoomsJoinedAgain(t *testing.T) {
	sure := 0
	rapid.Check(t, func(t *rapid.T) {
		s := session{since: map[uint64]uint64{}, at: map[uint64]uint64{}, head: map[uint64]uint64{}}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			s.step(t)
		}
		old, err := Parse(s.kept)
		if err != nil {
			t.Fatal(err)
		}
		newest, err := Parse(s.trail.Append(nil))
		if err != nil {
			t.Fatal(err)
		}
		first := s.read - 1 // the last event that is known to be read
		for first >= 0 && s.log[first].join {
			first--
		}
		for which, x := range []*Trail{&s.trail, &newest, &old} {
			for i := max(first, 0); i < len(s.log); i++ {
				if s.log[i].join {
					continue
				}
				n, err := s.sure(x, i)
				if err != nil {
					t.Fatalf("trail %d: %v", which, err)
				}
				sure += n
			}
		}
	})
	if sure == 0 {
		t.Error("nothing is sure")
	}
}
