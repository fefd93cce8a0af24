// Package tail keeps in memory what the owner of a partition knows of its rooms and the
// base, MongoDB as the workers fill it from the log, may not have yet. Reads put both
// together: like a table in memory over those on disk. It implements room.Reader,
// room.History and room.Notes.
//
// # What is kept
//
// Each room has an entry: its newest records without a gap, and cells, which are what a
// read of one thing answers, or that there is none. The records of the log write
// cells, and reads that asked the base do. As the owner alone writes, a cell is always
// what holds now, and stands before what the base says. One that was written by a record
// which the base may not have is dirty, and stays. All others are a cache, which is
// dropped room by room, those that were not used for longest first.
//
// A room's entry stays whole while the base is asked about it: what was applied meanwhile
// has a cell then, which an older answer does not replace.
//
// # Goroutines
//
// Of several callers who miss the same thing, one asks the base in a goroutine, which
// ends when the base has answered or Config.Timeout is over. No lock is held meanwhile.
package tail
