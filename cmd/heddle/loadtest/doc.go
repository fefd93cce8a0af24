// Package loadtest drives a running node over the native protocol, and checks
// what comes back: every message carries its sender and number, so that the
// report can say what was lost, repeated or out of order, and not only how fast
// it was.
//
// Run owns all goroutines: one for each connection, which reads; a few that send
// at a fixed rate; one that prints progress. All end before it returns.
// Everything is bounded: unanswered messages of a connection (then due messages
// are skipped and counted), the gaps it remembers, and the handshakes under way.
package loadtest
