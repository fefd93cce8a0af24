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

// Presence is how a user is there. Of two of one user that say Since the later one
// holds, else the one that came last: in a room's list, who has left is offline
// without Since.
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

// PresenceChange is what a presence:update or presence:counts tells.
type PresenceChange struct {
	Users []Presence
	// Counts are how many are present in the room behind the change, nil where that is
	// not told. Who knows the Users of a room and counts otherwise has missed a change,
	// and calls WatchRoom again.
	Counts *PresenceCounts
	Reset  bool // of a room: what was told before holds no longer
}

// PresenceChange reads a presence:update, of one user or of a room, or a
// presence:counts. Of other events it is ErrOtherEvent.
func (e *Event) PresenceChange() (PresenceChange, error) {
	var d struct {
		Presence
		Users  []Presence `json:"users"`
		Online *int       `json:"online"`
		Away   int        `json:"away"`
		DND    int        `json:"dnd"`
		Reset  bool       `json:"reset"`
	}
	if e.Action != "presence:update" && e.Action != "presence:counts" {
		return PresenceChange{}, ErrOtherEvent
	}
	if err := e.Decode(&d); err != nil {
		return PresenceChange{}, err
	}
	change := PresenceChange{Users: d.Users, Reset: d.Reset}
	if d.Users == nil && d.User != "" {
		change.Users = []Presence{d.Presence}
	}
	if d.Online != nil {
		change.Counts = &PresenceCounts{*d.Online, d.Away, d.DND}
	}
	return change, nil
}

// Presences are the Users of PresenceChange.
func (e *Event) Presences() ([]Presence, error) {
	change, err := e.PresenceChange()
	return change.Users, err
}

// SetStatus says what others are to see of the user.
func (c *Client) SetStatus(ctx context.Context, s Status) error {
	_, err := c.Request(ctx, "presence:update", "", s)
	return err
}

type watched struct {
	PresenceCounts
	Users   []Presence `json:"users"`
	Next    string     `json:"next"`
	Refused []struct {
		User  string         `json:"user"`
		Error jsontext.Value `json:"error"`
	} `json:"refused"`
}

// RefusedUser is a user who cannot be watched, and why.
type RefusedUser struct {
	User string
	Err  *Error
}

// WatchUsers follows users, at most 100 at once, and tells how they are: changes
// come as presence:update. Some may be refused; if all are, err is the first one's.
// A new session follows nobody: call it again in OnSession.
func (c *Client) WatchUsers(ctx context.Context, users ...string) (seen []Presence, refused []RefusedUser, err error) {
	var d watched
	err = c.ask(ctx, "presence:subscribe", "", map[string][]string{"users": users}, &d)
	for _, r := range d.Refused {
		refused = append(refused, RefusedUser{r.User, parseError(r.Error)})
	}
	return d.Users, refused, err
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
