// Package session keeps what a user's device is to the node: its identity, its
// rooms and positions, its state, and how it resumes after a drop.
//
// A Session lives as long as its connection; what outlives it is the Record in the
// store, from which any node makes the next Session of the same id. Nothing is
// buffered for a session without a connection: the log has it.
//
// The Manager owns two goroutines, both in Run: one ticks (expiry, resends of
// unacknowledged events, detached sessions), one joins live sessions to rooms
// that their user was added to elsewhere.
package session
