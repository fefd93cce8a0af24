package sequence

import "github.com/heddle-rt/heddle/runtime/fault"

type roomKey struct{ tenant, room string }

// head is one entry of heads.
type head struct {
	Head
	key        roomKey
	prev, next *head

	// Where subjects were changed last, of those that were changed behind floor.
	subjects map[string]uint64
	floor    uint64
}

// maxSubjects is how many subjects of one room are remembered.
const maxSubjects = 64

// refuses tells why a record must not be behind the ones before it, nil if it may.
func (h *head) refuses(s *Submission) error {
	switch {
	case h.Ended:
		return fault.New(fault.NotFound, "room", "the room was deleted")
	case s.Create && h.Offset > 0:
		return fault.New(fault.Conflict, "room", "the room exists already")
	case s.Subject != "" && max(h.floor, h.subjects[s.Subject]) > s.Seen:
		return fault.New(fault.Changed, "", "")
	}
	return nil
}

// note takes a record over that was just given the head's offset. When there are
// too many subjects, all are taken for changed: it costs a sender a second try.
func (h *head) note(s *Submission) {
	h.Ended = s.Record.Ends
	if s.Subject == "" {
		return
	}
	if len(h.subjects) >= maxSubjects {
		clear(h.subjects)
		h.floor = h.Offset
	}
	if h.subjects == nil {
		h.subjects = map[string]uint64{}
	}
	h.subjects[s.Subject] = h.Offset
}

// heads keeps the newest positions of the rooms that were used last. It may
// forget a room only between batches (trim): within one, it alone knows the
// positions that have been given out and not appended.
type heads struct {
	max  int
	byID map[roomKey]*head
	ring head // next is the newest, prev the oldest

	// Of rooms that were deleted: the log alone knows when their names are free again.
	spent []*head
}

func newHeads(limit int) *heads {
	h := &heads{max: limit}
	h.clear()
	return h
}

func (h *heads) clear() {
	h.byID, h.spent = make(map[roomKey]*head), nil
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

// trim forgets the rooms that were not used for longest, and those that were
// deleted.
func (h *heads) trim() {
	for _, e := range h.spent {
		if h.byID[e.key] == e {
			e.unlink()
			delete(h.byID, e.key)
		}
	}
	h.spent = h.spent[:0]
	for len(h.byID) > h.max {
		e := h.ring.prev
		e.unlink()
		delete(h.byID, e.key)
	}
}

func (h *heads) link(e *head) {
	e.prev, e.next = &h.ring, h.ring.next
	e.prev.next, e.next.prev = e, e
}

func (e *head) unlink() { e.prev.next, e.next.prev = e.next, e.prev }
