package tail

import (
	"github.com/heddle-rt/heddle/runtime/room"
)

// writer takes what projections derive from a record into the entry of its room.
type writer struct {
	e      *entry
	at     int64  // of the record, in the log
	offset uint64 // of the record, in the room
	bytes  int64  // that it has written
}

func (w *writer) put(k key, value any, n int) { w.bytes += w.e.put(k, value, n, w.at) }

func (w *writer) PutRoom(i room.Info) {
	w.put(key{table: tableInfo}, i, len(i.Creator)+len(i.Name)+len(i.Meta))
}

func (w *writer) EndRoom(string, string) { w.e.end(w.at) }

func (w *writer) PutMember(_, _ string, m room.Member) { w.put(memberKey(m.User), m, len(m.Role)) }

func (w *writer) DeleteMember(_, _, user string) { w.put(memberKey(user), nil, 0) }

func (w *writer) PutSent(_, user, _ string, m room.Marker) {
	w.put(key{table: tableSent, name: user}, m, len(m.Epoch))
}

// PutRead has the marker of another room, in a record of the user's own one.
func (w *writer) PutRead(_, _, room string, m room.Marker) {
	k := key{table: tableRead, name: room}
	next := readMark{Marker: m, open: !w.e.complete(k)}
	if c := w.e.find(k); c != nil {
		switch was := c.value.(readMark); {
		case was.Epoch != m.Epoch:
			next.open = false
		case m.Offset <= was.Offset:
			return
		default:
			next.open = was.open
		}
	}
	w.put(k, next, len(m.Epoch))
}

func (w *writer) PutNote(_, _ string, n room.Note) { w.put(noteKey(&n), n.Value, len(n.Value)) }

func (w *writer) DeleteNote(_, _ string, n room.Note) { w.put(noteKey(&n), nil, 0) }

func (w *writer) PutRow(_, _ string, r room.Row) {
	w.put(rowKey(r.Kind, r.Key), r.Value, len(r.Value))
}

func (w *writer) DeleteRow(_, _ string, r room.Row) { w.put(rowKey(r.Kind, r.Key), nil, 0) }

func (w *writer) Redact(_, _ string, offset uint64) {
	if offset >= w.offset {
		return // there is no such record yet
	}
	w.e.forget(func(c *cell) bool { return c.table == tableNote && c.offset == offset })
	w.put(key{table: tableRedacted, offset: offset}, struct{}{}, 0)
	w.e.redact(offset)
}

func memberKey(user string) key { return key{table: tableMember, name: user} }

func rowKey(kind, name string) key { return key{table: tableRow, kind: kind, name: name} }

func noteKey(n *room.Note) key {
	return key{table: tableNote, offset: n.Offset, kind: n.Kind, name: n.Key}
}

// readMark is how far a user says to have read in a room. An open one is to be joined with
// what the base has: within the epoch that may be further.
type readMark struct {
	room.Marker
	open bool
}

func (m readMark) join(base readMark) readMark {
	if base.Epoch == m.Epoch && base.Offset > m.Offset {
		m.Marker = base.Marker
	}
	m.open = false
	return m
}
