package embedded

import (
	"github.com/cockroachdb/pebble/v2"

	"github.com/heddle-rt/heddle/runtime/room"
)

// tables writes what projections derive into the batch of their records.
type tables struct {
	b     *pebble.Batch
	w     *pending
	key   []byte
	value []byte
	err   error // the first one
}

func (t *tables) begin(b *pebble.Batch, w *pending) { t.b, t.w, t.err = b, w, nil }

func (t *tables) set(table byte, fields ...string) {
	t.key = appendKey(t.key[:0], table, fields...)
	if err := t.b.Set(t.key, t.value, nil); err != nil && t.err == nil {
		t.err = err
	}
}

func (t *tables) remove(table byte, fields ...string) {
	t.key = appendKey(t.key[:0], table, fields...)
	if err := t.b.Delete(t.key, nil); err != nil && t.err == nil {
		t.err = err
	}
}

func (t *tables) PutRoom(i room.Info) {
	t.value = appendInfo(t.value[:0], &i)
	t.set(tableRoom, i.Tenant, i.ID)
}

// DeleteRoom removes the room's own row; members go one by one by DeleteMember.
func (t *tables) DeleteRoom(tenant, room string) { t.remove(tableRoom, tenant, room) }

func (t *tables) PutMember(tenant, room string, m room.Member) {
	t.w.users = append(t.w.users, name{tenant, m.User})
	t.value = appendMember(t.value[:0], m)
	t.set(tableMember, tenant, room, m.User)
	t.value = t.value[:0]
	t.set(tableMemberOf, tenant, m.User, room)
}

func (t *tables) DeleteMember(tenant, room, user string) {
	t.w.users = append(t.w.users, name{tenant, user})
	t.remove(tableMember, tenant, room, user)
	t.remove(tableMemberOf, tenant, user, room)
}

func (t *tables) PutSent(tenant, user, room string, m room.Marker) {
	t.value = appendMarker(t.value[:0], m)
	t.set(tableSent, tenant, user, room)
}

func (t *tables) PutRead(tenant, user, room string, m room.Marker) {
	t.value = appendMarker(t.value[:0], m)
	t.set(tableRead, tenant, user, room)
}
