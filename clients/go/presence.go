package heddle

import (
	"context"

	"github.com/go-json-experiment/json/jsontext"
)

// Status is what others are to see of the user, on all devices.
type Status struct {
	Status  string         `json:"status"` // online, away, dnd, invisible or auto
	Text    string         `json:"text,omitzero"`
	Emoji   string         `json:"emoji,omitzero"`
	Data    jsontext.Value `json:"data,omitzero"`          // a JSON object
	Expires int64          `json:"expires_in_ms,omitzero"` // 0: it stays
}

// Presence is how a user is there. Of two of one user the later one, by Since, holds.
type Presence struct {
	User    string         `json:"user"`
	Status  string         `json:"status"` // online, away, dnd or offline
	Text    string         `json:"text"`
	Emoji   string         `json:"emoji"`
	Data    jsontext.Value `json:"data"`
	Since   int64          `json:"since"` // Unix milliseconds; 0: not known
	Devices int            `json:"devices"`
}

// PresenceCounts is how many are present in a room, and the data of
// presence:counts.
type PresenceCounts struct {
	Online int `json:"online"`
	Away   int `json:"away"`
	DND    int `json:"dnd"`
}

// Presences reads the data of a presence:update, of one user or of several.
func (e *Event) Presences() ([]Presence, error) {
	var d struct {
		Presence
		Users []Presence `json:"users"`
	}
	if err := e.Decode(&d); err != nil {
		return nil, err
	}
	if d.Users == nil && d.User != "" {
		return []Presence{d.Presence}, nil
	}
	return d.Users, nil
}

// SetStatus says what others are to see of the user.
func (c *Client) SetStatus(ctx context.Context, s Status) error {
	_, err := c.Request(ctx, "presence:update", "", s)
	return err
}

type watched struct {
	PresenceCounts
	Users []Presence `json:"users"`
	Next  string     `json:"next"`
}

// WatchUsers follows users, at most 100 at once, and tells how they are: changes
// come as presence:update. A new session follows nobody: call it again then.
func (c *Client) WatchUsers(ctx context.Context, users ...string) ([]Presence, error) {
	var d watched
	err := c.ask(ctx, "presence:subscribe", "", map[string][]string{"users": users}, &d)
	return d.Users, err
}

// UnwatchUsers ends following users.
func (c *Client) UnwatchUsers(ctx context.Context, users ...string) error {
	_, err := c.Request(ctx, "presence:unsubscribe", "", map[string][]string{"users": users})
	return err
}

// WatchRoom follows who is present in a room, and lists those behind after, at most
// limit (200), 0 for the server's default; of large rooms only the counts are told.
// next is the after of the next page, "" at the end.
func (c *Client) WatchRoom(ctx context.Context, room, after string, limit int) (present []Presence, n PresenceCounts, next string, err error) {
	var d watched
	err = c.ask(ctx, "presence:subscribe", room, struct {
		After string `json:"after,omitzero"`
		Limit int    `json:"limit,omitzero"`
	}{after, limit}, &d)
	return d.Users, d.PresenceCounts, d.Next, err
}

// UnwatchRoom ends following a room.
func (c *Client) UnwatchRoom(ctx context.Context, room string) error {
	_, err := c.Request(ctx, "presence:unsubscribe", room, nil)
	return err
}
