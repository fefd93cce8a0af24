package room

import (
	"context"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// Replayable reports why the events behind a position can not all be replayed, ""
// if they can. head is the room's newest position.
func Replayable(ctx context.Context, h History, tenant, room string, p event.Position, head event.Head) (string, error) {
	switch {
	case p.Offset == 0 && (p.Epoch == "" || p.Epoch == head.Epoch):
	case p.Epoch != head.Epoch:
		return "epoch", nil
	case p.Offset > head.Offset:
		return "ahead", nil
	case p.Offset == head.Offset:
		return "", nil
	}
	if head.Offset == 0 {
		return "", nil
	}
	_, err := h.After(ctx, tenant, room, event.Position{Epoch: head.Epoch, Offset: p.Offset}, 1, 1)
	if err == nil {
		return "", nil
	}
	if isTrimmed(err) {
		return "trimmed", nil
	}
	return "", fault.Wrap("room.Replayable", fault.Unavailable, err)
}
