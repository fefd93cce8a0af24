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

// where is where the event's first effect would be: what came of it knows, or else it
// is in the event's own room.
func (l *Letter) where() Effect {
	if l.Effect != nil {
		return *l.Effect
	}
	return Effect{Room: l.Room, User: l.User, Key: strings.ReplaceAll(l.EventID, "#", "##")} // as the log has it
}

// stored reports whether the event was stored: its sender may have sent it again with
// success, or it was not told, and ids are remembered for a while only. A room in
// which too much has happened since is Conflict: nobody knows.
func (l *Letters) stored(ctx context.Context, n *Letter) (bool, error) {
	at := n.where()
	if l.deps.History == nil || at.Room == "" {
		return false, nil
	}
	since, offset := n.First-slack.Milliseconds(), uint64(0)
	for range historyPages {
		page, err := l.deps.History.Before(ctx, n.Tenant, at.Room, offset, historyPage, historyBytes)
		if err != nil {
			return false, fault.Wrap("deadletter.stored", fault.Unavailable, err)
		}
		for i := range page {
			r := &page[i]
			switch {
			case r.Timestamp < since:
				return false, nil
			case r.From.User == at.User && r.Key == at.Key:
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
