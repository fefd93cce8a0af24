// Package session keeps what a user's device is to the node: its identity, its
// rooms and positions, its state, and how it resumes after a drop.
//
// A Session lives as long as its connection; what outlives it is the Record in the
// store, from which any node makes the next Session of the same id. Nothing is
// buffered for a session without a connection: the log has it.
//
// Frames come in on the goroutine that reads the connection. Until the session is
// open a worker handles them, so that the stack of that goroutine stays small.
// Handlers of the session's actions find it as the event's Origin; opening makes
// it known to the Manager, first by its user, then by its id.
//
// On several nodes, Others are the open sessions of the other ones, by which a user's
// devices are listed, counted and reached, and where a session is let go that is resumed
// here.
//
// The Manager owns three goroutines, all in Run: one ticks (expiry, resends of
// unacknowledged events, detached sessions), one writes records, one follows the
// changes of users' rooms: it joins live sessions to rooms that their user was
// added to elsewhere, and takes them out of others.
package session
