package event

// Version of the envelope that this code speaks: the field "v".
const Version = 1

// Type is the envelope's "type".
type Type uint8

// On the way in, a client sends TypeMessage or TypeEvent (the action decides what
// happens, not the type) and TypeAck. On the way out, TypeMessage is a durable
// event with a position, TypeEvent everything else that happens, TypeAck and
// TypeError answer the envelope named by Ref.
const (
	TypeMessage Type = iota + 1
	TypeEvent
	TypeAck
	TypeError
)

// Types are the wire names, in the order of the constants.
var types = [...]string{TypeMessage: "message", TypeEvent: "event", TypeAck: "ack", TypeError: "error"}

func (t Type) String() string {
	if int(t) < len(types) {
		return types[t]
	}
	return ""
}

// ParseType is the inverse of String; 0 for anything else.
func ParseType(s string) Type {
	for t := TypeMessage; t <= TypeError; t++ {
		if types[t] == s {
			return t
		}
	}
	return 0
}

// Sender is the envelope's "from".
type Sender struct {
	User   string
	Device string
}

// MaxOffset is the largest offset: every client's number type holds it exactly.
const MaxOffset = 1<<53 - 1

// Position is a place in a room's stream. Offsets count from 1 without a gap for
// as long as the epoch, the life of the room, lasts. The zero Position is before
// the first event of any epoch.
type Position struct {
	Epoch  string `json:"epoch"`
	Offset uint64 `json:"offset"`
}

// Envelope is the one message of the protocol (docs/PROTOCOL.md). Its strings and
// bytes are immutable; Data is JSON in every dialect.
type Envelope struct {
	Type      Type
	ID        string // the client's own on the way in, a ULID on the way out
	Tenant    string
	Timestamp int64 // Unix milliseconds; the committer's clock in durable events
	Room      string
	From      Sender
	Position         // of a durable event, or a client's cumulative ack
	Ref       string // the ID that an ack or error answers
	Action    string
	Data      []byte
	Expires   int64 // Unix milliseconds after which it is not delivered; 0: never
	Call      int64 // a dialect's own mark on a request, which its answer carries too; 0: none. An event with it is answered though it has no ID
}

// Record is one durable event as the log keeps it.
type Record struct {
	Envelope
	Key      string // the sender's own id for it: with tenant, user and room the idempotency key; "" for none
	Unread   bool   // counts as unread to those who have not seen it
	Ends     bool   // the last one: the room is deleted with it
	Redacted bool   // its data was removed
	Messages uint64 // how many Unread records the room's epoch holds up to and with this one
}

// ActionExpired stands in the place of an event whose time to live is over.
const ActionExpired = "event:expired"

// ActionRedacted stands in the place of an event whose content was deleted.
const ActionRedacted = "event:redacted"

// Delivered is the record as clients get it at a time in Unix milliseconds: one
// that has expired, or was redacted, keeps its place in the order, without its
// content.
func (r *Record) Delivered(now int64) *Envelope {
	if r.Data != nil && (r.Expires == 0 || r.Expires > now) {
		return &r.Envelope
	}
	gone := r.Envelope
	gone.Action, gone.Data, gone.From = ActionExpired, []byte("{}"), Sender{}
	if r.Redacted {
		gone.Action = ActionRedacted
	}
	return &gone
}

// Head is the newest position of a room and what it has counted so far.
type Head struct {
	Position
	Messages uint64
}
