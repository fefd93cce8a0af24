// Package room says what rooms are: their types, names, members and read
// markers, and the tables that keep them. The tables are projections of the
// log: a builtin derives them from durable records, the adapter applies them in
// the same batch (alone) or a worker does (cluster). No goroutines.
package room
