package worker

import (
	"context"
	"fmt"
)

// Letter is an event that the store has refused.
type Letter struct {
	Partition int
	Event
	Reason string
	Time   int64 // when it was refused, Unix milliseconds
}

// ID names the letter by where its event is in the log: an event that is refused twice
// is one letter.
func (l *Letter) ID() string { return fmt.Sprintf("%d-%d", l.Partition, l.At) }

// Letters keeps those that are not done.
type Letters interface {
	Put(ctx context.Context, letters []Letter) error
	// All hands out the letters that are not done, the oldest first, until use fails; it
	// returns that error.
	All(ctx context.Context, use func(*Letter) error) error
	// Done takes a letter off.
	Done(ctx context.Context, id string) error
}
