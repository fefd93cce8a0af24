// Package socketio is the protocol of Socket.IO 4 (packets of revision 5) as a dialect:
// packets to and from envelopes. It stands where runtime/dialect/native stands; beside
// it, runtime/socketio keeps connections and their namespaces. It owns no goroutine.
//
//	socket.emit(action, data[, meta], ack)      an envelope on its way in
//	socket.on(action, (data, meta[, offset]))   a delivery
//	ack({ok, ...})                              its answer
//
// meta holds what of an envelope is not payload. offset comes with durable events only;
// it is a mark of runtime/trail, which clients keep for connection state recovery.
//
// Binary arguments are objects of one member in JSON, {"$binary":"<base64>"}: what comes
// as an attachment is stored like that, and leaves as an attachment again.
//
// Sources: the Socket.IO protocol, revision 5 (socketio/socket.io, docs/socket.io-protocol).
package socketio
