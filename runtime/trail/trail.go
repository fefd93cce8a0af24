package trail

import (
	"maps"
	"math"
	"slices"

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

// run is events of one room that follow each other. One without events is a turn: what
// follows its end comes next, whatever was sent before.
type run struct{ room, from, to uint64 }

func (r run) marks() uint64 { return r.to + 1 - r.from }
func (r run) turn() bool    { return r.marks() == 0 }

// onto says where the client stands behind the run. Events that do not follow those
// before, without a turn, should not be.
func (r run) onto(at map[uint64]uint64) {
	if p, sent := at[r.room]; sent && p+1 != r.from && !r.turn() {
		at[r.room] = Unsure
		return
	}
	at[r.room] = r.to
}

// Unsure stands in the place of an offset where nobody knows how far the client has come.
const Unsure = math.MaxUint64

// From is the trail of a session that goes on behind a mark, and whose record says how
// far it had come then in every room.
func From(m frame.Mark) Trail { return Trail{last: m} }

// Note adds what was just sent.
func (t *Trail) Note(m frame.Mark) {
	t.noted++
	if n := len(t.runs); n > 0 {
		if r := &t.runs[n-1]; r.room == m.Room && r.to+1 == m.Offset && !r.turn() {
			r.to++
			return
		}
	}
	t.add(run{m.Room, m.Offset, m.Offset})
}

// Join notes that what follows an offset of a room comes next: the room was joined again,
// or its events are sent once more. A room that the trail does not know needs no note:
// where it was joined stands in the session's record.
func (t *Trail) Join(m frame.Mark) {
	if !t.knows(m.Room) {
		return
	}
	turn := run{m.Room, m.Offset + 1, m.Offset}
	if n := len(t.runs); n > 0 && t.runs[n-1].turn() && t.runs[n-1].room == m.Room {
		t.runs[n-1] = turn
		return
	}
	t.add(turn)
}

func (t *Trail) knows(room uint64) bool {
	_, folded := t.base[room]
	return folded || t.last.Room == room || slices.ContainsFunc(t.runs, func(r run) bool { return r.room == room })
}

func (t *Trail) add(r run) {
	if len(t.runs) == maxRuns {
		t.fold(maxRuns/2, true)
		t.blind = t.folded()
	}
	t.runs = append(t.runs, r)
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
	t.fold(whole, false)
	if len(t.runs) > 0 && first < point {
		r := &t.runs[0]
		part := run{r.room, r.from, r.from + point - first - 1}
		r.from = part.to + 1
		t.put(part, false)
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

// fold gives up the order of the first n runs; blind: nobody has confirmed them.
func (t *Trail) fold(n int, blind bool) {
	for _, r := range t.runs[:n] {
		t.put(r, blind)
	}
	t.runs = t.runs[:copy(t.runs, t.runs[n:])]
}

// put folds one run. If its room goes back in it, and nobody has confirmed what is
// before, a mark of that may be meant still.
func (t *Trail) put(r run, blind bool) {
	if t.base == nil {
		t.base = make(map[uint64]uint64)
	}
	was, known := t.base[r.room]
	if !known && t.last.Room == r.room {
		was = t.last.Offset
	}
	switch r.onto(t.base); {
	case !r.turn():
		t.last = frame.Mark{Room: r.room, Offset: r.to}
	case blind && r.to < was:
		t.base[r.room] = Unsure
	}
}

// Rooms is how many rooms are folded.
func (t *Trail) Rooms() int { return len(t.base) }

// Prune forgets rooms that are folded, but for those to keep: nobody asks any more how
// far the client has come there. While something was folded unconfirmed, all are kept.
func (t *Trail) Prune(keep map[uint64]bool) {
	if t.blind > 0 {
		return
	}
	maps.DeleteFunc(t.base, func(room, _ uint64) bool { return !keep[room] })
}

// Positions is how far a client has come, by room, whose last event has the mark: where
// what it has not been sent begins, or what it is to be sent again. Rooms of which the
// trail knows nothing are left out. ok is false if the trail does not know the mark, any
// more or yet, or has it twice, or may have by now: a client may ask for events again,
// and then nobody knows which of the two it means.
func (t *Trail) Positions(m frame.Mark) (at map[uint64]uint64, ok bool) {
	found := -1 // the run that the mark is in
	for i, r := range t.runs {
		switch has := found >= 0 || m == t.last; {
		case r.room != m.Room:
		case r.turn():
			if has && r.to < m.Offset {
				return nil, false
			}
		case r.from <= m.Offset && m.Offset <= r.to:
			if has {
				return nil, false
			}
			found = i
		}
	}
	base, folded := t.base[m.Room]
	switch {
	case found < 0 && (m != t.last || folded && (base < m.Offset || base == Unsure)):
		return nil, false
	case found >= 0 && t.blind > 0 && base >= m.Offset:
		return nil, false
	}
	at = t.upTo(found)
	rest := t.runs[found+1:]
	if found >= 0 {
		if r := t.runs[found]; m.Offset < r.to {
			rest = slices.Insert(slices.Clone(rest), 0, run{m.Room, m.Offset + 1, r.to})
		}
		if at[m.Room] != Unsure {
			at[m.Room] = m.Offset
		}
	}
	turn(at, rest)
	return at, true
}

// None is Positions for a client that was sent nothing.
func (t *Trail) None() map[uint64]uint64 {
	at := map[uint64]uint64{}
	turn(at, t.runs)
	return at
}

// turn has a client that has not read the rest stand where the rooms were joined in it. It
// does not if that is ahead of it and there was something in between: it has been sent
// that, and not read it.
func turn(at map[uint64]uint64, rest []run) {
	stood, unread := maps.Clone(at), map[uint64]bool{}
	for _, r := range rest {
		p, sent := stood[r.room]
		switch {
		case !r.turn():
			if unread[r.room] = true; !sent {
				stood[r.room] = r.from - 1
			}
		case sent && unread[r.room] && (p == Unsure || p < r.to):
			at[r.room] = Unsure
		default:
			at[r.room] = r.to
		}
	}
}

// Top is the furthest offset of a room that the trail knows; 0 if it does not know it.
func (t *Trail) Top(room uint64) uint64 {
	top := t.base[room]
	if t.last.Room == room {
		top = max(top, t.last.Offset)
	}
	for _, r := range t.runs {
		if r.room == room {
			top = max(top, r.to)
		}
	}
	return top
}

// upTo is how far a client has come that was sent what is folded, and the runs up to
// that one.
func (t *Trail) upTo(last int) map[uint64]uint64 {
	at := make(map[uint64]uint64, len(t.base)+1)
	maps.Copy(at, t.base)
	for _, r := range t.runs[:last+1] {
		r.onto(at)
	}
	return at
}

// End is how far a client has come that was sent all of it.
func (t *Trail) End() map[uint64]uint64 { return t.upTo(len(t.runs) - 1) }
