package heddle

// Event is what a function is given. It, and the strings and bytes that its methods
// return, are good until the function returns: copy what you keep. Empty strings and
// zeros stand for what an event does not have.
type Event struct {
	r     *record
	out   *output
	index uint16 // in its batch
}

// Hook is why the function is called.
func (e *Event) Hook() Hook { return e.r.hook }

// Tenant is whose event it is.
func (e *Event) Tenant() string { return e.r.text(refTenant) }

// User is who sent it.
func (e *Event) User() string { return e.r.text(refUser) }

// Device is the user's device that sent it.
func (e *Event) Device() string { return e.r.text(refDevice) }

// Room is where it was sent to, "conv:42".
func (e *Event) Room() string { return e.r.text(refRoom) }

// Action is what it wants, "message:send".
func (e *Event) Action() string { return e.r.text(refAction) }

// ID is the event's; of a timer, its name; of an answer, the tag of the request.
func (e *Event) ID() string { return e.r.text(refID) }

// Time is when it came, in Unix milliseconds.
func (e *Event) Time() int64 { return e.r.time }

// Sequence counts the events of this version on a node.
func (e *Event) Sequence() uint64 { return e.r.sequence }

// Connection is the number of the connection on its node, 0 for none.
func (e *Event) Connection() uint64 { return e.r.connection }

// Attempt is 1 if the event is run again after its call has failed, else 0.
func (e *Event) Attempt() int { return int(e.r.attempt) }

// Durable reports whether the event has, or will have, a position in its room.
func (e *Event) Durable() bool { return e.r.flags&flagDurable != 0 }

// Server reports whether the tenant's own backend sent it, and no user.
func (e *Event) Server() bool { return e.r.flags&flagServer != 0 }

// Prefix reports whether Payload is only the beginning: see PayloadFrom.
func (e *Event) Prefix() bool { return e.r.flags&flagPrefix != 0 }

// Codec is how the payload is written.
func (e *Event) Codec() Codec { return e.r.codec }

// Payload is of it what the manifest asks for: all, its beginning, or nothing. It is
// not to be changed.
func (e *Event) Payload() []byte { return view(e.r.text(refPayload)) }

// PayloadSize is how many bytes the payload has, whole.
func (e *Event) PayloadSize() int { return int(e.r.whole) }

// PayloadFrom reads the payload from an offset on, also where Payload does not have
// it, and says how many bytes were read: fewer than the buffer has at its end.
func (e *Event) PayloadFrom(offset int, buffer []byte) (int, error) {
	n := hostPayload(uint32(e.index), uint32(offset), addr(buffer), uint32(len(buffer)))
	return max(0, int(n)), failure(n)
}
