package worker

import (
	"container/list"
	"strings"

	"github.com/heddle-rt/heddle/runtime/event"
)

type roomKey struct{ tenant, room string }

// rooms are the newest positions of the rooms that had events last.
type rooms struct {
	most  int
	byKey map[roomKey]*list.Element // of *streak
	order list.List                 // by their last event
}

type streak struct {
	key roomKey
	at  event.Position
}

func newRooms(most int) *rooms { return &rooms{most: most, byKey: map[roomKey]*list.Element{}} }

// follow makes an event its room's newest, and returns the offset that it should have
// had; 0 if the room is not remembered.
func (r *rooms) follow(e *Event) (want uint64) {
	el, ok := r.byKey[roomKey{e.Tenant, e.Room}]
	if !ok {
		r.add(e)
		return 0
	}
	r.order.MoveToBack(el)
	s := el.Value.(*streak)
	if s.at.Epoch != e.Epoch {
		s.at = event.Position{Epoch: strings.Clone(e.Epoch)}
	}
	want = s.at.Offset + 1
	s.at.Offset = max(s.at.Offset, e.Offset)
	return want
}

func (r *rooms) add(e *Event) {
	if r.order.Len() >= r.most {
		oldest := r.order.Front()
		delete(r.byKey, oldest.Value.(*streak).key)
		r.order.Remove(oldest)
	}
	key := roomKey{strings.Clone(e.Tenant), strings.Clone(e.Room)}
	r.byKey[key] = r.order.PushBack(&streak{key, event.Position{Epoch: strings.Clone(e.Epoch), Offset: e.Offset}})
}
