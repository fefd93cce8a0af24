package validate

import (
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// Bounds of what event's rules of names leave open, in bytes.
const (
	maxType = 32
	maxID   = 64
)

// What is wrong with a name, for clients.
const (
	badRoom  = "must be type:id, type:id/feature or type:id/participant/user; type and feature: a lower-case letter and up to 31 of [a-z0-9_-]; id and user: 1 to 128 characters of " + event.NamePattern
	badUser  = "must be 1 to 128 characters of " + event.NamePattern
	badID    = "must be 1 to 64 printable ASCII characters"
	badEpoch = "must be 1 to 64 characters of " + event.NamePattern
)

// RoomName checks the name of a room or sub-room: `type:id`, `type:id/feature` or
// `type:id/participant/user`. A type or feature is a lower-case letter and up to
// 31 of a-z 0-9 _ -; ids and users are those of event.IsRoomID and event.IsUser.
// The error is a fault Invalid in "room".
func RoomName(s string) error {
	if !isRoom(s) {
		return fault.New(fault.Invalid, "room", badRoom)
	}
	return nil
}

// UserName checks the name of a user by event.IsUser. The error is a fault Invalid
// in "user".
func UserName(s string) error {
	if !event.IsUser(s) {
		return fault.New(fault.Invalid, "user", badUser)
	}
	return nil
}

type text interface{ ~string | ~[]byte }

func isRoom[T text](s T) bool {
	colon := index(s, ':')
	if !isType(s[:colon]) || colon == len(s) {
		return false
	}
	s = s[colon+1:]
	slash := index(s, '/')
	if !event.IsRoomID(s[:slash]) {
		return false
	}
	return slash == len(s) || isSub(s[slash+1:])
}

// isSub checks what stands behind the first slash: a feature, or "participant"
// and a user.
func isSub[T text](s T) bool {
	slash := index(s, '/')
	participant := string(s[:slash]) == "participant"
	if slash == len(s) {
		return !participant && isType(s)
	}
	return participant && event.IsUser(s[slash+1:])
}

// index is the place of the first c, the length if there is none.
func index[T text](s T, c byte) int {
	for i := range len(s) {
		if s[i] == c {
			return i
		}
	}
	return len(s)
}

func isType[T text](s T) bool {
	if len(s) == 0 || len(s) > maxType || s[0]-'a' > 25 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c-'a' > 25 && c-'0' > 9 && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

func isID[T text](s T) bool {
	if len(s) == 0 || len(s) > maxID {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// format checks a string against a Field's Format and says what is wrong, "" if
// nothing is.
func format(name string, s []byte) string {
	switch {
	case name == "room" && !isRoom(s):
		return badRoom
	case name == "user" && !event.IsUser(s):
		return badUser
	case name == "id" && !isID(s):
		return badID
	case name == "epoch" && !event.IsEpoch(s):
		return badEpoch
	}
	return ""
}
