package heddle

import "time"

// What is to be done. All of these return Failed if the output arena is full: then
// nothing was written, and the batch has failed, whatever the function returns. The node
// runs its events again in smaller ones; alone, an event has the whole arena.

// Pass lets the event go on; the same as saying nothing.
func (e *Event) Pass() error { return e.put(action{kind: kindPass}, "", "", "", "") }

// Forbid refuses the event; the sender reads the text.
func (e *Event) Forbid(text string) error {
	return e.put(action{kind: kindDrop, code: dropForbidden}, text, "", "", "")
}

// Invalid refuses the event as one that is not well made. The text may begin with
// the field that is to blame: "data.text: too long".
func (e *Event) Invalid(text string) error {
	return e.put(action{kind: kindDrop, code: dropInvalid}, text, "", "", "")
}

// RateLimit refuses the event, and tells the sender when to try again.
func (e *Event) RateLimit(text string, retryAfter time.Duration) error {
	return e.put(action{kind: kindDrop, code: dropRateLimited, number: millis(retryAfter)}, text, "", "", "")
}

// DropSilently refuses the event, and the sender is not told.
func (e *Event) DropSilently() error {
	return e.put(action{kind: kindDrop, code: dropSilently}, "", "", "", "")
}

// Replace gives the event another payload, a JSON object, which is validated as the
// sender's own would be.
func (e *Event) Replace(json []byte) error {
	return e.put(action{kind: kindReplace}, str(json), "", "", "")
}

// SetAttr gives the event an attribute that plugins behind this one, and receivers,
// see. The value is JSON: `"fr"`, `3`.
func (e *Event) SetAttr(name string, json []byte) error {
	return e.put(action{kind: kindSetAttr}, name, str(json), "", "")
}

// EmitOption changes what Emit does: Durable, ToDevice.
type EmitOption struct {
	flags  uint32
	device string
}

// Durable has the event stored, and gives it a position in its room.
func Durable() EmitOption { return EmitOption{flags: emitDurable} }

// ToDevice sends the event to one device alone of the user whose room it is.
func ToDevice(device string) EmitOption { return EmitOption{device: device} }

// Emit sends an event: an action with a JSON object as payload, to a room. Needs the
// capability emit.
func (e *Event) Emit(room, name string, payload []byte, options ...EmitOption) error {
	var all EmitOption
	for _, o := range options {
		all.flags |= o.flags
		if o.device != "" {
			all.device = o.device
		}
	}
	return e.put(action{kind: kindEmit, flags: all.flags}, room, name, str(payload), all.device)
}

// Route sends the event to another room than it names. Needs the capability emit.
func (e *Event) Route(room string) error { return e.put(action{kind: kindRoute}, room, "", "", "") }

// Reply is what the sender's ack carries: a JSON value.
func (e *Event) Reply(json []byte) error {
	return e.put(action{kind: kindReply}, str(json), "", "", "")
}

// Respond answers an HTTP request to the plugin: the hook Request.
func (e *Event) Respond(status int, contentType string, body []byte) error {
	return e.put(action{kind: kindReply, code: uint32(status)}, str(body), contentType, "", "")
}

// HTTP is a request that the node sends when the batch has succeeded. The answer comes
// to the hook Response.
type HTTP struct {
	Method  string // "GET" if empty
	URL     string
	Headers string // lines "name: value", with "\n" between them
	Body    []byte
	Tag     string        // the answer's ID, to know it by
	Timeout time.Duration // 0: the node's own
}

// HTTP sends a request. Needs the capability http, for the URL's host.
func (e *Event) HTTP(r HTTP) error {
	if r.Method == "" {
		r.Method = "GET"
	}
	return e.put(action{kind: kindHTTP, number: millis(r.Timeout)}, r.Method+" "+r.URL, r.Headers, str(r.Body), r.Tag)
}

// SetTimer has the hook Timer called after some time, once, with the payload. There
// is one timer of a name: another one replaces it. Needs the capability timers.
func (e *Event) SetTimer(name string, in time.Duration, payload []byte) error {
	return e.put(action{kind: kindSetTimer, number: millis(in)}, name, "", str(payload), "")
}

// CancelTimer takes a timer back. Needs the capability timers.
func (e *Event) CancelTimer(name string) error {
	return e.put(action{kind: kindCancelTimer}, name, "", "", "")
}

func (e *Event) put(h action, a, b, c, d string) error {
	h.record = e.index
	return e.out.put(&h, a, b, c, d)
}

// millis is d in milliseconds, rounded away from 0, which often means for ever.
func millis(d time.Duration) int64 {
	n := int64(d / time.Millisecond)
	switch rest := d % time.Millisecond; {
	case rest > 0:
		n++
	case rest < 0:
		n--
	}
	return n
}
