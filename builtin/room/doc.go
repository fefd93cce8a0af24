// Package room handles rooms: create, join, leave, update, delete, members,
// history, and what becomes of rooms without members.
//
// Handlers read the room's head first, then what they decide by; their durable
// effects name the subject "room", so that the committer refuses them if a change
// of that kind has come in between. An Expirer runs on the goroutine of its Run,
// nothing else here has one.
package room
