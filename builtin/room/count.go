package room

import (
	"context"
	"strconv"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

// Kinds of rows, of a room and of the root room.
const (
	rowCount = "count" // how many members the room has, where its type bounds them
	rowOwner = "owner" // by user
	rowEmpty = "empty" // by room: Unix milliseconds of the time since when it is
)

// countPage is how many members are read at a time where they are counted.
const countPage = 1000

// count is how many members a room has. It is known from the change before; a room
// that was changed while its type had no bound is counted anew.
func (r rooms) count(ctx context.Context, ev *event.Event) (uint64, error) {
	raw, found, err := r.Notes.Row(ctx, ev.Tenant, ev.Room, rowCount, "")
	if err != nil {
		return 0, fault.Wrap("room.count", fault.Unavailable, err)
	}
	if found {
		n, err := strconv.ParseUint(string(raw), 10, 64)
		return n, fault.Wrap("room.count", fault.Internal, err)
	}
	n, after := uint64(0), ""
	for {
		page, err := r.Reader.Members(ctx, ev.Tenant, ev.Room, after, countPage)
		if err != nil {
			return 0, fault.Wrap("room.count", fault.Unavailable, err)
		}
		n += uint64(len(page))
		if len(page) < countPage {
			return n, nil
		}
		after = page[len(page)-1].User
	}
}

// full refuses one member too many.
func full(field string, t *room.TypeConfig) error {
	return fault.New(fault.Conflict, field, "this room may have "+strconv.FormatUint(t.MaxMembers, 10)+" members at most")
}
