// Package trail remembers in which order a connection was sent the durable events of
// its rooms, for clients that tell by one word how far they have come: Socket.IO's
// connection state recovery keeps the last event's offset and nothing else, and drops
// no repeats. The trail says what that word means for every other room.
//
// A frame carries its Mark, which is the same for all who get it; a trail is one
// session's, and goes into its record. A leaf: it knows frames, owns no goroutine, and
// is guarded by whoever has it.
package trail
