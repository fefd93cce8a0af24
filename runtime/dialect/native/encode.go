package native

import (
	"strconv"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/jsonscan"
)

// Encode makes the frame of an envelope: two allocations. Fields that are zero
// are left out, epoch and offset together. Data is spliced in as it is, and must
// be a JSON object; none is written as an empty one.
func (JSON) Encode(env *event.Envelope, class frame.Class, key string) *frame.Frame {
	return frame.Finish(appendEnvelope(frame.Begin(size(env)), env), false, class, key)
}

// size bounds the envelope's bytes in either encoding, escapes apart.
func size(e *event.Envelope) int {
	const fixed = len(`{"v":1,"type":"message","payload":{"action":"","data":{}}}`)
	n := fixed + len(e.Action) + len(e.Data)
	n += named(e.ID, `,"id":""`) + named(e.Tenant, `,"tenant_id":""`) + named(e.Room, `,"room":""`) + named(e.Ref, `,"ref":""`)
	n += named(e.From.User, `,"from":{"user":""}`) + named(e.From.Device, `,"device":""`)
	n += named(e.Epoch, `,"epoch":"","offset":1234567890123456`)
	if e.Timestamp != 0 {
		n += len(`,"timestamp":1767225600000`)
	}
	if e.Expires != 0 {
		n += len(`,"expires_at":1767225600000`)
	}
	return n
}

func named(s, around string) int {
	if s == "" {
		return 0
	}
	return len(around) + len(s)
}

// appendEnvelope writes the fields in the order of docs/PROTOCOL.md.
func appendEnvelope(b []byte, e *event.Envelope) []byte {
	b = append(b, `{"v":1,"type":"`...)
	b = append(b, e.Type.String()...)
	b = append(b, '"')
	b = appendString(b, `,"id":`, e.ID)
	b = appendString(b, `,"tenant_id":`, e.Tenant)
	b = appendInteger(b, `,"timestamp":`, e.Timestamp)
	b = appendString(b, `,"room":`, e.Room)
	if e.From.User != "" {
		b = appendString(b, `,"from":{"user":`, e.From.User)
		b = appendString(b, `,"device":`, e.From.Device)
		b = append(b, '}')
	}
	if e.Epoch != "" {
		b = appendString(b, `,"epoch":`, e.Epoch)
		b = append(b, `,"offset":`...)
		b = strconv.AppendUint(b, e.Offset, 10)
	}
	b = appendString(b, `,"ref":`, e.Ref)
	b = appendInteger(b, `,"expires_at":`, e.Expires)
	if bare(e) {
		return append(b, '}')
	}
	b = jsonscan.AppendQuotedString(append(b, `,"payload":{"action":`...), e.Action)
	b = append(b, `,"data":`...)
	if len(e.Data) == 0 {
		return append(b, `{}}}`...)
	}
	b = append(b, e.Data...)
	return append(b, `}}`...)
}

// bare is an envelope without a payload: a client's ack.
func bare(e *event.Envelope) bool { return e.Action == "" && len(e.Data) == 0 }

func appendString(b []byte, name, s string) []byte {
	if s == "" {
		return b
	}
	return jsonscan.AppendQuotedString(append(b, name...), s)
}

func appendInteger(b []byte, name string, n int64) []byte {
	if n == 0 {
		return b
	}
	return strconv.AppendInt(append(b, name...), n, 10)
}
