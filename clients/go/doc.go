// Package heddle is the Go client of Heddle's native protocol
// (docs/PROTOCOL.md): one session over one WebSocket at a time, which reconnects
// and resumes by itself, delivers every durable event once and in order, and
// repeats what was sent under the same id until it is answered.
//
// New starts nothing. Run owns all goroutines: its own, which connects, writes
// and keeps time; one that reads the socket, as long as there is one; one that
// calls OnEvent; and one that calls OnSession. All end before Run returns.
//
// Everything is bounded. Requests that wait for an answer: MaxPending, more of
// them wait (Request) or are refused (SendAsync). Events that wait for OnEvent:
// Queue, then durable events make the reader wait, and ephemeral ones are
// dropped. Sessions that wait for OnSession: one, into which newer ones are merged.
// Events that wait behind a gap: MaxHeld for a room, then the client
// resumes from before the gap.
package heddle
