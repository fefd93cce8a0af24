package sequence

import (
	"context"
	"errors"

	"github.com/heddle-rt/heddle/runtime/event"
)

// Log keeps the partitions' records. Pebble satisfies it alone, Kafka in a
// cluster; one suite (logtest) holds both to it.
type Log interface {
	// Open makes the caller the only writer of a partition, under a new term: a
	// Partition of an earlier term fails from then on. What an earlier term appended
	// and the log holds durably is visible in the answer.
	Open(ctx context.Context, partition int) (Partition, error)
}

// Partition is one partition under one term. Only its committer calls it, from
// one goroutine; only Pending.Wait may run beside.
type Partition interface {
	// Term numbers the writers of the partition.
	Term() uint64
	// Head is the newest position of a room, counting what Append has taken but not
	// yet made durable; the zero Head for a room without events.
	Head(ctx context.Context, tenant, room string) (Head, error)
	// Lookup finds what an idempotency key was stored as, for at least Window after
	// it was. It need not find what is not durable yet: the committer knows that.
	Lookup(ctx context.Context, key Key) (Stored, bool, error)
	// Append takes a batch of records in the order of their offsets and returns
	// before they are durable. It may read the batch until Wait has returned. An
	// error means that nothing of it was or will be stored. An Append may come while
	// the Wait of an earlier one is failing: it shares that one's fate.
	Append(ctx context.Context, batch []event.Record) (Pending, error)
	// Close gives the partition up. Nothing is in flight, unless a Wait has failed:
	// then the batches behind it are abandoned, and Wait is not called for them.
	Close() error
}

// Pending is an appended batch on its way to the disk.
type Pending interface {
	// Wait returns nil when the whole batch is durable and no other term can take it
	// back. After an error the outcome is unknown, and the term is over: the
	// committer opens the partition again before it goes on, and what it finds then
	// is a prefix of what was appended. Waits are called in the order of the Appends,
	// each once.
	Wait(ctx context.Context) error
}

// ErrSuperseded is in the chain of what a Partition fails with because another term has
// begun.
var ErrSuperseded = errors.New("another term of the partition has begun")

// Head is the newest position of a room as its committer needs it.
type Head struct {
	event.Head
	Timestamp int64 // of the newest record; the next one is not older
	Ended     bool  // the newest record has deleted the room
}

// Key is the identity of a send: the same key within Window is the same event.
type Key struct {
	Tenant, Room, User, ID string
}

// KeyOf is the idempotency key of a record whose Key is not empty.
func KeyOf(r *event.Record) Key {
	return Key{Tenant: r.Tenant, Room: r.Room, User: r.From.User, ID: r.Key}
}

// Stored is what a key was stored as.
type Stored struct {
	event.Position
	ID        string // the event's ULID
	Timestamp int64
}

// StoredOf is where a record is.
func StoredOf(r *event.Record) Stored {
	return Stored{Position: r.Position, ID: r.ID, Timestamp: r.Timestamp}
}
