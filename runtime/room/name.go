package room

import (
	"strings"

	"github.com/heddle-rt/heddle/runtime/event"
)

// UserType is the type of a user's own room, "user:<name>", which all of the
// user's sessions join by themselves.
const UserType = "user"

// RootType is the type of the tenant's own rooms, which the server alone writes
// and reads: no configuration has it.
const RootType = "root"

// FeaturePresence is the feature whose sub-rooms tell of presence: the server alone
// publishes there, and nothing of it is kept.
const FeaturePresence = "presence"

// participant stands in a name between a room and one of its participants.
const participant = "participant"

// Part is which part of a room a name means.
type Part uint8

const (
	// Whole is the room itself.
	Whole Part = iota
	// Feature is "type:id/feature".
	Feature
	// Participant is "type:id/participant/user".
	Participant
)

// Name is a room's name, taken apart.
type Name struct {
	Type    string
	Base    string // the room itself, "type:id"
	Part    Part
	Feature string // of a Feature
	User    string // of a Participant
}

// Parse takes a room's name apart; false if it is none.
func Parse(room string) (Name, bool) {
	base, sub, inside := strings.Cut(room, "/")
	typ, id, typed := strings.Cut(base, ":")
	n := Name{Type: typ, Base: base}
	if !typed || !IsWord(typ) || !event.IsRoomID(id) {
		return Name{}, false
	}
	if !inside {
		return n, true
	}
	feature, user, deeper := strings.Cut(sub, "/")
	switch {
	case deeper && feature == participant && event.IsUser(user):
		n.Part, n.User = Participant, user
	case !deeper && feature != participant && IsWord(feature):
		n.Part, n.Feature = Feature, feature
	default:
		return Name{}, false
	}
	return n, true
}

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

// IsWord reports whether s may be the name of a room type or of a feature: a
// lower-case letter and up to 31 of a-z 0-9 _ -.
func IsWord(s string) bool {
	if s == "" || len(s) > 32 || s[0]-'a' > 25 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c-'a' > 25 && c-'0' > 9 && c != '_' && c != '-' {
			return false
		}
	}
	return true
}
