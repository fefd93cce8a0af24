// Package mongo keeps in MongoDB what workers have read from the log: events, and the
// tables that projections derive from them. It is a cluster's memory, and lags behind
// the log, which is the truth; the plugins' registry alone has its home here. It
// implements worker.Keeper and worker.Streams for those who write, room.Reader,
// room.History and room.Notes for those who read, and cell.Store.
//
// # Collections
//
// Ids are texts made of fields (key.go) whose order is that of the fields, so that what
// is read together, a page of a room's history or its members, lies in one range of ids.
//
//	collection  id                                 holds
//	events      tenant, room, offset               an event
//	rooms       tenant, room                       row: room.Info; ended: where the room was deleted
//	members     tenant, room, user                 row: role and time of joining
//	markers     tenant, room, user, sent or read   row: a position
//	notes       tenant, room, offset, kind, key    row: a value
//	rows        tenant, room, kind, key            row: a value
//	progress    partition                          mark: up to where the log is kept
//	marks       partition, time                    what progress was at that time
//	cells       tenant, table                      cells: values by key
//	blobs       tenant, table, key, hash           a cell's value that is large
//	meta        schema; sweep                      the version of all this; who sweeps
//
// # Writing twice
//
// Everything may be written again, also by a worker that is late. An event that is there
// already must be the same. A row begins with the place in the log of the record that
// wrote it, and is written with $max, which compares documents field by field: so the
// newer one stays, whoever comes last. A row that was deleted stays for an hour, as a
// row that says so; a deleted room remembers where it ended, and rows of it up to there
// do not count. Progress is a row in the same sense.
//
// Nearly every event moves the marker of what its sender has sent. These markers are
// collected, and written once a second, before the progress that counts them: so the last
// of many is written alone, and a worker that dies has kept less than it has done.
//
// Writes and reads have the majority's concern: what was kept survives the loss of a
// machine, and what is read will not be taken back.
//
// Store.Run and Store.RunSweep own no goroutines beside their callers'; connections and
// what watches the servers are the driver's.
package mongo
