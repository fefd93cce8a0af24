package mongo

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/worker"
)

// The fields of an event's document. What its id says is in no field; what is empty, or
// false, is left out.
const (
	fieldAt       = "at" // its place in the log
	fieldEpoch    = "epoch"
	fieldTime     = "time"
	fieldType     = "type"
	fieldEventID  = "event"
	fieldUser     = "user"
	fieldDevice   = "device"
	fieldRef      = "ref"
	fieldAction   = "action"
	fieldKey      = "key"
	fieldExpires  = "expires"
	fieldMessages = "messages"
	fieldUnread   = "unread"
	fieldEnds     = "ends"
	fieldRedacted = "redacted"
	fieldLost     = "lost" // nobody knows the event any more
	fieldData     = "data"
)

var errNotText = errors.New("a text of the event is not UTF-8")

// encodeEvent writes the document without reflection: there is one for each message.
func encodeEvent(id string, e *worker.Event) (bson.Raw, error) {
	start, b := bsoncore.AppendDocumentStart(make([]byte, 0, 320+len(id)+len(e.Data)))
	valid := true
	text := func(name, s string) {
		if valid = valid && utf8.ValidString(s); s != "" {
			b = bsoncore.AppendStringElement(b, name, s)
		}
	}
	flag := func(name string, set bool) {
		if set {
			b = bsoncore.AppendBooleanElement(b, name, true)
		}
	}
	text("_id", id)
	b = bsoncore.AppendInt64Element(b, fieldAt, e.At)
	text(fieldEpoch, e.Epoch)
	b = bsoncore.AppendDateTimeElement(b, fieldTime, e.Timestamp)
	text(fieldType, e.Type.String())
	text(fieldEventID, e.ID)
	text(fieldUser, e.From.User)
	text(fieldDevice, e.From.Device)
	text(fieldRef, e.Ref)
	text(fieldAction, e.Action)
	text(fieldKey, e.Key)
	if e.Expires != 0 {
		b = bsoncore.AppendDateTimeElement(b, fieldExpires, e.Expires)
	}
	b = bsoncore.AppendInt64Element(b, fieldMessages, int64(e.Messages))
	flag(fieldUnread, e.Unread)
	flag(fieldEnds, e.Ends)
	flag(fieldRedacted, e.Redacted)
	if len(e.Data) > 0 {
		b = bsoncore.AppendBinaryElement(b, fieldData, bson.TypeBinaryGeneric, e.Data)
	}
	if !valid {
		return nil, errNotText
	}
	b, err := bsoncore.AppendDocumentEnd(b, start)
	return b, err
}

// stored is an event as it is kept.
type stored struct {
	worker.Event
	lost bool
}

// decodeEvent reads it; tenant and room are known.
func decodeEvent(doc bson.Raw, tenant, room string) (e stored, err error) {
	elements, err := bsoncore.Document(doc).Elements()
	if err != nil {
		return e, err
	}
	e.Tenant, e.Room = tenant, room
	for _, element := range elements {
		v := element.Value()
		if !e.field(element.Key(), v) {
			return e, fmt.Errorf("an event that is none: its field %s is a %s", element.Key(), v.Type)
		}
	}
	return e, nil
}

// field takes one over; false if it is not of its type. One that is not known is of a
// newer program.
func (e *stored) field(name string, v bsoncore.Value) (ok bool) {
	switch name {
	case "_id":
		var id string
		if id, ok = v.StringValueOK(); ok {
			e.Offset, ok = offsetOf(id)
		}
	case fieldAt:
		e.At, ok = v.AsInt64OK()
	case fieldEpoch:
		e.Epoch, ok = v.StringValueOK()
	case fieldTime:
		e.Timestamp, ok = v.DateTimeOK()
	case fieldType:
		var s string
		s, ok = v.StringValueOK()
		e.Type = event.ParseType(s)
	case fieldEventID:
		e.ID, ok = v.StringValueOK()
	case fieldUser:
		e.From.User, ok = v.StringValueOK()
	case fieldDevice:
		e.From.Device, ok = v.StringValueOK()
	case fieldRef:
		e.Ref, ok = v.StringValueOK()
	case fieldAction:
		e.Action, ok = v.StringValueOK()
	case fieldKey:
		e.Key, ok = v.StringValueOK()
	case fieldExpires:
		e.Expires, ok = v.DateTimeOK()
	case fieldMessages:
		var n int64
		n, ok = v.AsInt64OK()
		e.Messages = uint64(n)
	case fieldUnread:
		e.Unread, ok = v.BooleanOK()
	case fieldEnds:
		e.Ends, ok = v.BooleanOK()
	case fieldRedacted:
		e.Redacted, ok = v.BooleanOK()
	case fieldLost:
		e.lost, ok = v.BooleanOK()
	case fieldData:
		var data []byte
		_, data, ok = v.BinaryOK()
		e.Data = append([]byte(nil), data...)
	default:
		ok = true
	}
	return ok
}

// offsetOf is the offset in an event's id.
func offsetOf(id string) (uint64, bool) {
	n, err := strconv.ParseUint(id[max(0, len(id)-offsetDigits):], 10, 64)
	return n, err == nil
}

// same reports whether an event that is kept is this one, whatever became of it since.
func (e *stored) same(other *worker.Event) bool {
	a, b := e.Record, other.Record
	if a.Redacted || b.Redacted {
		a.Data, b.Data, a.Redacted, b.Redacted = nil, nil, false, false
	}
	data := string(a.Data) == string(b.Data)
	a.Data, b.Data = nil, nil
	return data && sameEnvelope(&a.Envelope, &b.Envelope) &&
		a.Key == b.Key && a.Unread == b.Unread && a.Ends == b.Ends && a.Redacted == b.Redacted && a.Messages == b.Messages
}

// sameEnvelope compares what is kept of envelopes, but for their data.
func sameEnvelope(a, b *event.Envelope) bool {
	return a.Type == b.Type && a.ID == b.ID && a.Timestamp == b.Timestamp && a.Position == b.Position && a.From == b.From &&
		a.Ref == b.Ref && a.Action == b.Action && a.Expires == b.Expires
}
