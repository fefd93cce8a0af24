// Package socketio serves clients of Socket.IO 4: it takes the packets of a connection
// apart by their namespaces, puts binary ones together, and gives each namespace that a
// client connects to a session of its own. runtime/engineio carries the packets, and
// runtime/dialect/socketio is what they say; the route behind it is the one of all
// other clients.
//
//	engineio.Conn ── client ─┬─ channel "/"       ── session
//	                         └─ channel "/voice"  ── session
//
// A channel is its session's connection. It keeps the trail of what it was sent, which
// connection state recovery needs, in the order of the queue that all channels share.
//
// # Goroutines
//
// Packets are handled on the goroutine that reads the connection. The end of a channel
// whose connection goes on runs on a goroutine of its own; Server.Wait waits for those.
package socketio
