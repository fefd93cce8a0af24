package event

import "context"

// Permission is who may do an action unless a tenant's rules say otherwise.
type Permission uint8

const (
	// AnyUser is every authenticated session.
	AnyUser Permission = iota
	// Participant has the room joined in this session.
	Participant
	// Publisher is a participant whom the room's type lets publish.
	Publisher
	// Moderator is an owner or moderator of the room.
	Moderator
	// BeforeSession may be sent before a session is open: it opens one.
	BeforeSession
)

var permissions = [...]string{"any user", "participant", "publisher", "moderator", "before a session"}

func (p Permission) String() string { return permissions[p] }

// Rate names the budget that an action draws on.
type Rate uint8

const (
	// RateMessage is for events that others receive.
	RateMessage Rate = iota
	// RateControl is for cheap requests about the session itself.
	RateControl
	// RateQuery is for requests that read the store.
	RateQuery
	// Rates is how many classes there are.
	Rates
)

var rates = [...]string{"message", "control", "query"}

func (r Rate) String() string { return rates[r] }

// Handler decides what an event does. It performs nothing: it calls Emit and
// Respond on the event, and later stages carry that out. An error refuses the
// event.
type Handler func(ctx context.Context, ev *Event) error

// Action is declared once; validation, permission, rate limits, metrics, schema
// and documents follow from the declaration.
type Action struct {
	Name       string // noun:verb
	Doc        string // one sentence, for PROTOCOL.md
	Payload    Payload
	Reply      Payload // the data of its ack
	NeedsRoom  bool    // the envelope must name a room
	Durable    bool    // its effect gets a position
	Slow       bool    // reads the store or verifies tokens: runs on a worker with a deep stack
	Permission Permission
	Rate       Rate
	Handle     Handler
}

// Kind is the JSON type of a field.
type Kind uint8

// The kinds of fields. The meaning of Min and Max depends on it.
const (
	String Kind = iota // bytes of UTF-8
	Int                // the value; JSON numbers without a fraction
	Bool
	Any    // any JSON value; Max bounds its bytes
	Object // Fields describe it; Max bounds its bytes
	Array  // of Elem; Min and Max count elements
	Map    // an object with free keys and Elem values; Max counts entries
)

// Field is one member of a payload.
type Field struct {
	Name     string
	Kind     Kind
	Required bool
	Min, Max int64    // Max 0 means no bound of its own
	Enum     []string // of a String
	Format   string   // of a String, or a Map's keys: "room", "user", "id", "epoch" (checked by validate)
	Elem     *Field   // of an Array or Map
	Fields   Payload  // of an Object
	Secret   bool     // no plugin is shown it
	Doc      string
}

// Payload describes the object in an envelope's payload.data. Members that it does not
// name are ignored.
type Payload []Field

// Secret reports whether a field of the payload is.
func (p Payload) Secret() bool {
	for i := range p {
		if p[i].Secret {
			return true
		}
	}
	return false
}

// MaxFields is how many members one payload may declare.
const MaxFields = 12
