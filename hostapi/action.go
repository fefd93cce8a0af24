package hostapi

import (
	"encoding/binary"
	"fmt"
)

// ActionSize is that of an action without what its references name.
const ActionSize = 56

// ActionKind is what a guest wants done. What it uses of the action stands behind
// it; everything else must be 0 or empty.
type ActionKind uint16

const (
	// Pass lets the event go on; the same as saying nothing.
	Pass ActionKind = iota + 1
	// Drop refuses the event. a: what the sender reads; code: see DropCode.
	Drop
	// Replace gives the event another payload, a JSON object that is validated as the
	// sender's own would be. a: the payload.
	Replace
	// SetAttr gives the event an attribute that plugins behind this one, and receivers,
	// see. a: name, b: JSON value.
	SetAttr
	// Emit sends an event. a: room, b: action, c: payload; flags: EmitDurable. In a
	// room of a user, d: that user's device, for an event to this device alone.
	Emit
	// Route sends the event to another room than it names. a: room.
	Route
	// Reply is what the sender's ack, or the HTTP answer, carries. a: payload, b: its
	// content type; code: HTTP status. The last two of HookRequest only.
	Reply
	// HTTP sends a request; its answer comes as HookResponse. a: method and URL with a
	// space between, b: headers as lines "name: value", c: body, d: what the answer
	// brings back to know it by; number: timeout in milliseconds.
	HTTP
	// SetTimer has HookTimer called. a: name, one timer each; c: payload; number: in so
	// many milliseconds.
	SetTimer
	// CancelTimer takes a timer back. a: name.
	CancelTimer
	actionKinds
)

var actionNames = [actionKinds]string{
	Pass: "pass", Drop: "drop", Replace: "replace", SetAttr: "set_attr", Emit: "emit", Route: "route", Reply: "reply",
	HTTP: "http", SetTimer: "set_timer", CancelTimer: "cancel_timer",
}

func (k ActionKind) String() string {
	if k < actionKinds {
		return actionNames[k]
	}
	return ""
}

// ParseAction is the inverse of String; 0 for anything else.
func ParseAction(s string) ActionKind {
	for k := Pass; k < actionKinds; k++ {
		if actionNames[k] == s {
			return k
		}
	}
	return 0
}

// EmitDurable is a flag of Emit: the event gets a position and is stored.
const EmitDurable = 1

// DropCode says why an event is refused, in the words of the protocol.
type DropCode uint32

const (
	DropForbidden   DropCode = iota // code forbidden
	DropInvalid                     // code invalid; the text may begin with a field: "data.text: too long"
	DropRateLimited                 // code rate_limited; number: retry after so many milliseconds
	DropSilently                    // the sender is told nothing, or that all went well
	dropCodes
)

// Action is one thing that a guest wants done. Its bytes are the output's.
type Action struct {
	Kind       ActionKind
	Record     int
	Flags      uint32
	Code       uint32
	Number     int64
	A, B, C, D []byte
}

// Flaw is what is wrong with a guest's output.
type Flaw struct {
	At   int // byte of the output
	What string
}

func (f *Flaw) Error() string { return fmt.Sprintf("hostapi: output at byte %d: %s", f.At, f.What) }

// Next reads the action at the beginning of out, which holds actions alone, and
// returns what is behind it. records is how many there were in the batch, at where
// out begins in the whole, for the flaw.
func Next(out []byte, at, records int) (a Action, rest []byte, err error) {
	flaw := func(what string) (Action, []byte, error) { return Action{}, nil, &Flaw{At: at, What: what} }
	if len(out) < ActionSize {
		return flaw("the last action is cut off")
	}
	le := binary.LittleEndian
	size := int(le.Uint32(out))
	switch {
	case size < ActionSize || size%8 != 0:
		return flaw(fmt.Sprintf("size %d is none of an action", size))
	case size > len(out):
		return flaw(fmt.Sprintf("size %d is more than the %d bytes that are left", size, len(out)))
	}
	own := out[:size:size]
	a = Action{
		Kind: ActionKind(le.Uint16(own[4:])), Record: int(le.Uint16(own[6:])), Flags: le.Uint32(own[8:]), Code: le.Uint32(own[12:]),
		Number: int64(le.Uint64(own[16:])),
	}
	switch {
	case a.Kind == 0 || a.Kind >= actionKinds:
		return flaw(fmt.Sprintf("there is no action %d", a.Kind))
	case a.Record >= records:
		return flaw(fmt.Sprintf("record %d of %d", a.Record, records))
	}
	for i, arg := range [...]*[]byte{&a.A, &a.B, &a.C, &a.D} {
		from, n := uint64(le.Uint32(own[24+8*i:])), uint64(le.Uint32(own[28+8*i:]))
		if n == 0 {
			continue
		}
		if from < ActionSize || from+n > uint64(size) {
			return flaw(fmt.Sprintf("reference %c lies outside of the action", 'a'+i))
		}
		*arg = own[from : from+n : from+n]
	}
	return a, out[size:], nil
}

// Size is how many bytes the action takes in an arena.
func (a *Action) Size() int {
	return align(ActionSize + len(a.A) + len(a.B) + len(a.C) + len(a.D))
}

// Put writes the action at the beginning of b, as a guest would.
func (a *Action) Put(b []byte) int {
	le := binary.LittleEndian
	size := a.Size()
	le.PutUint32(b, uint32(size))
	le.PutUint16(b[4:], uint16(a.Kind))
	le.PutUint16(b[6:], uint16(a.Record))
	le.PutUint32(b[8:], a.Flags)
	le.PutUint32(b[12:], a.Code)
	le.PutUint64(b[16:], uint64(a.Number))
	at := ActionSize
	for i, arg := range [...][]byte{a.A, a.B, a.C, a.D} {
		le.PutUint32(b[24+8*i:], uint32(at))
		le.PutUint32(b[28+8*i:], uint32(len(arg)))
		at += copy(b[at:], arg)
	}
	pad(b, at)
	return size
}
