// Package heddletest is a node for tests: it speaks the native protocol
// (docs/PROTOCOL.md) in memory, and does on purpose what networks and nodes do by
// accident: lose, repeat and reorder deliveries, refuse, fall silent, drain, and
// forget. Tests of applications that use the client may run against it.
//
// New starts it; its goroutines (one that accepts, two for each connection) end
// with Close.
package heddletest
