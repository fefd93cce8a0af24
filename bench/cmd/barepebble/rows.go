package main

import (
	"encoding/binary"
	"strconv"

	"github.com/heddle-rt/heddle/bench/internal/load"
)

// The tables of a durable message, and texts as long as the server's (see the
// package comment of runtime/adapter/embedded).
const (
	tableRecord = 2
	tableKey    = 3
	tableSent   = 7

	tenant = "bench"
	ulid   = "01JDBQ5R8XW3T6Y9K2M4N7P0QA"
	epoch  = "k2m4n7p0qa3t6"
	action = "message:send"
	bucket = "bucket" // with the end of a field, 8 bytes
)

// rows makes the three rows of one writer's messages: the record, the idempotency
// key and the marker of what the user has sent.
type rows struct {
	room, user string
	offset     uint64
	key, value []byte
	body       []byte
}

func newRows(writer int) *rows {
	n := strconv.Itoa(writer)
	return &rows{room: "channel:room" + n, user: "user-" + n}
}

// each calls set with the rows of the next message, which are good until it
// returns.
func (r *rows) each(set func(key, value []byte) error) error {
	r.offset++
	id := "9zzzzz-" + strconv.FormatUint(r.offset, 10) // as long as the ids of the driver
	now := load.Now() / 1e6

	r.fields(tableRecord, tenant, r.room)
	r.key = binary.BigEndian.AppendUint64(r.key, r.offset)
	r.value = binary.AppendUvarint(text(append(r.value[:0], 1), epoch), r.offset)
	r.value = append(binary.AppendVarint(r.value, now), 1, 1, 0)
	for _, s := range []string{ulid, r.user, "", "", action, id} {
		r.value = text(r.value, s)
	}
	r.body = append(load.AppendBody(append(r.body[:0], `{"body":`...), load.Now()), '}')
	r.value = append(binary.AppendUvarint(r.value, uint64(len(r.body))), r.body...)
	if err := set(r.key, r.value); err != nil {
		return err
	}

	r.fields(tableKey, bucket, tenant, r.room, r.user, id)
	r.value = text(binary.AppendUvarint(append(r.value[:0], 1), r.offset), epoch)
	r.value = text(binary.AppendVarint(r.value, now), ulid)
	if err := set(r.key, r.value); err != nil {
		return err
	}

	r.fields(tableSent, tenant, r.user, r.room)
	r.value = text(binary.AppendUvarint(append(r.value[:0], 1), r.offset), epoch)
	return set(r.key, binary.AppendUvarint(r.value, r.offset))
}

func (r *rows) fields(table byte, fields ...string) {
	r.key = append(r.key[:0], table)
	for _, f := range fields {
		r.key = append(append(r.key, f...), 0, 1)
	}
}

func text(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
