package room

import (
	"encoding/json"

	"github.com/heddle-rt/heddle/runtime/event"
)

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

// Durable events of a room that end memberships.
const (
	ActionLeave  = "room:leave"
	ActionUpdate = "room:update"
)

// Gone are the users whose membership of a room ends with a durable event of it.
func Gone(r *event.Record) []string {
	switch r.Action {
	case ActionLeave:
		return []string{r.From.User}
	case ActionUpdate:
		var d struct {
			Remove []string `json:"remove"`
		}
		_ = json.Unmarshal(r.Data, &d) // it is this node's own
		return d.Remove
	}
	return nil
}

// RoleChange is the data of ActionChanged: the user has another role in the room.
type RoleChange struct {
	Room string `json:"room"`
	Role string `json:"role"`
}
