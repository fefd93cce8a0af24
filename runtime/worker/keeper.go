package worker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
)

// Mark is a place in a partition of the log, and what a reader has to know there to tell
// which of the events behind it count. The zero Mark is the partition's beginning.
type Mark struct {
	Offset int64  // of the next record
	Term   uint64 // the last one that has begun before; 0 for none
	Seq    uint64 // how many of its events count
}

// Event is one that counts.
type Event struct {
	event.Record
	At  int64  // its offset in the partition
	Raw []byte // the record of the log that it was in
}

// Keeper keeps events for good. Everything may be kept twice, also by two workers at
// once of which one is late.
type Keeper interface {
	// Progress says where a partition goes on: behind what is kept.
	Progress(ctx context.Context, partition int) (Mark, error)
	// Keep keeps events of a partition in their order, and then that all before next is
	// kept; next is the zero Mark if that is not to be said. After a *Refused all other
	// events are kept, and progress is where it was; any other error may pass.
	Keep(ctx context.Context, partition int, events []Event, next Mark) error
	// Mark is the newest progress that was made before a time; the zero Mark for none.
	Mark(ctx context.Context, partition int, before time.Time) (Mark, error)
}

// Streams are the rooms' streams as they are kept.
type Streams interface {
	// Head is the newest position of a room; the zero Head if nothing of it is kept.
	Head(ctx context.Context, tenant, room string) (event.Head, error)
	// Lost marks events that are not in the log any more, and were not kept. It may be
	// told so twice.
	Lost(ctx context.Context, l Loss) error
}

// Loss is a part of a room's stream.
type Loss struct {
	Tenant, Room, Epoch string
	From, To            uint64 // offsets in the room, both included
}

// Refused is the error of a Keeper that can keep all events but some, however often it
// is asked to.
type Refused struct {
	Why map[int]error // by the event's index
}

func (r *Refused) Error() string {
	if len(r.Why) == 0 {
		return "worker: nothing was refused"
	}
	first := slices.Min(slices.Collect(maps.Keys(r.Why)))
	return fmt.Sprintf("worker: %d events cannot be kept; of the first, at index %d: %v", len(r.Why), first, r.Why[first])
}
