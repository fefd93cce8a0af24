// Package chat handles messages: sending them, what becomes of them (edits,
// deletions, reactions), and read markers. A change of a message is a durable event
// of its own; projections keep what a message has become as notes beside its record,
// and Folder puts both together for those who read history. It owns no goroutine.
package chat
