package event

import "strings"

// NamePattern is the alphabet of names as a regular expression, for messages and
// the schema. It holds what the usual identity providers give as a subject; the
// marks of rooms and of patterns (":", "/", "*") are not in it, so that a name can
// be part of a room's name.
const NamePattern = `[A-Za-z0-9._~@|+=-]`

// Bounds of names, in bytes.
const (
	MaxName  = 128 // of a user or device, and of a room behind its type
	MaxEpoch = 64
)

// text is what rules of names are asked about: neither form is converted.
type text interface{ ~string | ~[]byte }

// IsUser reports whether s may be the name of a user or of a device: 1 to MaxName
// bytes of NamePattern.
func IsUser[T text](s T) bool { return isName(s, MaxName) }

// IsRoomID reports whether s may stand behind the type in the name of a room, by
// the rule for users: every user has a room.
func IsRoomID[T text](s T) bool { return isName(s, MaxName) }

// IsEpoch reports whether s may be an epoch: 1 to MaxEpoch bytes of NamePattern.
func IsEpoch[T text](s T) bool { return isName(s, MaxEpoch) }

func isName[T text](s T, longest int) bool {
	if len(s) == 0 || len(s) > longest {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c|0x20-'a' <= 25, c-'0' <= 9:
		case c == '.', c == '_', c == '~', c == '@', c == '|', c == '+', c == '=', c == '-':
		default:
			return false
		}
	}
	return true
}

// Bounds of an action's noun, and of its verb, in bytes.
const maxWord = 32

// Reserved are nouns that no plugin's action may have, beside those of the node's own
// actions.
func Reserved() []string { return []string{"ack", "call", "doc", "heddle", "system", "user"} }

// Noun is what an action is about: what stands in front of the colon.
func Noun(action string) string {
	noun, _, _ := strings.Cut(action, ":")
	return noun
}

// IsAction reports whether s may be the name of an action: noun:verb, each of 1 to 32
// lower-case letters, digits and underscores, a letter first.
func IsAction(s string) bool {
	noun, verb, found := strings.Cut(s, ":")
	return found && isWord(noun) && isWord(verb)
}

func isWord(s string) bool {
	if len(s) == 0 || len(s) > maxWord || s[0]-'a' > 25 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c-'a' > 25 && c-'0' > 9 && c != '_' {
			return false
		}
	}
	return true
}
