// Package native is the native protocol's two encodings, JSON and MessagePack
// (docs/PROTOCOL.md): bytes from a socket to an envelope, and an envelope to the
// frame that all recipients share. It stands between socket and decode on the way
// in, and is called by deliver and ack on the way out; the Go client uses it from
// the other side. It owns no goroutine and keeps no state.
//
// Decoding is strict, because bytes come from strangers, and shallow: no
// recursion along the input, since it runs on the small stacks of connections.
package native
