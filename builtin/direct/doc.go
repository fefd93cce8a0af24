// Package direct sends a message to one user, or to one device of a user: the
// action direct:send.
//
// To a user it is durable, in the user's own room (`user:<name>`), where it counts
// as unread; a copy goes to the sender's own room, with "to", for the sender's other
// devices. The server itself has no such room, and its messages no "from". To a device it is ephemeral, and refused if no session of the device is
// open. Users are registered nowhere: every valid name has a room.
//
// Handlers perform nothing, with one exception here: what goes to a device is
// delivered by the handler, because its answer tells how many sessions took it, and
// no effect reaches less than a room. It is the last deed of the last to decide.
package direct
