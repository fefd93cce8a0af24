package history

import (
	"fmt"
	"time"
)

// All times are since the beginning of the run, on the clock of the clients, which is one.

// Position is a place in a room's stream.
type Position struct {
	Epoch  string `json:"epoch"`
	Offset uint64 `json:"offset"`
}

// Event is a durable one.
type Event struct {
	Room string
	Position
	ID      string        // the server's
	Key     string        // the sender's own id; "" if it is not a message, or its content is not there any more
	Expires time.Duration `json:",omitempty"` // 0: never
}

func (e Event) String() string {
	if e == (Event{}) {
		return "nothing"
	}
	return fmt.Sprintf("%s:%d %s of %q (epoch %s)", e.Room, e.Offset, e.ID, e.Key, e.Epoch)
}

// is reports whether it is the same event at the same place; its content may have gone.
func (e Event) is(other Event) bool {
	return e.Room == other.Room && e.Position == other.Position && e.ID == other.ID && (e.Key == other.Key || e.Key == "" || other.Key == "")
}

// Send is a message as it was written to a connection once. Those of a connection are in
// the order in which they were written.
type Send struct {
	Key, Room string
	Conn      int // no other connection of the run has the number
	At        time.Duration
	Answered  time.Duration `json:",omitempty"` // 0: not, or by an error
	Ack       Event         // what the answer says
}

// Session is what one receiver saw. It drops nothing by itself.
type Session struct {
	Name  string
	Gone  bool `json:",omitempty"` // it went away before the end, and did not come back
	Steps []Step
}

// Step is an answer to session:open or session:resume, or an event that was delivered.
type Step struct {
	At     time.Duration
	Opened *Opened `json:",omitempty"`
	Seen   Event
}

// Opened is what the answer means.
type Opened struct {
	Resumed   bool
	Recovered bool
	Reason    string
	From      map[string]Position // by room that it is in: what is behind this follows
	Lost      map[string]string   // rooms that are not replayed, and why
}

// Read is a page of history, as it was answered: the oldest event first.
type Read struct {
	By              string
	Room            string
	Asked, Answered time.Duration
	Newest          bool // the page is the last one of the room
	Events          []Event
}

// Life is how long a device of a user had a connection; To is 0 if it had it at the end.
type Life struct {
	User, Device string
	From, To     time.Duration
}

// Look is how many devices of users somebody was told to be there. All users are in it
// who were.
type Look struct {
	By      string
	At      time.Duration
	Devices map[string]int
}

// Key is when a user was said to be typing in a room, or has typed.
type Key struct {
	At         time.Duration
	Room, User string
}

// Span is a time of the run.
type Span struct{ From, To time.Duration }

// History is what was written down in a run.
type History struct {
	Sends    []Send
	Sessions []*Session
	Reads    []Read
	// Final are whole streams by room, as they were read in the end from each of several
	// nodes.
	Final map[string][][]Event

	Lives  []Life
	Looks  []Look
	Typed  []Key
	Typing []Key
	// Trouble are times at which more was wrong than that processes had died: who is there
	// was not to be known by everybody.
	Trouble []Span

	Bounds Bounds
}

// Bounds are how late things may be.
type Bounds struct {
	Expiry   time.Duration // behind the end of a time to live
	Presence time.Duration // behind a change of who is there
}
