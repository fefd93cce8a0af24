package native

import (
	"math"
	"strconv"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/jsonscan"
)

// maxInteger is the largest integer that every client's number type holds.
const maxInteger = 1<<53 - 1

// decoder is what both encodings share: where fields go, and which error counts.
type decoder struct {
	b       []byte // JSON: the envelope's private copy, unescaped in place
	env     *event.Envelope
	full    bool   // read from a server: fields that clients do not set count too
	version int    // of the envelope
	seen    uint32 // one bit for each field
	bad     *fault.Error
}

// begin notes that a field is there; false if its value does not count.
func (d *decoder) begin(f field) bool {
	if f == unknown {
		return false
	}
	if d.seen&(1<<f) != 0 {
		d.fail(fault.Malformed, f, " is there twice")
		return false
	}
	d.seen |= 1 << f
	return d.full || !f.serverOnly()
}

// fail remembers the first error of a field. Decoding goes on: the id may be
// still to come, and the error wants to carry it.
func (d *decoder) fail(kind fault.Kind, f field, is string) {
	if d.bad == nil {
		d.bad = fault.New(kind, names[f], names[f]+is)
	}
}

// text stores a string field.
func (d *decoder) text(f field, s string) {
	switch e := d.env; f {
	case fieldID:
		e.ID = s
	case fieldTenant:
		e.Tenant = s
	case fieldRoom:
		e.Room = s
	case fieldEpoch:
		e.Epoch = s
	case fieldRef:
		e.Ref = s
	case fieldAction:
		e.Action = s
	case fieldUser:
		e.From.User = s
	case fieldDevice:
		e.From.Device = s
	case fieldType:
		e.Type = event.ParseType(s)
		if e.Type == 0 || e.Type == event.TypeError && !d.full {
			d.fail(fault.Invalid, f, " must be message, event or ack")
		}
	}
}

// integer stores a number field; ok is false if it does not fit its type.
func (d *decoder) integer(f field, n uint64, ok bool) {
	if f == fieldV {
		// Fields of another version may mean something else: its number decides.
		d.version = -1
		if ok && n <= math.MaxInt32 {
			d.version = int(n)
		}
		return
	}
	if !ok || n > maxInteger {
		d.fail(fault.Invalid, f, " must be between 0 and 2^53-1")
		return
	}
	switch f {
	case fieldTimestamp:
		d.env.Timestamp = int64(n)
	case fieldOffset:
		d.env.Offset = n
	case fieldExpires:
		d.env.Expires = int64(n)
	}
}

// finish gives the verdict on an envelope that could be read to its end.
func (d *decoder) finish() error {
	if d.version != event.Version {
		return fault.New(fault.UnsupportedVersion, names[fieldV],
			"this version of the envelope is not supported; supported: "+strconv.Itoa(event.Version))
	}
	if d.bad != nil {
		return d.bad
	}
	for _, r := range d.required() {
		f := field(r)
		if d.seen&(1<<f) == 0 {
			return fault.New(fault.Invalid, names[f], names[f]+" is missing")
		}
	}
	return nil
}

// required is a string of fields, which needs no allocation.
func (d *decoder) required() string {
	const (
		typed = string(rune(fieldType))
		acted = typed + string(rune(fieldPayload)) + string(rune(fieldAction))
		acked = typed + string(rune(fieldRoom)) + string(rune(fieldEpoch)) + string(rune(fieldOffset))
	)
	switch {
	case d.env.Type != event.TypeAck:
		return acted
	case d.full: // a server's, which answers
		return typed
	}
	return acked
}

func malformed(at int, why string) error {
	return fault.New(fault.Malformed, "", "byte "+strconv.Itoa(at)+": "+why)
}

func problem(at int, p jsonscan.Problem) error { return malformed(at, p.String()) }

func tooMany(limit int) error {
	return fault.New(fault.TooLarge, "", "a batch holds at most "+strconv.Itoa(limit)+" envelopes")
}
