package event

import "strings"

// Identity is who a session speaks for. It never changes once set; a refreshed
// token makes a new one.
type Identity struct {
	Tenant   string
	User     string
	Device   string
	Subject  string   // of the token
	TokenID  string   // "jti", may be empty
	Issued   int64    // Unix milliseconds; 0: the token does not say
	Expires  int64    // Unix milliseconds; 0: never
	Rooms    []string // patterns of rooms that the token grants; nil, and nothing Limited: no restriction
	Limited  []Grant  // more rooms, each for some actions alone
	Metadata []byte   // JSON "meta" of the token, may be nil
}

// Grant lets a user into rooms, to do some actions there. With none of them the
// user only receives.
type Grant struct {
	Room    string   // pattern of rooms
	Actions []string // patterns: the names of actions, or the beginning of such followed by "*"
}

// sessionActions is how the actions begin that a session needs wherever it is.
const sessionActions = "session:"

// Grants reports whether the token lets its user into a room. A pattern is a room's
// name, which includes its sub-rooms, or the beginning of one followed by "*"; no
// patterns at all grant every room.
func (id *Identity) Grants(room string) bool {
	if id.unrestricted() {
		return true
	}
	base, _, _ := strings.Cut(room, "/")
	if id.whole(room, base) {
		return true
	}
	for i := range id.Limited {
		if matchesRoom(id.Limited[i].Room, room, base) {
			return true
		}
	}
	return false
}

// Allows reports whether the token lets its user do an action in a room. What the
// session does for itself, such as acknowledging, is allowed in every room
// that is granted.
func (id *Identity) Allows(room, action string) bool {
	if id.unrestricted() {
		return true
	}
	base, _, _ := strings.Cut(room, "/")
	if id.whole(room, base) {
		return true
	}
	for i := range id.Limited {
		if g := &id.Limited[i]; matchesRoom(g.Room, room, base) && g.allows(action) {
			return true
		}
	}
	return false
}

func (id *Identity) unrestricted() bool { return id.Rooms == nil && id.Limited == nil }

// whole reports whether a room is granted for all actions.
func (id *Identity) whole(room, base string) bool {
	for _, p := range id.Rooms {
		if matchesRoom(p, room, base) {
			return true
		}
	}
	return false
}

func (g *Grant) allows(action string) bool {
	if strings.HasPrefix(action, sessionActions) {
		return true
	}
	for _, p := range g.Actions {
		if p == action || begins(action, p) {
			return true
		}
	}
	return false
}

func matchesRoom(pattern, room, base string) bool {
	return pattern == room || pattern == base || begins(room, pattern)
}

// begins reports whether pattern ends in a star, and name begins with the rest.
func begins(name, pattern string) bool {
	prefix, ok := strings.CutSuffix(pattern, "*")
	return ok && strings.HasPrefix(name, prefix)
}
