package room

import (
	"regexp"
	"strings"
)

// UserType is the type of a user's own room, "user:<name>", which all of the
// user's sessions join by themselves.
const UserType = "user"

// TypeOf is the part of a room's name before the colon.
func TypeOf(room string) string {
	t, _, _ := strings.Cut(room, ":")
	return t
}

// OfUser is the name of a user's own room.
func OfUser(user string) string { return UserType + ":" + user }

// Base is the room that a sub-room ("conv:42/typing") belongs to, or the room
// itself.
func Base(room string) string {
	b, _, _ := strings.Cut(room, "/")
	return b
}

// TypeName is what a room type may be called.
var TypeName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)
