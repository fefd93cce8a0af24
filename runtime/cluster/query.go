package cluster

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/heddle-rt/heddle/runtime/adapter/codec"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

// Tables are what the owner of a partition knows of its rooms.
type Tables interface {
	room.Reader
	room.History
	room.Notes
	// Sent and Read are the two that Marker chooses from: what a user has sent is known to
	// the owner of the room, what the user has read to that of the user's own room.
	Sent(ctx context.Context, tenant, user, room string) (room.Marker, error)
	Read(ctx context.Context, tenant, user, room string) (room.Marker, error)
}

// op is what a query asks for.
type op byte

const (
	opRoom op = iota + 1
	opMember
	opMembers
	opRoomsOf
	opMemberOf
	opSent
	opRead
	opHead
	opAfter
	opBefore
	opNotes
	opRow
	opRows
	opSights
	opReads
)

// query is a question to the owner of a partition. Which fields count depends on what is
// asked for.
type query struct {
	op         op
	tenant     string
	room       string
	user       string
	kind, key  string
	epoch      string
	from, to   uint64
	limit, max int
	rooms      []string
}

// answer is what came of a query.
type answer struct {
	found   bool
	info    room.Info
	members []room.Member
	names   []string
	marker  room.Marker
	head    event.Head
	records []event.Record
	notes   []room.Note
	rows    []room.Row
	value   []byte
	sights  []sight
	markers []room.Marker // of the query's rooms
	trimmed bool          // the records are not kept any more
}

// sight is what a session asks of a room that it enters.
type sight struct {
	head   event.Head
	member room.Member // of rooms with members
	sent   room.Marker // but not of users' own rooms
	belong bool        // the user is a member
}

// run answers a query.
func (q *query) run(ctx context.Context, t Tables) (a answer, err error) {
	switch q.op {
	case opRoom:
		a.info, a.found, err = t.Room(ctx, q.tenant, q.room)
	case opMember:
		a.members = make([]room.Member, 1)
		a.members[0], a.found, err = t.Member(ctx, q.tenant, q.room, q.user)
	case opMembers:
		a.members, err = t.Members(ctx, q.tenant, q.room, q.key, q.limit)
	case opRoomsOf:
		a.names, err = t.RoomsOf(ctx, q.tenant, q.user, q.limit)
	case opMemberOf:
		a.names, err = q.memberOf(ctx, t)
	case opSent:
		a.marker, err = t.Sent(ctx, q.tenant, q.user, q.room)
	case opRead:
		a.marker, err = t.Read(ctx, q.tenant, q.user, q.room)
	case opHead:
		a.head, err = t.Head(ctx, q.tenant, q.room)
	case opAfter:
		a.records, err = t.After(ctx, q.tenant, q.room, event.Position{Epoch: q.epoch, Offset: q.from}, q.limit, q.max)
	case opBefore:
		a.records, err = t.Before(ctx, q.tenant, q.room, q.from, q.limit, q.max)
	case opNotes:
		a.notes, err = t.Notes(ctx, q.tenant, q.room, q.from, q.to, q.limit)
	case opRow:
		a.value, a.found, err = t.Row(ctx, q.tenant, q.room, q.kind, q.key)
	case opRows:
		a.rows, err = t.Rows(ctx, q.tenant, q.room, q.kind, q.key, q.limit)
	case opSights:
		a.sights, err = q.sights(ctx, t)
	case opReads:
		a.markers, err = q.reads(ctx, t)
	default:
		err = fault.New(fault.Unavailable, "", "this node does not know what it is asked for")
	}
	if errors.Is(err, room.ErrTrimmed) {
		a.trimmed, err = true, nil
	}
	return a, err
}

// memberOf picks those of some rooms that a user is a member of.
func (q *query) memberOf(ctx context.Context, t Tables) (names []string, err error) {
	for _, name := range q.rooms {
		_, found, err := t.Member(ctx, q.tenant, name, q.user)
		if err != nil {
			return nil, err
		}
		if found {
			names = append(names, name)
		}
	}
	return names, nil
}

// sights looks at all of the query's rooms, those from q.from on without members. Their
// heads come first: what is read behind them holds at least up to there.
func (q *query) sights(ctx context.Context, t Tables) (out []sight, err error) {
	for i, name := range q.rooms {
		var s sight
		s.head, err = t.Head(ctx, q.tenant, name)
		if err == nil && uint64(i) < q.from {
			s.member, s.belong, err = t.Member(ctx, q.tenant, name, q.user)
		}
		if err == nil && room.TypeOf(name) != room.UserType {
			s.sent, err = t.Sent(ctx, q.tenant, q.user, name)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// reads is how far a user has read in the query's rooms.
func (q *query) reads(ctx context.Context, t Tables) (out []room.Marker, err error) {
	for _, name := range q.rooms {
		m, err := t.Read(ctx, q.tenant, q.user, name)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

func (q *query) append(b []byte) []byte {
	b = append(b, byte(q.op))
	for _, s := range [...]string{q.tenant, q.room, q.user, q.kind, q.key, q.epoch} {
		b = codec.AppendText(b, s)
	}
	for _, n := range [...]uint64{q.from, q.to, uint64(q.limit), uint64(q.max)} {
		b = binary.AppendUvarint(b, n)
	}
	return appendTexts(b, q.rooms)
}

func decodeQuery(b []byte) (q query, err error) {
	d := codec.Bare(b)
	q.op = op(d.Byte())
	for _, s := range [...]*string{&q.tenant, &q.room, &q.user, &q.kind, &q.key, &q.epoch} {
		*s = d.Text()
	}
	q.from, q.to, q.limit, q.max = d.Uvarint(), d.Uvarint(), int(d.Uvarint()), int(d.Uvarint())
	q.rooms = texts(d)
	return q, d.Done()
}

// Parts of an answer that it has.
const (
	hasInfo = 1 << iota
	hasMarker
	hasHead
	isFound
	isTrimmed
)

func (a *answer) append(b []byte, asked op) []byte {
	var flags byte
	for i, set := range [...]bool{asked == opRoom, asked == opSent || asked == opRead, asked == opHead, a.found, a.trimmed} {
		if set {
			flags |= 1 << i
		}
	}
	b = append(b, flags)
	if flags&hasInfo != 0 {
		b = codec.AppendBytes(b, codec.AppendInfo(nil, &a.info))
	}
	if flags&hasMarker != 0 {
		b = codec.AppendBytes(b, codec.AppendMarker(nil, a.marker))
	}
	if flags&hasHead != 0 {
		b = appendHead(b, a.head)
	}
	b = binary.AppendUvarint(b, uint64(len(a.members)))
	for _, m := range a.members {
		b = codec.AppendBytes(codec.AppendText(b, m.User), codec.AppendMember(nil, m))
	}
	b = appendTexts(b, a.names)
	b = appendRecords(b, a.records)
	b = binary.AppendUvarint(b, uint64(len(a.notes)))
	for _, n := range a.notes {
		b = codec.AppendBytes(codec.AppendText(codec.AppendText(binary.AppendUvarint(b, n.Offset), n.Kind), n.Key), n.Value)
	}
	b = binary.AppendUvarint(b, uint64(len(a.rows)))
	for _, r := range a.rows {
		b = codec.AppendBytes(codec.AppendText(codec.AppendText(b, r.Kind), r.Key), r.Value)
	}
	b = codec.AppendBytes(b, a.value)
	b = binary.AppendUvarint(b, uint64(len(a.sights)))
	for i := range a.sights {
		b = a.sights[i].append(b)
	}
	b = binary.AppendUvarint(b, uint64(len(a.markers)))
	for _, m := range a.markers {
		b = codec.AppendBytes(b, codec.AppendMarker(nil, m))
	}
	return b
}

func (s *sight) append(b []byte) []byte {
	b = codec.AppendBytes(appendHead(b, s.head), codec.AppendMarker(nil, s.sent))
	if !s.belong {
		return codec.AppendBytes(b, nil)
	}
	return codec.AppendBytes(b, codec.AppendMember(nil, s.member))
}

func (q *query) sight(d *codec.Decoder) (s sight, err error) {
	s.head = head(d)
	s.sent, err = codec.DecodeMarker(d.Bytes())
	if v := d.Bytes(); v != nil {
		s.member, s.belong = room.Member{User: q.user}, true
		err = errors.Join(err, codec.DecodeMember(v, &s.member))
	}
	return s, err
}

func appendHead(b []byte, h event.Head) []byte {
	return binary.AppendUvarint(codec.AppendPosition(b, h.Position), h.Messages)
}

func head(d *codec.Decoder) event.Head {
	return event.Head{Position: d.Position(), Messages: d.Uvarint()}
}

func (q *query) decode(b []byte) (a answer, err error) {
	d := codec.Bare(b)
	flags := d.Byte()
	a.found, a.trimmed = flags&isFound != 0, flags&isTrimmed != 0
	if flags&hasInfo != 0 {
		if v := d.Bytes(); a.found {
			a.info = room.Info{Tenant: q.tenant, ID: q.room}
			err = codec.DecodeInfo(v, &a.info)
		}
	}
	if flags&hasMarker != 0 {
		a.marker, err = codec.DecodeMarker(d.Bytes())
	}
	if flags&hasHead != 0 {
		a.head = head(d)
	}
	for range d.Count() {
		m := room.Member{User: d.Text()}
		err = errors.Join(err, codec.DecodeMember(d.Bytes(), &m))
		a.members = append(a.members, m)
	}
	a.names = texts(d)
	a.records = records(d)
	for range d.Count() {
		a.notes = append(a.notes, room.Note{Offset: d.Uvarint(), Kind: d.Text(), Key: d.Text(), Value: d.Bytes()})
	}
	for range d.Count() {
		a.rows = append(a.rows, room.Row{Kind: d.Text(), Key: d.Text(), Value: d.Bytes()})
	}
	a.value = d.Bytes()
	n := d.Count()
	if n > len(q.rooms) {
		return a, codec.ErrCorrupt
	}
	for range n {
		s, bad := q.sight(d)
		a.sights, err = append(a.sights, s), errors.Join(err, bad)
	}
	for range d.Count() {
		m, bad := codec.DecodeMarker(d.Bytes())
		a.markers, err = append(a.markers, m), errors.Join(err, bad)
	}
	return a, errors.Join(err, d.Done())
}

func appendTexts(b []byte, list []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = codec.AppendText(b, s)
	}
	return b
}

func texts(d *codec.Decoder) (list []string) {
	for range d.Count() {
		list = append(list, d.Text())
	}
	return list
}

// appendRecords encodes records with their rooms.
func appendRecords(b []byte, list []event.Record) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for i := range list {
		r := &list[i]
		b = binary.AppendUvarint(codec.AppendText(codec.AppendText(b, r.Tenant), r.Room), r.Offset)
		b = codec.AppendRecord(b, r)
	}
	return b
}

func records(d *codec.Decoder) (list []event.Record) {
	for range d.Count() {
		var r event.Record
		r.Tenant, r.Room, r.Offset = d.Text(), d.Text(), d.Uvarint()
		d.Record(&r)
		list = append(list, r)
	}
	return list
}
