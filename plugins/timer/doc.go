// Package timer keeps the timers that plugins set. They are in a cell.Store, and so
// survive a restart: one that was due meanwhile fires when the node is back. A timer
// fires at least once: if the node dies while it fires, it fires again.
//
// In a cluster one node at a time has a plugin's timers (Nodes): others hand it what is to
// be set. Before a timer fires what is kept of it is swapped for another time, by which it
// is tried again should the node die: of two nodes that both take it to be theirs one fires
// it.
//
// It stands beside the route: runtime/plugin sets and cancels timers as guests ask, and
// brings what fires to its plugin, with the hook timer.
//
// Payloads are not in memory: they are read when their timers fire. A plugin's timers fire
// at a bounded rate, so that one that sets itself again and again is no load.
//
// Run owns the goroutine that waits, the few that fire, and those that change timers: an
// event's are set behind it, so that who completes events does not wait for the store.
package timer
