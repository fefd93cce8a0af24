// Package engineio speaks the transport of Engine.IO 4, revision 4.1 of its
// protocol: connections over HTTP long-polling and over WebSocket, and upgrades of
// the one to the other by probe. It stands where package socket stands in the
// route, and uses that for WebSockets and to judge handshakes. A Handler gets the
// messages, without Engine.IO around them: the Socket.IO dialect, or, at a bare
// endpoint, the native one.
//
// A connection here is what Engine.IO's own documents call a session. Heddle's
// sessions are above it.
//
// # Frames
//
// What is pushed begins with Engine.IO's packet type already (a text frame is
// "4..."), so that the bytes of a broadcast are the same for every WebSocket: once a
// connection is on WebSocket, Conn.Push is one atomic load and socket.Conn.Push. A
// poll's answer is put together of the frames that wait. A text frame must not
// contain the byte 0x1e, which separates packets there; JSON never does. At a bare
// endpoint frames are messages alone, as the native dialect makes them for its
// WebSockets, and polls put the type in front.
//
// # Goroutines
//
// There are none that stand for a connection, but those which others own: net/http's
// for each request under way, which waits in a poll, and package socket's for each
// WebSocket, which reads. Both call Handler.Frame. A connection has one timer, for
// pings, for what has to answer them, and for its end; it has one more while it is
// upgraded. Timers run their functions on goroutines that end at once. Handler.Closed
// of a connection over polling is called on a goroutine of its own, because whoever
// closes a connection may hold locks that Closed wants. Server.Run waits for those;
// connections on WebSocket end with the socket.Server.
//
// # Memory
//
// A connection over polling costs about 1 KB here. A poll that waits costs what
// net/http keeps for a request, which is more, about 21 KB: two goroutines, two
// buffers of 4 KiB, the request. TestIdlePollIsCheap holds both.
package engineio
