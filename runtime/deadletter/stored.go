package deadletter

import (
	"context"
	"strings"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// History reads rooms' streams.
type History interface {
	// Before returns the records before an offset (0: the newest), newest first.
	Before(ctx context.Context, tenant, room string, offset uint64, limit, maxBytes int) ([]event.Record, error)
}

const (
	historyPage  = 500
	historyBytes = 1 << 20
	historyPages = 200
	// slack is how far clocks may differ, and how long an event may have been under way
	// before it failed.
	slack = time.Minute
)

// stored reports whether the event is in its room: its sender may have sent it
// again with success, and ids are remembered for a while only. A room in which too
// much has happened since is Conflict: nobody knows.
func (l *Letters) stored(ctx context.Context, n *Letter) (bool, error) {
	if l.deps.History == nil || n.Room == "" {
		return false, nil
	}
	since, offset := n.First-slack.Milliseconds(), uint64(0)
	for range historyPages {
		page, err := l.deps.History.Before(ctx, n.Tenant, n.Room, offset, historyPage, historyBytes)
		if err != nil {
			return false, fault.Wrap("deadletter.stored", fault.Unavailable, err)
		}
		for i := range page {
			r := &page[i]
			switch {
			case r.Timestamp < since:
				return false, nil
			case keyOf(r.From.User, r.Room, r.Key) == keyOf(n.User, n.Room, strings.ReplaceAll(n.EventID, "#", "##")): // as the log has it
				return true, nil
			}
			offset = r.Offset
		}
		if len(page) == 0 || offset <= 1 {
			return false, nil
		}
	}
	return false, fault.New(fault.Conflict, "", "too much has happened in the room since: it cannot be told whether the event was stored")
}
