// Package kafka keeps the log in a topic of Kafka, one partition of it for each of the
// committer's. Kafka has no locks: whoever may write to the topic can append, also a
// node that was paused, or cut off, and believes to own a partition that another has
// taken over. So the log itself says what counts.
//
// A term begins with a record that says so; its number is that record's offset in
// Kafka, plus one. Every event carries its term and its place in it. An event counts if
// its term is the last one that has begun before it, and if it is the next in its term;
// all others are void, and every reader skips them (reading). As the order of a
// partition is the same for everybody, everybody agrees on what counts.
//
// A writer knows that its events count without reading them back: Kafka acknowledges
// each with its offset, once it is durable on all replicas in sync, and if the offsets
// follow upon each other from the term's own on, nobody has written in between. Where
// they do not, the hole is read: what a writer of an earlier term has left there does
// not matter, the beginning of another term ends this one.
//
// Who opens a partition begins a term, and reads what is before it: from a mark that
// the workers have left behind, old enough that all keys within the window are behind
// it. Of rooms that have had no event since then, the base knows the head.
//
// The producer's goroutines are the client's; those who open or wait read on their own.
package kafka
