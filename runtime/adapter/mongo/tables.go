package mongo

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/worker"
)

// tables is what the projections of a batch derive. Of all writes to a row the last one
// is made.
type tables struct {
	at   int64         // of the record that is projected
	gone bson.DateTime // now

	rooms, ended, members, sent, notes, rows map[string]row

	reads    map[string]read
	redacted []redaction
}

// read is what the batch does to a read marker.
type read struct {
	row
	regardless bool // the batch moves it to another epoch before: where it was does not matter
}

// redaction removes the data of a record.
type redaction struct {
	tenant, room string
	offset       uint64
	at           int64
}

const (
	markerSent = "sent"
	markerRead = "read"
)

// project derives the rows of events, but for those that were refused.
func (s *Store) project(events []worker.Event, refused map[int]error) *tables {
	t := &tables{
		gone:  bson.NewDateTimeFromTime(s.deps.Now()),
		rooms: map[string]row{}, ended: map[string]row{}, members: map[string]row{}, sent: map[string]row{}, notes: map[string]row{}, rows: map[string]row{},
		reads: map[string]read{},
	}
	for i := range events {
		if project := s.deps.Projections[events[i].Action]; project != nil && refused[i] == nil {
			t.at = events[i].At
			project(t, &events[i].Record)
		}
	}
	return t
}

func (t *tables) tombstone() row { return row{At: t.at, Gone: t.gone} }

func (t *tables) PutRoom(i room.Info) {
	t.rooms[key(i.Tenant, i.ID)] = row{At: t.at, Created: bson.DateTime(i.Created), Creator: i.Creator, Name: i.Name, Meta: i.Meta}
}

// EndRoom says where rows begin to count again. What the same record puts does not.
func (t *tables) EndRoom(tenant, room string) { t.ended[key(tenant, room)] = t.tombstone() }

func (t *tables) PutMember(tenant, room string, m room.Member) {
	t.members[key(tenant, room, m.User)] = row{At: t.at, Role: m.Role, Joined: bson.DateTime(m.Joined)}
}

func (t *tables) DeleteMember(tenant, room, user string) {
	t.members[key(tenant, room, user)] = t.tombstone()
}

func (t *tables) PutSent(tenant, user, room string, m room.Marker) {
	t.sent[key(tenant, room, user, markerSent)] = t.marker(m)
}

func (t *tables) marker(m room.Marker) row {
	return row{At: t.at, Epoch: m.Epoch, Offset: m.Offset, Messages: m.Messages}
}

func (t *tables) PutRead(tenant, user, room string, m room.Marker) {
	id := key(tenant, room, user, markerRead)
	was, moved := t.reads[id]
	if moved && was.Epoch == m.Epoch && m.Offset <= was.Offset {
		return
	}
	t.reads[id] = read{row: t.marker(m), regardless: was.regardless || moved && was.Epoch != m.Epoch}
}

func (t *tables) PutNote(tenant, room string, n room.Note) {
	t.notes[noteID(tenant, room, &n)] = row{At: t.at, Value: n.Value}
}

func (t *tables) DeleteNote(tenant, room string, n room.Note) {
	t.notes[noteID(tenant, room, &n)] = t.tombstone()
}

func (t *tables) PutRow(tenant, room string, r room.Row) {
	t.rows[key(tenant, room, r.Kind, r.Key)] = row{At: t.at, Value: r.Value}
}

func (t *tables) DeleteRow(tenant, room string, r room.Row) {
	t.rows[key(tenant, room, r.Kind, r.Key)] = t.tombstone()
}

// Redact deletes the notes of the batch now, and those that are kept with flush.
func (t *tables) Redact(tenant, room string, offset uint64) {
	t.redacted = append(t.redacted, redaction{tenant, room, offset, t.at})
	of := under(tenant, room).offsets(offset, offset)
	for id := range t.notes {
		if of.from <= id && id < of.to {
			t.notes[id] = t.tombstone()
		}
	}
}

func noteID(tenant, room string, n *room.Note) string {
	return key(tenant, room, number(n.Offset), n.Kind, n.Key)
}

// flush writes what was derived, but for the markers of what was sent.
func (s *Store) flush(ctx context.Context, t *tables) error {
	if err := s.move(ctx, t); err != nil {
		return err
	}
	for i := range t.redacted {
		if err := s.redact(ctx, t, &t.redacted[i]); err != nil {
			return err
		}
	}
	if err := s.put(ctx, s.rooms, fieldEnded, t.ended); err != nil {
		return err
	}
	if err := s.put(ctx, s.rooms, fieldRow, t.rooms); err != nil {
		return err
	}
	if err := s.put(ctx, s.members, fieldRow, t.members); err != nil {
		return err
	}
	if err := s.put(ctx, s.notes, fieldRow, t.notes); err != nil {
		return err
	}
	return s.put(ctx, s.rows, fieldRow, t.rows)
}

// move writes the read markers that move. Where they are tells which: a worker that is
// late finds them farther, and the newer row stays anyhow.
func (s *Store) move(ctx context.Context, t *tables) error {
	if len(t.reads) == 0 {
		return nil
	}
	ids := make([]string, 0, len(t.reads))
	for id := range t.reads {
		ids = append(ids, id)
	}
	err := s.each(ctx, s.markers, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}}, func(raw bson.Raw) (bool, error) {
		var d document
		if err := bson.Unmarshal(raw, &d); err != nil {
			return false, err
		}
		if is := t.reads[d.ID]; d.Row != nil && !is.moves(d.Row) {
			delete(t.reads, d.ID)
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	moved := make(map[string]row, len(t.reads))
	for id, r := range t.reads {
		moved[id] = r.row
	}
	return s.put(ctx, s.markers, fieldRow, moved)
}

// moves reports whether a marker that is at was moves.
func (r *read) moves(was *row) bool {
	return r.At > was.At && (r.regardless || r.Epoch != was.Epoch || r.Offset > was.Offset)
}

// redact removes a record's data, and the notes about it that are kept. One that is not
// kept any more needs nothing.
func (s *Store) redact(ctx context.Context, t *tables, r *redaction) error {
	err := s.again(func() error {
		_, err := s.events.UpdateOne(ctx, byID(eventID(r.tenant, r.room, r.offset)), bson.D{
			{Key: "$set", Value: bson.D{{Key: fieldRedacted, Value: true}}},
			{Key: "$unset", Value: bson.D{{Key: fieldData, Value: ""}}},
		})
		return err
	})
	if err != nil {
		return err
	}
	notes := under(r.tenant, r.room).offsets(r.offset, r.offset)
	return s.each(ctx, s.notes, notes.filter(bson.E{Key: rowGone, Value: bson.D{{Key: "$exists", Value: false}}}), func(raw bson.Raw) (bool, error) {
		id, ok := raw.Lookup("_id").StringValueOK()
		if _, written := t.notes[id]; ok && !written {
			t.notes[id] = row{At: r.at, Gone: t.gone}
		}
		return true, nil
	})
}
