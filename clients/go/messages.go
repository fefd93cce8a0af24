package heddle

import (
	"context"
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Edited is what history tells of a message that was edited.
type Edited struct {
	Version uint64 `json:"version"`
	At      int64  `json:"at"` // Unix milliseconds
}

// Reaction is one reaction to a message, by all who gave it.
type Reaction struct {
	Count int      `json:"count"`
	Users []string `json:"users"` // the first ten by name
	Me    bool     `json:"me"`    // the user of the client is among them
}

// Edit is the data of message:edit, and of the events that it makes, in which
// Version is the new one and the content is the whole of it. What a request does
// not name stays as it is.
type Edit struct {
	Position                // of the message; the epoch may be empty
	Version  uint64         `json:"version"` // the one that is changed; 0 as the message was sent
	Text     string         `json:"text,omitzero"`
	Body     jsontext.Value `json:"body,omitzero"`
	Mentions []string       `json:"mentions,omitempty"`
	Meta     jsontext.Value `json:"meta,omitzero"`

	// Clear names parts of the content that the request empties: text, body, mentions,
	// meta. An event's Body is then null.
	Clear []string `json:"-"`

	Attributes map[string]jsontext.Value `json:"attributes,omitempty"` // of events alone, as those of Message

	ID string `json:"-"` // as that of Message
}

// Reacted is the data of the events that message:react makes.
type Reacted struct {
	Offset uint64 `json:"offset"` // of the message
	Key    string `json:"key"`
	Remove bool   `json:"remove"`
}

// Deleted is the data of the events that message:delete makes: in the room, or,
// with Room, Epoch and For "me", in the user's own.
type Deleted struct {
	Room   string `json:"room"`
	Epoch  string `json:"epoch"`
	Offset uint64 `json:"offset"` // of the message
	For    string `json:"for"`
}

// Redacted is the data of event:redacted in history: who has deleted the message,
// or that the user has hidden it.
type Redacted struct {
	By  string `json:"by"`
	At  int64  `json:"at"`  // Unix milliseconds
	For string `json:"for"` // "me" or empty
}

// Decode reads an event's data into one of the package's types, or one's own.
func (e *Event) Decode(into any) error { return json.Unmarshal(e.Data, into) }

// target names a message; the epoch may be empty.
type target struct {
	Offset uint64 `json:"offset"`
	Epoch  string `json:"epoch,omitzero"`
}

func at(p Position) target { return target{p.Offset, p.Epoch} }

// Edit changes a message of the user's own and returns its new version. If it has
// another version than Edit.Version by now, that is a conflict at data.version.
func (c *Client) Edit(ctx context.Context, room string, e Edit) (version uint64, err error) {
	d, err := e.data()
	if err != nil {
		return 0, err
	}
	a, err := c.request(ctx, &request{action: "message:edit", room: room, id: e.ID}, d)
	if err != nil || a.Data == nil {
		return 0, err
	}
	var answer struct {
		Version uint64 `json:"version"`
	}
	err = json.Unmarshal(a.Data, &answer)
	return answer.Version, err
}

// editData is the data of message:edit as it is sent; what is nil stays.
type editData struct {
	target
	Version  uint64         `json:"version"`
	Text     *string        `json:"text,omitzero"`
	Body     jsontext.Value `json:"body,omitzero"`
	Mentions []string       `json:"mentions,omitzero"`
	Meta     jsontext.Value `json:"meta,omitzero"`
}

func (e *Edit) data() (editData, error) {
	d := editData{target: at(e.Position), Version: e.Version, Body: e.Body, Meta: e.Meta}
	if e.Text != "" {
		d.Text = &e.Text
	}
	if len(e.Mentions) > 0 {
		d.Mentions = e.Mentions
	}
	for _, part := range e.Clear {
		switch part {
		case "text":
			d.Text = new("")
		case "body":
			d.Body = jsontext.Value("null")
		case "mentions":
			d.Mentions = []string{}
		case "meta":
			d.Meta = jsontext.Value("{}")
		default:
			return d, errors.New("heddle: an edit cannot clear " + part)
		}
	}
	return d, nil
}

// Delete deletes a message for all: its author or a moderator may.
func (c *Client) Delete(ctx context.Context, room string, message Position) error {
	_, err := c.Request(ctx, "message:delete", room, at(message))
	return err
}

// Hide deletes a message for the user alone, on all devices.
func (c *Client) Hide(ctx context.Context, room string, message Position) error {
	_, err := c.Request(ctx, "message:delete", room, struct {
		target
		For string `json:"for"`
	}{at(message), "me"})
	return err
}

// React adds a reaction of the user's to a message. Ack.Repeat tells that it was
// there.
func (c *Client) React(ctx context.Context, room string, message Position, key string) (Ack, error) {
	return c.react(ctx, room, message, key, false)
}

// Unreact takes a reaction of the user's away. Ack.Repeat tells that it was not
// there.
func (c *Client) Unreact(ctx context.Context, room string, message Position, key string) (Ack, error) {
	return c.react(ctx, room, message, key, true)
}

func (c *Client) react(ctx context.Context, room string, message Position, key string, remove bool) (Ack, error) {
	return c.Request(ctx, "message:react", room, struct {
		target
		Key    string `json:"key"`
		Remove bool   `json:"remove,omitzero"`
	}{at(message), key, remove})
}

// Direct is the data of direct:send, and of the events that it makes: a durable one
// in the own room of each user, in that of the sender with To; or an ephemeral one
// for a device.
type Direct struct {
	To     string         `json:"to,omitzero"`     // the user who gets it
	Device string         `json:"device,omitzero"` // only this device, and only if it is there now
	Text   string         `json:"text,omitzero"`
	Body   jsontext.Value `json:"body,omitzero"`
	Meta   jsontext.Value `json:"meta,omitzero"`
	TTL    int64          `json:"ttl_ms,omitzero"` // as that of Message

	Attributes map[string]jsontext.Value `json:"attributes,omitempty"` // of events alone, as those of Message

	ID string `json:"-"` // as that of Message
}

// SendDirect sends a message to a user. delivered is, with a Device, how many of
// its sessions got it.
func (c *Client) SendDirect(ctx context.Context, d Direct) (a Ack, delivered int, err error) {
	a, err = c.request(ctx, &request{action: "direct:send", id: d.ID}, d)
	if err != nil || a.Data == nil {
		return a, 0, err
	}
	var answer struct {
		Delivered int `json:"delivered"`
	}
	err = json.Unmarshal(a.Data, &answer)
	return a, answer.Delivered, err
}

// Notification is the data of notification:new: a message that the user does not
// have in front.
type Notification struct {
	Position
	Room    string   `json:"room"`
	ID      string   `json:"id"`      // of the message
	From    string   `json:"from"`    // "" if it is the server
	Reason  string   `json:"reason"`  // message, direct or mention
	Text    string   `json:"text"`    // what the message begins with
	Devices []string `json:"devices"` // those of the user's on which it is news
	Unread  uint64   `json:"unread"`  // messages of the room
}

// Typers is the data of typing:update: who types in a room, at most ten by name.
// It holds until the event's Expires.
type Typers struct {
	Users  []string `json:"users"`
	Others int      `json:"others"` // how many more
}

// StartTyping says that the user is typing. Say it with the first key, every three
// seconds while there are more, and StopTyping when the text was sent, or left
// alone for three seconds.
func (c *Client) StartTyping(ctx context.Context, room string) error {
	_, err := c.Request(ctx, "typing:start", room, nil)
	return err
}

// StopTyping ends what StartTyping has begun.
func (c *Client) StopTyping(ctx context.Context, room string) error {
	_, err := c.Request(ctx, "typing:stop", room, nil)
	return err
}
