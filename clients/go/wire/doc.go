// Package wire is the envelope of the native protocol (docs/PROTOCOL.md) as a
// client sees it, and its two encodings. The client, the fake node in heddletest
// and load tests share it. It imports nothing of the project and owns no
// goroutine.
//
// Decoding yields views into the frame, so that a tool that holds thousands of
// connections looks at an envelope without allocating.
package wire
