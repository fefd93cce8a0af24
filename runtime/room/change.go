package room

import "github.com/heddle-rt/heddle/runtime/event"

// Durable events in a user's own room that change which rooms the user's sessions
// receive, or what they may do there.
const (
	ActionAdded   = "room:added"
	ActionRemoved = "room:removed"
	ActionChanged = "room:changed"
)

// Change is the data of ActionAdded and ActionRemoved. Since is where the added
// user's view of the room begins.
type Change struct {
	Room  string         `json:"room"`
	Since event.Position `json:"since"`
}

// RoleChange is the data of ActionChanged: the user has another role in the room.
type RoleChange struct {
	Room string `json:"room"`
	Role string `json:"role"`
}
