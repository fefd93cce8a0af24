package sequence

import (
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// Submission is one durable record on its way to the log. It belongs to the
// committer from Submit until Done has been called.
type Submission struct {
	// Record is what is to be stored. The committer fills in Epoch, Offset, ID,
	// Timestamp and Messages of its own copy.
	Record event.Record
	// Create refuses the record with Conflict if its room has events already.
	Create bool
	// Subject is what the record changes, as read up to the offset Seen: if a record
	// behind that has changed it, this one is refused with Changed. Subjects are
	// names within the room; "" is none.
	Subject string
	Seen    uint64
	// Heeds says that the record rests on Subject and does not change it: others that
	// have read that, and have not seen this record, are not refused for it.
	Heeds bool
	// Probe stores nothing: it asks for the record's tenant, room, user and Key. The
	// outcome is a Repeat if such a record is stored, or the fate of one that is in
	// flight; it is NotFound if the log knows none.
	Probe bool
	// Line is that of several submissions that are to be stored in their order, or not at
	// all; nil for none.
	Line *Line
	// Done learns the outcome.
	Done Completer

	queued time.Time
}

// take makes the submission that of an effect.
func (s *Submission) take(e *event.Effect) {
	s.Record = event.Record{Envelope: e.Envelope, Key: e.Key, Unread: e.Unread, Ends: e.Ends}
	s.Record.Type = event.TypeMessage
	s.Create, s.Subject, s.Seen, s.Heeds = e.Create, e.Subject, e.Seen, e.Heeds
}

// overhead is about what a queued record takes beside its data, in bytes.
const overhead = 512

// size is what the submission counts for in Config.QueueBytes.
func (s *Submission) size() int64 { return overhead + int64(len(s.Record.Data)) }

// Line is what submissions of one partition have in common of which none may be stored
// behind one that was not. It breaks with the first that the log is away for: those
// behind it are refused as that one was, and whoever submits them begins another.
type Line struct{ broken atomic.Bool }

// Break ends the line.
func (l *Line) Break() { l.broken.Store(true) }

// breaks reports whether an outcome ends the line.
func (l *Line) breaks(err error) bool { return l != nil && fault.Is(err, fault.Unavailable) }

// whole reports whether the line has not ended.
func (l *Line) whole() bool { return l == nil || !l.broken.Load() }

// complete tells the outcome of a submission that no batch holds.
func (s *Submission) complete(o Outcome) {
	if s.Line.breaks(o.Err) {
		s.Line.Break()
	}
	s.Done.Committed(o)
}

// Completer learns what became of a submission.
type Completer interface {
	// Committed is called once, after the record was published, from the partition's
	// publishing goroutine: it must not block. With a Timeout it comes from another
	// one, and the record may be stored and published later.
	Committed(Outcome)
}

// Outcome is what became of a submission. With Err nil the event is durable at
// Stored.
type Outcome struct {
	Stored
	Repeat bool  // the key was known; Stored is where the first one is
	Err    error // a *fault.Error; with a retryable kind the event may have been stored all the same
}
