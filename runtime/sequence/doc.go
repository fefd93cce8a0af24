// Package sequence gives durable events their order. Its stage hands effects to
// the committer of their room's partition and goes on with the connection's next
// event; the committer looks up the idempotency key, assigns the next offset,
// appends to the log in batches, and only when a batch is durable publishes it and
// completes its senders. For events that another stage has refused, the stage can
// ask whether they are repeats (Stage.Second).
//
// A partition is a lane with two goroutines, owned by Committer.Run. The assigner
// empties the lane's queue, gives positions and appends; the publisher waits for
// the log, publishes and completes. Batches travel between them in order, at most
// MaxInFlight of them, so that one is appended while the one before is synced. A
// full queue makes Submit wait for SubmitTimeout, then refuse.
//
// A third goroutine, the watch, looks after all lanes: a log that hangs without an
// error has nobody wait for longer than Timeout. It completes who has, as neither
// stored nor refused; what becomes of the record later is for a retry to find out.
// A lane that hangs so refuses what comes.
//
// After an Append or a Wait has failed, nothing that the lane believes about its
// rooms holds: what is in flight fails with a retryable error, the partition is
// opened again under a new term, and heads and keys are read anew. No offset is
// given out in between.
package sequence
