package heddle

import "unsafe"

// What the node knows of rooms and people, as JSON; times are Unix milliseconds. All of it
// needs the capability lookup. Errors: NotFound, Denied, Unavailable.

// Kinds of lookups.
const (
	lookupRoom = iota + 1
	lookupMembers
	lookupMember
	lookupPresence
)

// LookupRoom is {"name":…,"meta":…,"creator":…,"created_at":…} of a room that keeps
// members, without meta if there is none; or NotFound.
func LookupRoom(room string) ([]byte, error) { return lookup(lookupRoom, room) }

// LookupMembers is {"members":[{"user":…,"role":…},…],"next":…}: those behind the user
// after, the first ones if that is empty. More are asked for with next, which the last
// ones do not have.
func LookupMembers(room, after string) ([]byte, error) {
	if after != "" {
		room += " " + after
	}
	return lookup(lookupMembers, room)
}

// LookupMember is {"role":…,"joined_at":…}, or NotFound.
func LookupMember(room, user string) ([]byte, error) { return lookup(lookupMember, room+" "+user) }

// LookupPresence is {"status":…,"devices":[…]} of a user: online, away, dnd or offline,
// and the names of the devices that are there.
func LookupPresence(user string) ([]byte, error) { return lookup(lookupPresence, user) }

func lookup(kind int32, name string) ([]byte, error) {
	return fill(nil, func(buffer unsafe.Pointer, capacity uint32) int32 {
		return hostLookup(kind, name, buffer, capacity)
	})
}
