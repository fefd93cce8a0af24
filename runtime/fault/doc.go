// Package fault is the one vocabulary of failure: a short list of kinds, and one
// table that maps each kind to what the three audiences see of it: a wire code
// for clients, a WebSocket close code, and an HTTP status. It imports nothing of
// the project.
package fault
