package trail

import (
	"maps"

	"github.com/heddle-rt/heddle/runtime/frame"
)

// maxRuns bounds a trail. When there are more, the older half is folded: a client that
// is further behind than that cannot be told from one that knows nothing.
const maxRuns = 512

// Trail is what one session was sent, in order. The zero Trail is empty.
type Trail struct {
	base  map[uint64]uint64 // by room, the newest offset of what is folded
	last  frame.Mark        // the newest of what is folded
	runs  []run
	noted uint64 // marks until now, those that are folded too
	blind uint64 // up to which they were folded though nobody had confirmed them
}

// run is events of one room that follow each other.
type run struct{ room, from, to uint64 }

func (r run) marks() uint64 { return r.to - r.from + 1 }

// From is the trail of a session that goes on behind a mark, and whose record says how
// far it had come then in every room.
func From(m frame.Mark) Trail { return Trail{last: m} }

// Note adds what was just sent.
func (t *Trail) Note(m frame.Mark) {
	t.noted++
	if n := len(t.runs); n > 0 {
		if r := &t.runs[n-1]; r.room == m.Room && r.to+1 == m.Offset {
			r.to++
			return
		}
	}
	if len(t.runs) == maxRuns {
		t.fold(maxRuns / 2)
		t.blind = t.folded()
	}
	t.runs = append(t.runs, run{m.Room, m.Offset, m.Offset})
}

// Point is where the trail ends at present, for Confirm.
func (t *Trail) Point() uint64 { return t.noted }

// Confirm folds what was noted before a point: the client has it.
func (t *Trail) Confirm(point uint64) {
	if point >= t.blind {
		t.blind = 0
	}
	first := t.folded()
	whole := 0
	for whole < len(t.runs) && first+t.runs[whole].marks() <= point {
		first += t.runs[whole].marks()
		whole++
	}
	t.fold(whole)
	if len(t.runs) > 0 && first < point {
		r := &t.runs[0]
		r.from += point - first
		t.put(r.room, r.from-1)
	}
	if len(t.runs) == 0 {
		t.runs = nil
	}
}

// folded is how many marks are.
func (t *Trail) folded() uint64 {
	n := t.noted
	for _, r := range t.runs {
		n -= r.marks()
	}
	return n
}

// fold gives up the order of the first n runs.
func (t *Trail) fold(n int) {
	for _, r := range t.runs[:n] {
		t.put(r.room, r.to)
	}
	t.runs = t.runs[:copy(t.runs, t.runs[n:])]
}

// Rooms is how many rooms are folded.
func (t *Trail) Rooms() int { return len(t.base) }

// Prune forgets rooms that are folded, but for those to keep: nobody asks any more how
// far the client has come there.
func (t *Trail) Prune(keep map[uint64]bool) {
	maps.DeleteFunc(t.base, func(room, _ uint64) bool { return !keep[room] })
}

func (t *Trail) put(room, offset uint64) {
	if t.base == nil {
		t.base = make(map[uint64]uint64)
	}
	t.base[room], t.last = offset, frame.Mark{Room: room, Offset: offset}
}

// Positions is how far a client has come, by room, whose last event has the mark. Rooms
// of which it was sent nothing are left out. ok is false if the trail does not know the
// mark, any more or yet, or has it twice: a client may ask for events again, and then
// nobody knows which of the two it means.
func (t *Trail) Positions(m frame.Mark) (at map[uint64]uint64, ok bool) {
	found := -1 // the run that the mark is in
	for i, r := range t.runs {
		if r.room == m.Room && r.from <= m.Offset && m.Offset <= r.to {
			if found >= 0 || m == t.last {
				return nil, false
			}
			found = i
		}
	}
	if found < 0 && m != t.last || t.blind > 0 && found >= 0 && t.base[m.Room] >= m.Offset {
		return nil, false
	}
	at = t.upTo(found)
	if found >= 0 {
		at[m.Room] = m.Offset
	}
	return at, true
}

// upTo is how far a client has come that was sent what is folded, and the runs up to
// that one.
func (t *Trail) upTo(last int) map[uint64]uint64 {
	at := make(map[uint64]uint64, len(t.base)+1)
	maps.Copy(at, t.base)
	for _, r := range t.runs[:last+1] {
		at[r.room] = r.to
	}
	return at
}

// End is how far a client has come that was sent all of it.
func (t *Trail) End() map[uint64]uint64 { return t.upTo(len(t.runs) - 1) }
