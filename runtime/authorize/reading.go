package authorize

import "slices"

// reading are the actions by which a user gets to a room and reads there. A grant
// that limits actions limits what is done in the room, and always permits these; what
// the session itself needs, session:*, is permitted by the grant.
var reading = [...]string{
	"room:join", "room:leave", "room:members", "room:history",
	"message:read",
	"presence:subscribe", "presence:unsubscribe",
}

// Reading reports whether an action only reads.
func Reading(action string) bool { return slices.Contains(reading[:], action) }
