package event

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// Membership is what a session may do in a room that it has joined.
type Membership struct {
	Publish  bool
	Moderate bool
	Durable  bool // the room's type keeps a stream
}

// Origin is the session that an event came from, as stages see it.
type Origin interface {
	// Identity is nil until the connection is authenticated.
	Identity() *Identity
	// Member says what the session may do in a room, and whether it has joined. In a
	// room where others get direct messages it may publish without that.
	Member(room string) (Membership, bool)
	// Opened reports whether session:open or session:resume has succeeded.
	Opened() bool
}

// EffectKind is what an effect does.
type EffectKind uint8

const (
	// Publish brings the envelope to the room.
	Publish EffectKind = iota
	// Join makes the session receive the room, from behind the envelope's position.
	Join
	// Leave ends that.
	Leave
	// End closes the session's connection behind the answer.
	End
	// Perform runs Do: a change in a service of this process that no room sees.
	Perform
)

// Effect is one thing that an event brings about.
type Effect struct {
	Envelope
	Kind    EffectKind
	Member  Membership // of a Join
	Durable bool
	Unread  bool   // see Record
	Again   bool   // of a Join: a room joined already goes back to the position
	Create  bool   // only if the room has no life yet; otherwise Conflict
	Ends    bool   // the room is deleted with it
	Heeds   bool   // Subject stays as it is: those who have read it are not refused for this effect
	Subject string // what the effect changes, if that was read before; see Seen
	Seen    uint64 // offset up to which Subject was read: refused as Changed if it was changed behind that
	Merge   string // of an ephemeral effect: what a newer one replaces in a slow client's queue
	Name    string // tells it from the event's other effects, whatever their order; empty: its place does
	Key     string // idempotency key, set by sequence on the first durable effect
	Do      func() // of a Perform; quick, and it cannot fail
}

// Event is an envelope on its way through the pipeline. Each field has one
// writer, named behind it.
type Event struct {
	Envelope          // decode; Tenant and From by authenticate
	Raw      []byte   // socket: one envelope as it came, valid until decode has copied it
	Received int64    // socket: monotonic nanoseconds since the node started
	Origin   Origin   // socket
	Ticket   uint64   // socket: the event's place in the connection's line of answers
	Spec     *Action  // decode
	args     args     // validate
	Effects  []Effect // builtin
	Later    []Effect // plugin: they come behind those of builtin
	Extra    []byte   // plugin: JSON object of attributes that receivers see; nil for none
	Settled  bool     // plugin: nothing is done about it, and it is acknowledged
	Keep     bool     // plugin: it is refused, and kept as a dead letter
	Reply    []byte   // builtin: JSON data of the ack
	Stored   Position // sequence: of the first durable effect
	StoredID string   // sequence: its ULID
	Repeat   bool     // sequence: the event was known; Stored is where
	Err      error    // pipeline: why it was refused
	Dropped  bool     // pipeline: it ends without an answer
	Next     int      // pipeline: the stage to go on with
	Refused  int      // pipeline: 1 + the stage that refused it, once somebody was asked whether it is a repeat

	effect [2]Effect
}

type args [MaxFields][]byte

// Reset makes the event ready for use again.
func (e *Event) Reset() { *e = Event{} }

// Emit adds an effect.
func (e *Event) Emit(f Effect) {
	if e.Effects == nil {
		e.Effects = e.effect[:0]
	}
	e.Effects = append(e.Effects, f)
}

// Respond sets the data of the ack, a JSON object.
func (e *Event) Respond(data []byte) { e.Reply = data }

// SetArg stores the raw JSON of a declared field; validate alone calls it.
func (e *Event) SetArg(field int, raw []byte) { e.args[field] = raw }

// Arg is the raw JSON of a declared and validated field, nil if it was not sent.
func (e *Event) Arg(name string) []byte {
	for i := range e.Spec.Payload {
		if e.Spec.Payload[i].Name == name {
			return e.args[i]
		}
	}
	return nil
}

// Str is a String field, "" if it was not sent.
func (e *Event) Str(name string) string { return unquote(e.Arg(name)) }

// Int is an Int field, 0 if it was not sent.
func (e *Event) Int(name string) int64 {
	n, _ := strconv.ParseInt(string(e.Arg(name)), 10, 64)
	return n
}

// Bool is a Bool field, false if it was not sent.
func (e *Event) Bool(name string) bool { return string(e.Arg(name)) == "true" }

// Object is the object of those fields that were sent, as they came.
func (e *Event) Object(names ...string) []byte {
	size := len("{}")
	for _, name := range names {
		size += len(name) + len(e.Arg(name)) + len(`"":,`)
	}
	data := append(make([]byte, 0, size), '{')
	for _, name := range names {
		data = AppendMember(data, name, e.Arg(name))
	}
	return append(data, '}')
}

// ObjectAnd is Object with one more member, attributes, if there are any.
func (e *Event) ObjectAnd(attributes []byte, names ...string) []byte {
	data := e.Object(names...)
	if attributes == nil {
		return data
	}
	return append(AppendMember(data[:len(data)-1], "attributes", attributes), '}')
}

// AppendMember adds a member, if it is there, to an object that is not ended yet.
func AppendMember(object []byte, name string, raw []byte) []byte {
	if raw == nil {
		return object
	}
	if object[len(object)-1] != '{' {
		object = append(object, ',')
	}
	return append(append(append(append(object, '"'), name...), `":`...), raw...)
}

func unquote(raw []byte) string {
	if len(raw) < 2 {
		return ""
	}
	for _, c := range raw {
		if c == '\\' {
			b, _ := jsontext.AppendUnquote(nil, raw)
			return string(b)
		}
	}
	return string(raw[1 : len(raw)-1])
}
