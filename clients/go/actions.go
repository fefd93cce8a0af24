package heddle

import (
	"context"
	"errors"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/heddle-rt/heddle/clients/go/wire"
)

// Message is the data of message:send, and of the events that it makes. Text
// or Body is required.
type Message struct {
	Text     string         `json:"text,omitzero"` // at most 8192 bytes
	Body     jsontext.Value `json:"body,omitzero"` // any JSON, at most 32 KiB
	Mentions []string       `json:"mentions,omitempty"`
	Meta     jsontext.Value `json:"meta,omitzero"` // a JSON object
	// TTL in milliseconds after which it is not delivered any more; 0: never.
	TTL int64 `json:"ttl_ms,omitzero"`
	// Ephemeral messages have no position, and are not kept.
	Ephemeral bool `json:"ephemeral,omitzero"`

	// Of messages read from history alone: the newest edit, and the reactions by key.
	Edited    *Edited             `json:"edited,omitzero"`
	Reactions map[string]Reaction `json:"reactions,omitempty"`

	// Of events alone: what the server's plugins say of the message, by name.
	Attributes map[string]jsontext.Value `json:"attributes,omitempty"`

	// ID under which the message is sent, at most 64 bytes; "" makes one. The same
	// id stores the same message once, even from another client of the user, for at
	// least five minutes.
	ID string `json:"-"`
}

// Send sends a message to a room. When it returns without an error, a durable
// message is on the server's disk, once.
func (c *Client) Send(ctx context.Context, room string, m Message) (Ack, error) {
	return c.request(ctx, &request{action: "message:send", room: room, id: m.ID}, m)
}

// SendAsync is Send that does not wait: see RequestAsync. Messages are written
// in the order of the calls.
func (c *Client) SendAsync(ctx context.Context, room string, m Message, done func(Ack, error)) error {
	return c.async(ctx, &request{action: "message:send", room: room, id: m.ID, done: done}, m)
}

// Unread is how a user stands in a room.
type Unread struct {
	Unread uint64 `json:"unread"` // messages not read
	Offset uint64 `json:"offset"` // read up to here
}

// Read marks a room as read up to a position; the epoch may be empty.
func (c *Client) Read(ctx context.Context, room string, upTo Position) (Unread, error) {
	var u Unread
	err := c.ask(ctx, "message:read", room, struct {
		Offset uint64 `json:"offset"`
		Epoch  string `json:"epoch,omitzero"`
	}{upTo.Offset, upTo.Epoch}, &u)
	return u, err
}

// RoomSpec describes a room to be created.
type RoomSpec struct {
	Members []string       `json:"members,omitempty"`
	Name    string         `json:"name,omitzero"`
	Meta    jsontext.Value `json:"meta,omitzero"` // a JSON object
}

// CreateRoom creates a room and returns its name. The session is joined.
func (c *Client) CreateRoom(ctx context.Context, room string, spec RoomSpec) (string, error) {
	var d struct {
		Room string `json:"room"`
	}
	err := c.ask(ctx, "room:create", room, spec, &d)
	return d.Room, err
}

type joinData struct {
	Since *Position `json:"since,omitzero"`
}

// Join joins a room. With since, the events behind it follow; without, those
// from now on.
func (c *Client) Join(ctx context.Context, room string, since *Position) (RoomState, int, error) {
	var d struct {
		RoomState
		Members int `json:"members"`
	}
	a, err := c.request(ctx, &request{action: "room:join", room: room, since: since}, joinData{since})
	if err == nil && a.Data != nil {
		err = json.Unmarshal(a.Data, &d)
	}
	return d.RoomState, d.Members, err
}

// Leave leaves a room.
func (c *Client) Leave(ctx context.Context, room string) error {
	_, err := c.Request(ctx, "room:leave", room, nil)
	return err
}

// RoomUpdate is the data of room:update. Its events name what has changed.
type RoomUpdate struct {
	Name   string            `json:"name,omitzero"`
	Meta   jsontext.Value    `json:"meta,omitzero"` // a JSON object in place of the one before, or null for none
	Add    []string          `json:"add,omitempty"`
	Remove []string          `json:"remove,omitempty"`
	Roles  map[string]string `json:"roles,omitempty"` // by user: owner, moderator or member
}

// UpdateRoom changes a room and who is in it: all of it or nothing.
func (c *Client) UpdateRoom(ctx context.Context, room string, u RoomUpdate) (Ack, error) {
	return c.Request(ctx, "room:update", room, u)
}

// DeleteRoom deletes a room and all that was said in it.
func (c *Client) DeleteRoom(ctx context.Context, room string) error {
	_, err := c.Request(ctx, "room:delete", room, nil)
	return err
}

// RoomNotice is the data of room:added, room:removed and room:changed, in the
// user's own room.
type RoomNotice struct {
	Room  string    `json:"room"`
	Since *Position `json:"since"` // of room:added: the user's view begins behind it
	Role  string    `json:"role"`  // of room:changed
}

// Member is a user's place in a room.
type Member struct {
	User   string `json:"user"`
	Role   string `json:"role"`
	Joined int64  `json:"joined_at"` // Unix milliseconds
}

// Members lists members by name, those behind after; at most limit (200), 0 for
// the server's default. next is the after of the next page, "" at the end.
func (c *Client) Members(ctx context.Context, room, after string, limit int) (members []Member, next string, err error) {
	var d struct {
		Members []Member `json:"members"`
		Next    string   `json:"next"`
	}
	err = c.ask(ctx, "room:members", room, struct {
		After string `json:"after,omitzero"`
		Limit int    `json:"limit,omitzero"`
	}{after, limit}, &d)
	return d.Members, d.Next, err
}

// Range selects a page of a room's history: the oldest events behind an offset,
// or the newest before one, or, without either, the newest. Not both.
type Range struct {
	Before uint64  `json:"before,omitzero"` // 0: none
	After  *uint64 `json:"after,omitzero"`  // nil: none; new(uint64(0)) begins with the room's first event
	Limit  int     `json:"limit,omitzero"`  // at most 200; 0 for the server's default
}

// Page is a stretch of history, oldest first.
type Page struct {
	Events []Event
	Epoch  string
	More   bool
}

// History reads a page of a room's durable events.
func (c *Client) History(ctx context.Context, room string, r Range) (Page, error) {
	var d struct {
		Events []jsontext.Value `json:"events"`
		Epoch  string           `json:"epoch"`
		More   bool             `json:"more"`
	}
	if err := c.ask(ctx, "room:history", room, r, &d); err != nil {
		return Page{}, err
	}
	page := Page{Epoch: d.Epoch, More: d.More}
	for _, raw := range d.Events {
		err := wire.JSON.Decode(raw, func(v *wire.View) error {
			e, err := v.Envelope()
			page.Events = append(page.Events, eventOf(&e))
			return err
		})
		if err != nil {
			return Page{}, err
		}
	}
	return page, nil
}

// Ping asks the server for an answer and returns the time it took.
func (c *Client) Ping(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	_, err := c.Request(ctx, "session:ping", "", nil)
	return time.Since(began), err
}

// Close ends the session, so that it cannot be resumed, and makes Run return. If
// ctx ends first, Run returns all the same, and the session ends on the server
// when its time to resume is over.
func (c *Client) Close(ctx context.Context) error {
	c.mu.Lock()
	cancel, ran := c.cancel, c.run
	c.run = true
	c.mu.Unlock()
	if !ran {
		c.setState(Closed, nil)
		c.failAll()
		return nil
	}
	_, err := c.Request(ctx, "session:close", "", nil)
	cancel()
	if errors.Is(err, ErrClosed) {
		return nil
	}
	return err
}

// ask is a request whose answer's data is wanted.
func (c *Client) ask(ctx context.Context, action, room string, data, answer any) error {
	a, err := c.Request(ctx, action, room, data)
	if err != nil || a.Data == nil {
		return err
	}
	return json.Unmarshal(a.Data, answer)
}
