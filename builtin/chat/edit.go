package chat

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

func (c chat) editing() event.Action {
	version := event.Field{Name: "version", Kind: event.Int, Required: true, Max: event.MaxOffset, Doc: "the version that is changed: 0 as it was sent"}
	return event.Action{
		Name: actionEdit, Doc: "Changes a message of the user's own. What the edit does not name stays. The room gets the whole message with its new version; of several edits the stream keeps the content of the newest. Unread counts stay.",
		Payload: append(append(about("the message"), version), fields()...),
		Reply: event.Payload{
			{Name: "version", Kind: event.Int, Doc: "of the message with this edit; left out of a repeat by who may not publish any more"},
			{Name: "repeat", Kind: event.Bool, Doc: "this id was stored before; the position is that of the first"},
		},
		NeedsRoom: true, Durable: true, Slow: true, Permission: event.Publisher, Rate: event.RateMessage, Handle: c.edit,
	}
}

// content is what a message says.
type content struct {
	Text     json.RawMessage `json:"text"`
	Body     json.RawMessage `json:"body"`
	Mentions json.RawMessage `json:"mentions"`
	Meta     json.RawMessage `json:"meta"`

	// Attributes are what plugins have set for it; no sender says them.
	Attributes json.RawMessage `json:"attributes"`
}

// parts lists the members that a sender says, by their names.
func (c *content) parts() [4]part {
	return [...]part{{"text", &c.Text}, {"body", &c.Body}, {"mentions", &c.Mentions}, {"meta", &c.Meta}}
}

type part struct {
	name string
	raw  *json.RawMessage
}

func (c *content) appendTo(dst []byte) []byte {
	for _, p := range c.parts() {
		dst = event.AppendMember(dst, p.name, *p.raw)
	}
	return event.AppendMember(dst, "attributes", c.Attributes)
}

// edited is the data of message:edit in the room.
type edited struct {
	Offset  uint64 `json:"offset"`
	Version uint64 `json:"version"`
	Prior   uint64 `json:"prior"` // offset of the edit before this one
	content
}

func (d *edited) data() []byte {
	data := strconv.AppendUint([]byte(`{"offset":`), d.Offset, 10)
	data = strconv.AppendUint(append(data, `,"version":`...), d.Version, 10)
	if d.Prior > 0 {
		data = strconv.AppendUint(append(data, `,"prior":`...), d.Prior, 10)
	}
	return append(d.appendTo(data), '}')
}

// edit gives a message a new content. It lives no longer than the message.
func (c chat) edit(ctx context.Context, ev *event.Event) error {
	version := uint64(ev.Int("version"))
	reply := strconv.AppendUint([]byte(`{"version":`), version+1, 10)
	ev.Respond(append(reply[:len(reply):len(reply)], '}')) // also if it is refused now, and was stored before
	m, err := c.message(ctx, ev, 1, "chat.edit")
	switch {
	case err != nil:
		return err
	case m.From.User != ev.From.User:
		return fault.New(fault.Forbidden, "data.offset", "only its author may edit a message")
	}
	last := m.lastEdit()
	again := last.Version == version+1 && retried(ev, last.Key)
	if last.Version != version && !again {
		return fault.New(fault.Conflict, "data.version", "the message is at version "+strconv.FormatUint(last.Version, 10))
	}
	d := edited{Offset: m.Offset, Version: version + 1, Prior: last.Offset}
	data := last.Content
	if last.Version == 0 {
		data = m.Data
	}
	if err := json.Unmarshal(data, &d.content); err != nil {
		return fault.Wrap("chat.edit", fault.Internal, err)
	}
	named := false
	for _, p := range d.parts() {
		if raw := ev.Arg(p.name); raw != nil {
			named, *p.raw = true, raw
		}
	}
	if !named {
		return fault.New(fault.Invalid, "data.text", "text, body, mentions or meta is needed")
	}
	if err := room.SaysNothing(d.Text, d.Body); err != nil {
		return err
	}
	d.Attributes = ev.Extra // those of the content before were of that
	e := event.Effect{Durable: true, Subject: subject(m.Offset), Seen: m.seen, Envelope: event.Envelope{
		Type: event.TypeMessage, Tenant: ev.Tenant, Room: ev.Room, From: ev.From, Action: actionEdit, Data: d.data(), Expires: m.Expires,
	}}
	if again {
		if time.Since(time.UnixMilli(last.At)) > remembered {
			ev.Respond(append(reply, `,"repeat":true}`...))
			return nil
		}
		e.Seen = 0 // the committer knows where it is, or refuses it
	}
	ev.Emit(e)
	return nil
}

// remembered is how long the log knows an id at least.
const remembered = 5 * time.Minute

// editNote is the note of a message's newest edit: this as JSON, a line feed, and
// the content as JSON.
type editNote struct {
	Version uint64 `json:"version"`
	At      int64  `json:"at"`     // Unix milliseconds
	Offset  uint64 `json:"offset"` // of the edit itself
	Key     string `json:"key,omitempty"`
	Content []byte `json:"-"`
}

// lastEdit is zero for a message as it was sent.
func (m *message) lastEdit() (e editNote) {
	if len(m.notes) > 0 {
		e, _ = editOf(&m.notes[0])
	}
	return e
}

// editOf reads a note; ok is false for one that is no edit.
func editOf(n *room.Note) (e editNote, ok bool) {
	if n.Kind != actionEdit {
		return e, false
	}
	head, content, _ := bytes.Cut(n.Value, []byte{'\n'})
	err := json.Unmarshal(head, &e)
	e.Content = content
	return e, err == nil
}

func projectEdit(t room.Tables, r *event.Record) {
	var d edited
	if json.Unmarshal(r.Data, &d) != nil {
		return // only edit writes it, and it writes JSON
	}
	value, _ := json.Marshal(editNote{Version: d.Version, At: r.Timestamp, Offset: r.Offset, Key: r.Key})
	value = append(d.appendTo(append(value, '\n', '{')), '}')
	t.PutNote(r.Tenant, r.Room, room.Note{Offset: d.Offset, Kind: actionEdit, Value: value})
	if d.Prior > 0 {
		t.Redact(r.Tenant, r.Room, d.Prior)
	}
}
