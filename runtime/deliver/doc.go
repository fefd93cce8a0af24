// Package deliver brings events to the sessions of this node. The Hub keeps who
// receives which room, feeds durable records to them in one order without a gap,
// and lets those who are behind catch up from history; the stage publishes
// ephemeral effects and carries out joins and leaves. Publish runs on the
// committer's goroutines, Emit on that of the connection; a receiver has one
// goroutine for as long as any of its rooms is behind, and a room one for as long
// as it has a gap, owned by the Hub and ended with its context.
package deliver
