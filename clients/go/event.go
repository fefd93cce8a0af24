package heddle

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/heddle-rt/heddle/clients/go/wire"
)

// Position is a place in a room's stream: offsets count from 1 as long as the
// epoch lasts. The zero Position is that of a room without events, which has no
// epoch yet; whatever the room gets lies behind it.
type Position struct {
	Epoch  string `json:"epoch"`
	Offset uint64 `json:"offset"`
}

// Event is something that happened. Durable events have a position.
type Event struct {
	Position
	ID        string
	Tenant    string
	Timestamp int64  // Unix milliseconds, of the server
	Room      string // "" if the event is about the session
	User      string // the sender; "" if it is the server
	Device    string
	Action    string
	Data      jsontext.Value // a JSON object; may be nil
	Expires   int64          // Unix milliseconds after which it must not be shown; 0: never
}

// Durable tells whether the event has a place in its room's stream.
func (e *Event) Durable() bool { return e.Offset > 0 }

// Message reads a message, live or from history. Of other events, those that stand
// in the place of a message that is gone among them, it is ErrOtherEvent.
func (e *Event) Message() (Message, error) {
	var m Message
	if e.Action != "message:send" {
		return m, ErrOtherEvent
	}
	err := json.Unmarshal(e.Data, &m)
	return m, err
}

// ReadMark is how far a user has read a room. Of two the further one holds.
type ReadMark struct {
	User string
	Room string
	Position
}

// ReadMark tells what the event says of somebody's reading: a message:read, and a
// message too, whose sender has read the room up to it. ok is false for all else.
func (e *Event) ReadMark() (m ReadMark, ok bool) {
	m = ReadMark{User: e.User, Room: e.Room, Position: e.Position}
	if e.Action == "message:read" {
		var d struct {
			Room string `json:"room"` // in the user's own room
			Position
		}
		_ = e.Decode(&d)
		m.Position = d.Position
		if d.Room != "" {
			m.Room = d.Room
		}
	} else if e.Action != "message:send" {
		return ReadMark{}, false
	}
	return m, m.User != "" && m.Offset > 0
}

func eventOf(e *wire.Envelope) Event {
	return Event{
		Position: Position{e.Epoch, e.Offset}, ID: e.ID, Tenant: e.Tenant, Timestamp: e.Timestamp, Room: e.Room, User: e.User,
		Device: e.Device, Action: e.Action, Data: e.Data, Expires: e.Expires,
	}
}

// Ack is the answer to a request that succeeded.
type Ack struct {
	Position           // of the durable event, if it made one
	ID          string // the event's ULID
	Timestamp   int64  // Unix milliseconds
	Room        string
	Repeat      bool           // it was stored before; the position is that of the first
	Data        jsontext.Value // depends on the action
	Transmitted int            // how often the request was sent
}

// Gap is a stretch of a room's stream that could not be had: trimmed, or of a
// life of the room that is over.
type Gap struct {
	Room   string
	Epoch  string
	After  uint64 // the last offset that was delivered
	Before uint64 // the next that will be; 0 if that is not known
}

// Session is what the server told about the session.
type Session struct {
	ID        string        `json:"session"`
	User      string        `json:"user"`
	Device    string        `json:"device"`
	Rooms     []RoomState   `json:"rooms"`
	Refused   []RefusedRoom `json:"refused"`
	Recovered bool          `json:"recovered"` // the answer to a resume: nothing is missing
	Reason    string        `json:"reason"`    // why not
	Lost      []LostRoom    `json:"lost"`

	ResumeToken   string `json:"resume_token"`
	ResumeTTL     int64  `json:"resume_ttl_ms"`
	Heartbeat     int64  `json:"heartbeat_ms"`
	MaxFrameBytes int    `json:"max_frame_bytes"`
}

// RoomState is a joined room.
type RoomState struct {
	Position
	Room       string `json:"room"`
	Unread     uint64 `json:"unread"`
	ReadOffset uint64 `json:"read_offset"`
	Member     bool   `json:"member"` // a lasting one: the room is there again in every new session
}

// RefusedRoom is a room of Options.Rooms that was not joined.
type RefusedRoom struct {
	Room string `json:"room"`
	Code string `json:"code"`
}

// LostRoom is a room whose missed events could not be replayed whole.
type LostRoom struct {
	Room   string `json:"room"`
	Reason string `json:"reason"`
}
