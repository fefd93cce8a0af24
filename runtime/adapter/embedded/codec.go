package embedded

import (
	"encoding/binary"
	"errors"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/sequence"
	"github.com/heddle-rt/heddle/runtime/session"
)

// Every value begins with this byte. Numbers are varints, texts have their length
// in front. A reader knows all versions up to its own.
const valueVersion = 1

var errCorrupt = errors.New("embedded: a stored value is not readable")

// Flags of a record.
const (
	flagUnread = 1 << iota
	flagEnds
	flagRedacted
)

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendBytes(b, p []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(p))), p...)
}

// decoder reads a value. After an error it reads zeroes, and done reports it.
type decoder struct {
	s   string
	bad bool
}

// decode copies the value: the texts that are read are parts of that copy.
func decode(value []byte) *decoder {
	d := &decoder{s: string(value)}
	if d.byte() != valueVersion {
		d.bad = true
	}
	return d
}

func (d *decoder) byte() byte {
	if d.bad || len(d.s) == 0 {
		d.bad = true
		return 0
	}
	c := d.s[0]
	d.s = d.s[1:]
	return c
}

func (d *decoder) uvarint() uint64 {
	var v uint64
	for shift := 0; shift < 64; shift += 7 {
		c := d.byte()
		if shift == 63 && c > 1 {
			break
		}
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v
		}
	}
	d.bad = true
	return 0
}

func (d *decoder) varint() int64 {
	u := d.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (d *decoder) text() string {
	n := d.uvarint()
	if d.bad || n > uint64(len(d.s)) {
		d.bad = true
		return ""
	}
	t := d.s[:n]
	d.s = d.s[n:]
	return t
}

// bytes is nil for an empty text.
func (d *decoder) bytes() []byte {
	if t := d.text(); t != "" {
		return []byte(t)
	}
	return nil
}

func (d *decoder) position() event.Position {
	return event.Position{Offset: d.uvarint(), Epoch: d.text()}
}

func (d *decoder) done() error {
	if d.bad || d.s != "" {
		return errCorrupt
	}
	return nil
}

func appendPosition(b []byte, p event.Position) []byte {
	return appendText(binary.AppendUvarint(b, p.Offset), p.Epoch)
}

// appendRecord encodes what the key of a record does not say. Head fields come
// first, for decodeHead.
func appendRecord(b []byte, r *event.Record) []byte {
	var flags byte
	for i, set := range [...]bool{r.Unread, r.Ends, r.Redacted} {
		if set {
			flags |= 1 << i
		}
	}
	b = append(b, valueVersion)
	b = appendText(b, r.Epoch)
	b = binary.AppendUvarint(b, r.Messages)
	b = binary.AppendVarint(b, r.Timestamp)
	b = append(b, byte(r.Type), flags)
	b = binary.AppendVarint(b, r.Expires)
	for _, s := range [...]string{r.ID, r.From.User, r.From.Device, r.Ref, r.Action, r.Key} {
		b = appendText(b, s)
	}
	return appendBytes(b, r.Data)
}

// decodeRecord fills in everything but tenant, room and offset.
func decodeRecord(value []byte, r *event.Record) error {
	d := decode(value)
	r.Epoch, r.Messages, r.Timestamp = d.text(), d.uvarint(), d.varint()
	r.Type = event.Type(d.byte())
	flags := d.byte()
	r.Unread, r.Ends, r.Redacted = flags&flagUnread != 0, flags&flagEnds != 0, flags&flagRedacted != 0
	r.Expires = d.varint()
	r.ID, r.From.User, r.From.Device = d.text(), d.text(), d.text()
	r.Ref, r.Action, r.Key = d.text(), d.text(), d.text()
	r.Data = d.bytes()
	return d.done()
}

// decodeHead reads the beginning of a record.
func decodeHead(value []byte, offset uint64) (sequence.Head, error) {
	var h sequence.Head
	d := decode(value)
	h.Epoch, h.Messages, h.Timestamp = d.text(), d.uvarint(), d.varint()
	d.byte() // type
	h.Ended = d.byte()&flagEnds != 0
	h.Offset = offset
	if d.bad {
		return sequence.Head{}, errCorrupt
	}
	return h, nil
}

func appendStored(b []byte, s sequence.Stored) []byte {
	b = appendPosition(append(b, valueVersion), s.Position)
	return appendText(binary.AppendVarint(b, s.Timestamp), s.ID)
}

func decodeStored(value []byte) (sequence.Stored, error) {
	d := decode(value)
	s := sequence.Stored{Position: d.position(), Timestamp: d.varint(), ID: d.text()}
	return s, d.done()
}

func appendMarker(b []byte, m room.Marker) []byte {
	return binary.AppendUvarint(appendPosition(append(b, valueVersion), m.Position), m.Messages)
}

func decodeMarker(value []byte) (room.Marker, error) {
	d := decode(value)
	m := room.Marker{Position: d.position(), Messages: d.uvarint()}
	return m, d.done()
}

func appendInfo(b []byte, i *room.Info) []byte {
	b = binary.AppendVarint(append(b, valueVersion), i.Created)
	return appendBytes(appendText(appendText(b, i.Creator), i.Name), i.Meta)
}

// decodeInfo fills in everything but tenant and id.
func decodeInfo(value []byte, i *room.Info) error {
	d := decode(value)
	i.Created, i.Creator, i.Name, i.Meta = d.varint(), d.text(), d.text(), d.bytes()
	return d.done()
}

func appendMember(b []byte, m room.Member) []byte {
	return binary.AppendVarint(appendText(append(b, valueVersion), m.Role), m.Joined)
}

// decodeMember fills in everything but the user.
func decodeMember(value []byte, m *room.Member) error {
	d := decode(value)
	m.Role, m.Joined = d.text(), d.varint()
	return d.done()
}

// appendSession begins with the time of expiry, for the sweeper.
func appendSession(b []byte, r *session.Record) []byte {
	b = binary.AppendVarint(append(b, valueVersion), r.Expires)
	b = binary.AppendVarint(b, r.Opened)
	b = appendText(appendText(b, r.User), r.Device)
	b = appendBytes(b, r.Secret[:])
	b = binary.AppendUvarint(b, uint64(len(r.Rooms)))
	for name, at := range r.Rooms {
		b = appendPosition(appendText(b, name), at)
	}
	for _, s := range [...]string{r.Meta.Node, r.Meta.Transport, r.Meta.Remote, r.Meta.Agent, r.Meta.Attributes} {
		b = appendText(b, s)
	}
	return appendBytes(b, r.Trail)
}

// decodeSession fills in everything but tenant and id.
func decodeSession(value []byte, r *session.Record) error {
	d := decode(value)
	r.Expires, r.Opened, r.User, r.Device = d.varint(), d.varint(), d.text(), d.text()
	if secret := d.text(); copy(r.Secret[:], secret) != len(r.Secret) || len(secret) != len(r.Secret) {
		return errCorrupt
	}
	n := d.uvarint()
	if n > uint64(len(d.s)) { // a room takes more than a byte
		return errCorrupt
	}
	r.Rooms = make(map[string]event.Position, n)
	for range n {
		name := d.text()
		r.Rooms[name] = d.position()
	}
	for _, s := range [...]*string{&r.Meta.Node, &r.Meta.Transport, &r.Meta.Remote, &r.Meta.Agent, &r.Meta.Attributes} {
		*s = d.text()
	}
	if trail := d.text(); trail != "" {
		r.Trail = []byte(trail)
	}
	return d.done()
}

func sessionExpiry(value []byte) (int64, error) {
	d := decode(value)
	t := d.varint()
	if d.bad {
		return 0, errCorrupt
	}
	return t, nil
}
