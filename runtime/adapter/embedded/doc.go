// Package embedded keeps everything of a node that runs alone in one Pebble
// database: the log of durable events with its idempotency keys, the tables
// derived from it, and sessions. It implements sequence.Log, room.History,
// room.Reader, session.Store, cell.Store and limit.Storage. It owns two goroutines,
// those of Store.Run, beside those of Pebble.
//
// # Durability
//
// The records of one Append, their keys and their table rows are one Pebble
// batch, applied at once and durable when Pending.Wait returns; Pebble shares one
// fsync among all batches that wait. Pebble shows a batch to readers before it is
// on disk. This package does not: History ends at the newest durable record of a
// room, and Reader waits until what it has read is durable.
//
// An error of the disk is the end of the process: Deps.Fatal is called, and from
// then on nothing is acknowledged, because after a failed fsync nobody knows what
// the disk holds.
//
// # Keys
//
// A key is one byte for the table and then fields. A text field is escaped (0x00
// becomes 0x00 0xff) and ends in 0x00 0x01, so that no field reaches into the
// next and the order of keys is the order of the texts. Numbers are big endian.
//
//	table  key fields                                     value
//	0x01   partition (2 bytes)                            its term
//	0x02   tenant, room, offset (8 bytes)                 record
//	0x03   bucket (8 bytes), tenant, room, user, id       position, ULID and time of the first
//	0x04   tenant, room                                   room.Info
//	0x05   tenant, room, user                             role and time of joining
//	0x06   tenant, user, room                             (empty: the members by user)
//	0x07   tenant, room, user                             marker of what the user has sent
//	0x08   tenant, room, user                             marker of what the user has read
//	0x09   tenant, session                                session.Record
//	0x0a   tenant, room, offset (8 bytes), kind, key      note, as its owner encodes it
//	0x0b   tenant, room, kind, key                        row, as its owner encodes it
//	0x0c   tenant, partition (2 bytes)                    rooms and bytes that the partition has added
//	0x0c   tenant                                         rooms and bytes that the sweep has added, mostly less than 0
//	0x0c                                                  (empty: the rows of 0x0c are there)
//	0x0d   tenant, user, session                          (empty: the sessions by user)
//	0x0e   tenant, table, key                             cell, as its owner encodes it
//
// Values begin with a version byte (codec.go). The file HEDDLE in the directory
// names the version of this table; a directory without it that is not empty, or
// with a newer one, is refused.
//
// Idempotency keys live in buckets that are numbered, not dated: a new one begins
// when Config.Window has passed on the process's monotonic clock, a lookup reads
// the newest two, and older ones are dropped with one range deletion. Neither a
// clock that jumps nor a restart can make the store forget a key early. A filter in
// memory answers for keys that are in neither, about two bytes for each key.
//
// # Retention and expiry
//
// Run trims the streams of rooms to what Deps.Retention says, but never a room's
// newest record, which is its head. Records with a time to live are returned
// without their data once it is over; their bytes stay on disk until retention or
// compaction removes them. Sessions that have expired are deleted.
//
// # What tenants use
//
// Rooms and bytes of records are counted in the batches that add and remove them,
// each writer in rows of its own. A database without such rows is counted through
// when it is opened.
package embedded
