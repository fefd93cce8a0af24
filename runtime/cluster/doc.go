// Package cluster has several nodes act as one. Which of them commits for a partition
// follows from who is alive (Owner), so that all agree without asking each other; where
// they do not agree for a moment, the log decides (runtime/adapter/kafka). What is to be
// stored goes to the partition's owner (Router), and its outcome comes back.
//
// Messages between nodes may be lost, come late and come twice (Peers): who asks asks
// again, and everything that is asked for can be done twice. An event is stored once all
// the same, by its idempotency key.
//
// Peers.Run owns the goroutine that looks after requests without an answer. Requests of
// others are handled on the goroutine that Receive is called on.
package cluster
