// Package ack is the last stage: it answers. Answers leave a connection in the
// order in which its events came: one that is ready early waits in the
// connection's Line. The stage runs on whichever goroutine finished the event.
package ack
