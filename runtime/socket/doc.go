// Package socket holds the connections of end users: it accepts them, reads and
// judges their handshakes, lets gws read their WebSocket frames, and writes
// theirs out. It is the first step of the route; a Handler, which is the session
// layer, gets every message on its connection's reading goroutine.
//
// # Goroutines
//
// Server.Run owns all of them, and returns when they have ended:
//
//   - one accepts, one turns the heartbeat wheel, one samples load, one serves
//     plain HTTP, one looks at the certificate's files;
//   - a handshake has one, ended by the handshake timeout;
//   - a connection has one, which reads. It starts with a fresh stack after the
//     handshake, because most connections are idle and their stacks are most of
//     what they cost;
//   - nobody writes for one connection alone: GOMAXPROCS flushers write for all
//     (flusher.go). A goroutine waits for a socket only while that is full.
//
// # Memory
//
// An idle connection holds no buffers: what it reads into comes from a pool when
// there is something to read (stream.go), and what waits for it is in a backlog
// that is given back when it is empty (queue.go). It costs about 1.8 KB of heap,
// most of it gws's and net's, and a stack of 2 KiB; TestIdleConnectionIsCheap
// holds it there. What the kernel keeps for a socket comes on top.
package socket
