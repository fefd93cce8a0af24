package sequence

import (
	"hash/maphash"

	"github.com/heddle-rt/heddle/runtime/fault"
)

type roomKey struct{ tenant, room string }

// head is one entry of heads.
type head struct {
	Head
	key        roomKey
	prev, next *head

	// Where subjects were changed last, in that order, of those that were changed behind
	// floor; up to there, all are taken for changed.
	subjects []subject
	floor    uint64
}

// subject is one as it is remembered: by a hash, since two subjects of the same one
// cost a sender a second try, and no more.
type subject struct{ sum, offset uint64 }

// What counts is what has changed since the events in flight were decided: mostly
// little, and much where a user marks all rooms as read.
const (
	maxSubjects  = 64 // remembered of one room
	meanSubjects = 8  // of a room on average, if as many rooms are kept as may be
)

// refuses tells why a record must not be behind the ones before it, nil if it may.
func (h *heads) refuses(e *head, s *Submission) error {
	switch {
	case e.Ended:
		return fault.New(fault.NotFound, "room", "the room was deleted")
	case s.Create && e.Offset > 0:
		return fault.New(fault.Conflict, "room", "the room exists already")
	case s.Subject != "" && max(e.floor, e.changed(h.sum(s.Subject))) > s.Seen:
		return fault.New(fault.Changed, "", "")
	}
	return nil
}

// sum is what a subject is remembered by.
func (h *heads) sum(name string) uint64 { return maphash.String(h.seed, name) }

// index is where a subject is in the list, -1 if it is not.
func (e *head) index(sum uint64) int {
	for i := len(e.subjects) - 1; i >= 0; i-- { // the last ones are the likely ones
		if e.subjects[i].sum == sum {
			return i
		}
	}
	return -1
}

// changed is the offset at which a subject was changed last, 0 if that is forgotten.
func (e *head) changed(sum uint64) uint64 {
	if i := e.index(sum); i >= 0 {
		return e.subjects[i].offset
	}
	return 0
}

// note takes a record over that was just given the room's offset. When there are too
// many subjects, the one that was changed first is forgotten.
func (h *heads) note(e *head, s *Submission) {
	e.Ended = s.Record.Ends
	if e.Ended {
		h.spent = append(h.spent, e)
	}
	if s.Subject == "" || s.Heeds {
		return
	}
	sum := h.sum(s.Subject)
	i := e.index(sum)
	switch {
	case i < 0 && len(e.subjects) < maxSubjects:
		e.subjects = append(e.subjects, subject{})
		h.subjects++
		i = len(e.subjects) - 1
	case i < 0:
		i, e.floor = 0, e.subjects[0].offset
	}
	copy(e.subjects[i:], e.subjects[i+1:])
	e.subjects[len(e.subjects)-1] = subject{sum, e.Offset}
}

// heads keeps the newest positions of the rooms that were used last. It may
// forget a room only between batches (trim): within one, it alone knows the
// positions that have been given out and not appended.
type heads struct {
	max      int
	seed     maphash.Seed
	byID     map[roomKey]*head
	ring     head // next is the newest, prev the oldest
	subjects int  // of all rooms

	// Of rooms that were deleted: the log alone knows when their names are free again.
	spent []*head
}

func newHeads(limit int) *heads {
	h := &heads{max: limit, seed: maphash.MakeSeed()}
	h.clear()
	return h
}

func (h *heads) clear() {
	h.byID, h.spent, h.subjects = make(map[roomKey]*head), nil, 0
	h.ring.prev, h.ring.next = &h.ring, &h.ring
}

// find returns the room's entry, nil if it is not kept.
func (h *heads) find(k roomKey) *head {
	e := h.byID[k]
	if e != nil {
		e.unlink()
		h.link(e)
	}
	return e
}

func (h *heads) add(k roomKey, v Head) *head {
	e := &head{Head: v, key: k, floor: v.Offset}
	if v.Ended {
		h.spent = append(h.spent, e)
	}
	h.byID[k] = e
	h.link(e)
	return e
}

// trim forgets the rooms that were not used for longest, while there are too many or
// their subjects are, and those that were deleted.
func (h *heads) trim() {
	for _, e := range h.spent {
		if h.byID[e.key] == e {
			h.forget(e)
		}
	}
	h.spent = h.spent[:0]
	for len(h.byID) > h.max || h.subjects > max(maxSubjects, meanSubjects*h.max) {
		h.forget(h.ring.prev)
	}
}

func (h *heads) forget(e *head) {
	h.subjects -= len(e.subjects)
	e.unlink()
	delete(h.byID, e.key)
}

func (h *heads) link(e *head) {
	e.prev, e.next = &h.ring, h.ring.next
	e.prev.next, e.next.prev = e, e
}

func (e *head) unlink() { e.prev.next, e.next.prev = e.next, e.prev }
