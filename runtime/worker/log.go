package worker

import (
	"context"
	"errors"
)

// Log is what workers read.
type Log interface {
	// Consume shares the partitions with all others that consume, until ctx is done. It
	// calls serve for each that falls to this worker, on a goroutine of its own. serve's
	// ctx ends when the partition is to go to another, who waits for serve to return.
	Consume(ctx context.Context, serve func(context.Context, Partition)) error
	// Read hands out the events from a mark, or from the beginning of what is there if
	// that is behind it, to an offset, which is left out and is that of a record.
	Read(ctx context.Context, partition int, from Mark, to int64, use func(Event) error) error
	// Forget lets go of the records before an offset.
	Forget(ctx context.Context, partition int, before int64) error
}

// Partition is one that is read by this worker. But for Lag, one goroutine calls it.
type Partition interface {
	Number() int
	// Begin has Next go on from a mark. The offset that it returns is behind that if
	// records that follow are gone. ErrHalt if the log ends before the mark.
	Begin(ctx context.Context, from Mark) (int64, error)
	// Next waits for records, and returns so many events or bytes of them at most. After
	// an error, Begin comes first. ErrHalt if the next record is not for this version.
	Next(ctx context.Context, events, bytes int) (Batch, error)
	// Passed notes that all before a mark is kept.
	Passed(m Mark)
	// Lag is how many records have not been passed, and when the first of them was
	// written, in Unix milliseconds; 0 if it has not come yet.
	Lag() (records, since int64)
}

// Batch is what Next has read.
type Batch struct {
	Events     []Event
	Next       Mark  // behind them
	Void       int   // records in between that do not count
	Unreadable int   // records in between that cannot be read
	Why        error // of one of them
}

// ErrHalt is of a log that cannot be read on before somebody has done something about it.
var ErrHalt = errors.New("worker: the partition cannot go on")
