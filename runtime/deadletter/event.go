package deadletter

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/jsonscan"
)

const maxReason = 1 << 10

// Event notes an event that was refused as kind: whoever answers events calls it for
// all of them. It keeps those that failed by no fault of their sender's, but for
// what only asks, whose sender asks again, and for what may hold a token.
func (l *Letters) Event(ev *event.Event, kind fault.Kind) {
	switch {
	case ev.Keep: // a plugin has failed on it, whose manifest says so
	case kind == fault.Internal, kind == fault.Timeout, kind == fault.Unavailable:
	default:
		return
	}
	id := ev.Origin.Identity()
	if id == nil || ev.Spec == nil || ev.Spec.Permission == event.BeforeSession || secret(ev.Spec.Name) {
		return
	}
	if kind != fault.Internal && !ev.Spec.Durable && !ev.Keep {
		return
	}
	if ev.Spec.Name != ev.Action || len(ev.Data) > 0 && !json.Valid(ev.Data) {
		return // what nobody handles, or can read, is not run again
	}
	now := l.deps.Now()
	n := Letter{
		ID: newID(now), Tenant: id.Tenant, User: id.User, Device: id.Device,
		Room: strings.Clone(ev.Room), Action: ev.Spec.Name, Code: kind.Code(), Reason: reason(ev.Err),
		First: now.UnixMilli(), Last: now.UnixMilli(), Attempts: 1,
	}
	if n.EventID = strings.Clone(ev.ID); n.EventID == "" { // replays of it are one event all the same
		n.EventID = n.ID
	}
	n.Envelope, n.Effect = envelope(ev, n.EventID), firstEffect(ev)
	l.put(n)
}

// firstEffect is what of the event is stored before anything else of it.
func firstEffect(ev *event.Event) *Effect {
	for i := range ev.Effects {
		if e := &ev.Effects[i]; e.Durable {
			if e.Key == "" { // it was not handed over, or its sender gave it no id
				return nil
			}
			return &Effect{Room: strings.Clone(e.Room), User: strings.Clone(e.From.User), Key: strings.Clone(e.Key)}
		}
	}
	return nil
}

func keyOf(user, room, id string) string { return user + "\x00" + room + "\x00" + id }

// secret is whether an action may bring a token.
func secret(action string) bool {
	return strings.HasPrefix(action, "session:") || strings.HasPrefix(action, "auth:")
}

// reason is an error for operators.
func reason(err error) string {
	if err == nil {
		return ""
	}
	s := err.Error()
	if len(s) > maxReason {
		s = s[:maxReason]
	}
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "")
	}
	return s
}

// envelope is the event as a client sends it.
func envelope(ev *event.Event, id string) []byte {
	b := jsonscan.AppendQuotedString([]byte(`{"type":"event","id":`), id)
	if ev.Room != "" {
		b = jsonscan.AppendQuotedString(append(b, `,"room":`...), ev.Room)
	}
	b = jsonscan.AppendQuotedString(append(b, `,"payload":{"action":`...), ev.Action)
	if len(ev.Data) > 0 {
		b = append(append(b, `,"data":`...), bytes.TrimSpace(ev.Data)...)
	}
	return append(b, `}}`...)
}
