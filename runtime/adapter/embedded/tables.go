package embedded

import (
	"github.com/cockroachdb/pebble/v2"

	"github.com/heddle-rt/heddle/runtime/adapter/codec"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

// tables writes what projections derive into the batch of their records.
type tables struct {
	b        *pebble.Batch
	w        *pending
	usage    *tally
	key      []byte
	value    []byte
	reads    map[string]event.Position // read markers that this batch moves, by key
	redacted map[string]bool           // records that it redacts, by key; if there are any, sweep.records is held
	err      error                     // the first one
}

func (t *tables) begin(b *pebble.Batch, w *pending, u *tally) {
	t.b, t.w, t.usage, t.err = b, w, u, nil
	clear(t.reads)
}

// end is called when the batch is applied, or given up.
func (t *tables) end() {
	if t.redacted != nil {
		t.redacted = nil
		t.w.s.sweep.records.RUnlock()
	}
}

func (t *tables) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

func (t *tables) set(table byte, fields ...string) {
	t.key = appendKey(t.key[:0], table, fields...)
	t.fail(t.b.Set(t.key, t.value, nil))
}

func (t *tables) remove(table byte, fields ...string) {
	t.key = appendKey(t.key[:0], table, fields...)
	t.fail(t.b.Delete(t.key, nil))
}

func (t *tables) PutRoom(i room.Info) {
	t.value = codec.AppendInfo(t.value[:0], &i)
	t.set(tableRoom, i.Tenant, i.ID)
}

// EndRoom leaves the stream and the markers to the sweep. Of a member who joins in the same batch,
// a row in tableMemberOf stays behind; what it names is not found.
func (t *tables) EndRoom(tenant, room string) {
	t.fail(t.w.s.eachKey(appendKey(nil, tableMember, tenant, room), func(key []byte) {
		if user, ok := lastField(key, 3); ok {
			t.DeleteMember(tenant, room, user)
		}
	}))
	t.remove(tableRoom, tenant, room)
	for _, table := range [...]byte{tableMember, tableNote, tableRow} {
		t.key = appendKey(t.key[:0], table, tenant, room)
		t.fail(t.b.DeleteRange(t.key, appendEnd(nil, t.key), nil))
	}
}

func (t *tables) PutMember(tenant, room string, m room.Member) {
	t.w.users = append(t.w.users, name{tenant, m.User})
	t.value = codec.AppendMember(t.value[:0], m)
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
	t.value = codec.AppendMarker(t.value[:0], m)
	t.set(tableSent, tenant, room, user)
}

func (t *tables) PutRead(tenant, user, room string, m room.Marker) {
	t.key = appendKey(t.key[:0], tableRead, tenant, room, user)
	at, err := t.read()
	if err != nil {
		t.fail(err)
		return
	}
	if at.Epoch == m.Epoch && m.Offset <= at.Offset {
		return
	}
	if t.reads == nil {
		t.reads = map[string]event.Position{}
	}
	t.reads[string(t.key)] = m.Position
	t.value = codec.AppendMarker(t.value[:0], m)
	t.fail(t.b.Set(t.key, t.value, nil))
}

// read is where the read marker at t.key is, with this batch.
func (t *tables) read() (event.Position, error) {
	if at, ok := t.reads[string(t.key)]; ok {
		return at, nil
	}
	m, err := t.w.s.markerAt(t.key)
	return m.Position, err
}
