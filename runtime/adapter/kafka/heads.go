package kafka

import (
	"container/list"
	"math"
	"strings"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/sequence"
)

type roomKey struct{ tenant, room string }

// heads are those of the rooms that have had events which the base may not have yet.
type heads struct {
	rooms map[roomKey]*list.Element // of *headAt
	order list.List                 // by offset
}

type headAt struct {
	key  roomKey
	head sequence.Head
	at   int64 // the record's offset in Kafka; inFlight until that is known
}

// inFlight is where a record is that is not stored yet: behind all others.
const inFlight = math.MaxInt64

func newHeads() *heads { return &heads{rooms: map[roomKey]*list.Element{}} }

func (h *heads) find(tenant, room string) (sequence.Head, bool) {
	e, ok := h.rooms[roomKey{tenant, room}]
	if !ok {
		return sequence.Head{}, false
	}
	return e.Value.(*headAt).head, true
}

// put makes a record its room's head.
func (h *heads) put(r *event.Record, at int64) {
	e, ok := h.rooms[roomKey{r.Tenant, r.Room}]
	if !ok {
		key := roomKey{strings.Clone(r.Tenant), strings.Clone(r.Room)}
		e = h.order.PushBack(&headAt{key: key})
		h.rooms[key] = e
	}
	h.order.MoveToBack(e)
	v := e.Value.(*headAt)
	epoch := v.head.Epoch
	if epoch != r.Epoch {
		epoch = strings.Clone(r.Epoch)
	}
	v.at = at
	v.head = sequence.Head{
		Head:      event.Head{Position: event.Position{Epoch: epoch, Offset: r.Offset}, Messages: r.Messages},
		Timestamp: r.Timestamp, Ended: r.Ends,
	}
}

// settle notes where the record that may be its room's head is.
func (h *heads) settle(r *event.Record, at int64) {
	if e, ok := h.rooms[roomKey{r.Tenant, r.Room}]; ok {
		if v := e.Value.(*headAt); v.head.Position == r.Position {
			v.at = at
		}
	}
}

// trim forgets rooms without events at or behind an offset.
func (h *heads) trim(passed int64) {
	for e := h.order.Front(); e != nil && e.Value.(*headAt).at < passed; e = h.order.Front() {
		delete(h.rooms, e.Value.(*headAt).key)
		h.order.Remove(e)
	}
}
