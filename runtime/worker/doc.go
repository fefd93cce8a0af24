// Package worker brings what is in the log into the store where it stays. Workers share
// the log's partitions (Log); each reads those that fall to it in their order, and has
// the store keep what counts (Keeper), in batches. How far that has come is the store's
// to know: it is written behind the events, and whoever reads the partition next goes on
// from there. What was kept but not passed yet is kept twice, and the store must not mind.
//
// While the store is away a worker waits, and keeps its partitions. What the store
// refuses goes to the dead letters (Letters) with the reason, and only then is passed;
// operators have it kept again (Routes).
//
// The offsets of a room have no gap. Where one shows all the same, the partition is read
// once more; what is nowhere in it is marked as lost (Streams).
//
// Run owns one goroutine, that for what is due every minute; the log owns those on which
// the partitions are read.
package worker
