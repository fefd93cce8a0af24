package chat

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

// message is one that an event is about, as it is now.
type message struct {
	event.Record
	seen  uint64      // the room's head, read before all else
	notes []room.Note // the first ones
}

// head reads the room's newest position. It refuses what is about another life of
// the room, or about an event that is still to come.
func (c chat) head(ctx context.Context, ev *event.Event, op string) (event.Head, error) {
	head, err := c.History.Head(ctx, ev.Tenant, ev.Room)
	if err != nil {
		return head, fault.Wrap(op, fault.Unavailable, err)
	}
	switch epoch := ev.Str("epoch"); {
	case epoch != "" && epoch != head.Epoch:
		return head, fault.New(fault.Conflict, "data.epoch", "the room's epoch is "+head.Epoch)
	case uint64(ev.Int("offset")) > head.Offset:
		return head, fault.New(fault.Invalid, "data.offset", "the room has no such event yet")
	}
	return head, nil
}

// record reads the event that another one is about.
func (c chat) record(ctx context.Context, ev *event.Event, head event.Head, op string) (event.Record, error) {
	before := event.Position{Epoch: head.Epoch, Offset: uint64(ev.Int("offset")) - 1}
	at, err := c.History.After(ctx, ev.Tenant, ev.Room, before, 1, 1)
	switch {
	case errors.Is(err, room.ErrTrimmed), err == nil && len(at) == 0:
		return event.Record{}, &fault.Error{Op: op, Kind: fault.NotFound, Field: "data.offset", Msg: "that event is not kept any more", Err: err}
	case err != nil:
		return event.Record{}, fault.Wrap(op, fault.Unavailable, err)
	}
	return at[0], nil
}

// message reads the message that an event is about, with so many of its notes. The
// head comes first, so that the committer can tell what has changed behind it, and
// the record last: if it is not deleted then, its notes were whole.
func (c chat) message(ctx context.Context, ev *event.Event, notes int, op string) (m message, err error) {
	head, err := c.head(ctx, ev, op)
	if err != nil {
		return m, err
	}
	m.seen = head.Offset
	offset := uint64(ev.Int("offset"))
	if m.notes, err = c.Notes.Notes(ctx, ev.Tenant, ev.Room, offset, offset, notes); err != nil {
		return m, fault.Wrap(op, fault.Unavailable, err)
	}
	if m.Record, err = c.record(ctx, ev, head, op); err != nil {
		return m, err
	}
	switch {
	case m.Action != actionSend:
		return m, fault.New(fault.Invalid, "data.offset", "that event is not a message")
	case m.Redacted:
		return m, fault.New(fault.Conflict, "data.offset", "that message was deleted")
	case m.Delivered(time.Now().UnixMilli()).Action == event.ActionExpired:
		return m, fault.New(fault.NotFound, "data.offset", "that message has expired")
	}
	return m, nil
}

// subject is what edits and deletions of a message change.
func subject(offset uint64) string { return "m:" + strconv.FormatUint(offset, 10) }

// retried reports whether an event is the one that was stored under a key. One
// whose id holds a "#" is not recognised: in keys that is written otherwise.
func retried(ev *event.Event, key string) bool {
	return key != "" && key == ev.ID && !strings.Contains(key, "#")
}
