// Package sequence gives durable events their order. Its stage hands effects to
// the committer of their room's partition and goes on with the connection's next
// event; the committer looks up the idempotency key, assigns the next offset,
// appends to the log in batches, and only when a batch is durable publishes it and
// completes its senders. Each partition has two goroutines, owned by Committer.Run:
// one assigns and appends, one waits, publishes and completes.
package sequence
