package sequence

type roomKey struct{ tenant, room string }

// head is one entry of heads.
type head struct {
	Head
	key        roomKey
	prev, next *head
}

// heads keeps the newest positions of the rooms that were used last. It may
// forget a room only between batches (trim): within one, it alone knows the
// positions that have been given out and not appended.
type heads struct {
	max  int
	byID map[roomKey]*head
	ring head // next is the newest, prev the oldest
}

func newHeads(limit int) *heads {
	h := &heads{max: limit}
	h.clear()
	return h
}

func (h *heads) clear() {
	h.byID = make(map[roomKey]*head)
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
	e := &head{Head: v, key: k}
	h.byID[k] = e
	h.link(e)
	return e
}

// trim forgets the rooms that were not used for longest.
func (h *heads) trim() {
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
