// Package directory has every node know the open sessions of all nodes.
//
// Each node owns what it knows of its own sessions, and numbers its changes. It
// broadcasts them in small batches, and each second how far it has come, with a sum over
// all that it has. Broadcasts may be lost, come late or twice: who misses one, or sums up
// to something else, asks the node for all of its sessions (a snapshot, in pages of
// bounded size), and goes on from there; what has changed meanwhile is told as changes. A
// node whose lease is over, and that says nothing, is forgotten with all its sessions. So
// the directory is in no store, and an empty or late one loses nothing of it.
//
// A process is told from the one before it under the same name by its incarnation, of
// which the later one counts. Two that run at the same time are reported.
//
// Presence, and the sessions of this node, are told of changes, one after the other, on
// the goroutine that brings them; they never wait. What sessions of another node are to do
// is a request: to be let go because they are resumed here, to hang up, to be handed an
// event.
//
// # What follows from it
//
// All is true within 50 ms or so of a change, and within about two seconds when
// something was lost. What has to hold over all nodes, as the number of a user's devices,
// may be exceeded for as long: then all nodes find the same sessions to be too many, and
// each closes its own of them.
//
// # Figures
//
// Measured by the package's benchmark on four shared cores, of sessions with ten rooms.
// To open one takes 210 bytes on the bus; to tell of it and to take it in 13 to 16 µs
// together, with what presence makes of it there 35 µs. On each other node it takes 450 to
// 680 bytes, and 1.2 to 1.6 KB more of presence.
//
// Beside Directory.Run there are up to 64 goroutines that handle requests of other nodes,
// which have to wait for the store; Run ends behind them. Hangup has one for each node.
package directory
