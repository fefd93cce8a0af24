package codec

import (
	"encoding/binary"
	"errors"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/sequence"
	"github.com/heddle-rt/heddle/runtime/session"
)

// Version is the first byte of every value. Numbers are varints, texts have their length
// in front. A reader knows all versions up to its own.
const Version = 1

// ErrCorrupt is of values that nobody has written so.
var ErrCorrupt = errors.New("codec: a stored value is not readable")

// Flags of a record.
const (
	flagUnread = 1 << iota
	flagEnds
	flagRedacted
)

// AppendText appends a text behind its length.
func AppendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// AppendBytes appends bytes behind their number.
func AppendBytes(b, p []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(p))), p...)
}

// Decoder reads a value. After an error it reads zeroes, and Done reports it.
type Decoder struct {
	s   string
	bad bool
}

// Decode copies the value: the texts that are read are parts of that copy.
func Decode(value []byte) *Decoder {
	d := Bare(value)
	d.version()
	return d
}

// Bare decodes what has no version in front.
func Bare(value []byte) *Decoder { return &Decoder{s: string(value)} }

func (d *Decoder) version() {
	if d.Byte() != Version {
		d.bad = true
	}
}

// Byte reads one byte.
func (d *Decoder) Byte() byte {
	if d.bad || len(d.s) == 0 {
		d.bad = true
		return 0
	}
	c := d.s[0]
	d.s = d.s[1:]
	return c
}

// Uvarint reads a number that is not negative.
func (d *Decoder) Uvarint() uint64 {
	var v uint64
	for shift := 0; shift < 64; shift += 7 {
		c := d.Byte()
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

// Varint reads a number.
func (d *Decoder) Varint() int64 {
	u := d.Uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

// Text reads a text.
func (d *Decoder) Text() string {
	n := d.Uvarint()
	if d.bad || n > uint64(len(d.s)) {
		d.bad = true
		return ""
	}
	t := d.s[:n]
	d.s = d.s[n:]
	return t
}

// Bytes reads bytes; nil for none.
func (d *Decoder) Bytes() []byte {
	if t := d.Text(); t != "" {
		return []byte(t)
	}
	return nil
}

// Count reads how many things follow, which take at least a byte each.
func (d *Decoder) Count() int {
	n := d.Uvarint()
	if n > uint64(len(d.s)) {
		d.bad = true
		return 0
	}
	return int(n)
}

// Rest reads all that is left.
func (d *Decoder) Rest() string {
	rest := d.s
	d.s = ""
	return rest
}

// Position reads a position.
func (d *Decoder) Position() event.Position {
	return event.Position{Offset: d.Uvarint(), Epoch: d.Text()}
}

// Done reports whether the value was read whole, and nothing is left.
func (d *Decoder) Done() error {
	if d.bad || d.s != "" {
		return ErrCorrupt
	}
	return nil
}

// AppendPosition appends a position.
func AppendPosition(b []byte, p event.Position) []byte {
	return AppendText(binary.AppendUvarint(b, p.Offset), p.Epoch)
}

// AppendRecord encodes what the key of a record does not say. Head fields come
// first, for DecodeHead.
func AppendRecord(b []byte, r *event.Record) []byte {
	var flags byte
	for i, set := range [...]bool{r.Unread, r.Ends, r.Redacted} {
		if set {
			flags |= 1 << i
		}
	}
	b = append(b, Version)
	b = AppendText(b, r.Epoch)
	b = binary.AppendUvarint(b, r.Messages)
	b = binary.AppendVarint(b, r.Timestamp)
	b = append(b, byte(r.Type), flags)
	b = binary.AppendVarint(b, r.Expires)
	for _, s := range [...]string{r.ID, r.From.User, r.From.Device, r.Ref, r.Action, r.Key} {
		b = AppendText(b, s)
	}
	return AppendBytes(b, r.Data)
}

// DecodeRecord fills in everything but tenant, room and offset.
func DecodeRecord(value []byte, r *event.Record) error {
	d := Bare(value)
	d.Record(r)
	return d.Done()
}

// Record reads what AppendRecord has appended: everything but tenant, room and offset.
func (d *Decoder) Record(r *event.Record) {
	d.version()
	r.Epoch, r.Messages, r.Timestamp = d.Text(), d.Uvarint(), d.Varint()
	r.Type = event.Type(d.Byte())
	flags := d.Byte()
	r.Unread, r.Ends, r.Redacted = flags&flagUnread != 0, flags&flagEnds != 0, flags&flagRedacted != 0
	r.Expires = d.Varint()
	r.ID, r.From.User, r.From.Device = d.Text(), d.Text(), d.Text()
	r.Ref, r.Action, r.Key = d.Text(), d.Text(), d.Text()
	r.Data = d.Bytes()
}

// DecodeHead reads the beginning of a record.
func DecodeHead(value []byte, offset uint64) (sequence.Head, error) {
	var h sequence.Head
	d := Decode(value)
	h.Epoch, h.Messages, h.Timestamp = d.Text(), d.Uvarint(), d.Varint()
	d.Byte() // type
	h.Ended = d.Byte()&flagEnds != 0
	h.Offset = offset
	if d.bad {
		return sequence.Head{}, ErrCorrupt
	}
	return h, nil
}

// AppendStored encodes what a key was stored as.
func AppendStored(b []byte, s sequence.Stored) []byte {
	b = AppendPosition(append(b, Version), s.Position)
	return AppendText(binary.AppendVarint(b, s.Timestamp), s.ID)
}

// DecodeStored reads it.
func DecodeStored(value []byte) (sequence.Stored, error) {
	d := Decode(value)
	s := sequence.Stored{Position: d.Position(), Timestamp: d.Varint(), ID: d.Text()}
	return s, d.Done()
}

// AppendMarker encodes how far a user has read.
func AppendMarker(b []byte, m room.Marker) []byte {
	return binary.AppendUvarint(AppendPosition(append(b, Version), m.Position), m.Messages)
}

// DecodeMarker reads it.
func DecodeMarker(value []byte) (room.Marker, error) {
	d := Decode(value)
	m := room.Marker{Position: d.Position(), Messages: d.Uvarint()}
	return m, d.Done()
}

// AppendInfo encodes what the key of a room does not say.
func AppendInfo(b []byte, i *room.Info) []byte {
	b = binary.AppendVarint(append(b, Version), i.Created)
	return AppendBytes(AppendText(AppendText(b, i.Creator), i.Name), i.Meta)
}

// DecodeInfo fills in everything but tenant and id.
func DecodeInfo(value []byte, i *room.Info) error {
	d := Decode(value)
	i.Created, i.Creator, i.Name, i.Meta = d.Varint(), d.Text(), d.Text(), d.Bytes()
	return d.Done()
}

// AppendMember encodes what the key of a member does not say.
func AppendMember(b []byte, m room.Member) []byte {
	return binary.AppendVarint(AppendText(append(b, Version), m.Role), m.Joined)
}

// DecodeMember fills in everything but the user.
func DecodeMember(value []byte, m *room.Member) error {
	d := Decode(value)
	m.Role, m.Joined = d.Text(), d.Varint()
	return d.Done()
}

// AppendSession begins with the time of expiry, for the sweeper. A generation of 0 is left
// out.
func AppendSession(b []byte, r *session.Record) []byte {
	b = binary.AppendVarint(append(b, Version), r.Expires)
	b = binary.AppendVarint(b, r.Opened)
	b = AppendText(AppendText(b, r.User), r.Device)
	b = AppendBytes(b, r.Secret[:])
	b = binary.AppendUvarint(b, uint64(len(r.Rooms)))
	for name, at := range r.Rooms {
		b = AppendPosition(AppendText(b, name), at)
	}
	for _, s := range [...]string{r.Meta.Node, r.Meta.Transport, r.Meta.Remote, r.Meta.Agent, r.Meta.Attributes} {
		b = AppendText(b, s)
	}
	b = AppendBytes(b, r.Trail)
	if r.Generation > 0 {
		b = binary.AppendUvarint(b, r.Generation)
	}
	return b
}

// DecodeSession fills in everything but tenant and id.
func DecodeSession(value []byte, r *session.Record) error {
	d := Decode(value)
	r.Expires, r.Opened, r.User, r.Device = d.Varint(), d.Varint(), d.Text(), d.Text()
	if secret := d.Text(); copy(r.Secret[:], secret) != len(r.Secret) || len(secret) != len(r.Secret) {
		return ErrCorrupt
	}
	n := d.Uvarint()
	if n > uint64(len(d.s)) { // a room takes more than a byte
		return ErrCorrupt
	}
	r.Rooms = make(map[string]event.Position, n)
	for range n {
		name := d.Text()
		r.Rooms[name] = d.Position()
	}
	for _, s := range [...]*string{&r.Meta.Node, &r.Meta.Transport, &r.Meta.Remote, &r.Meta.Agent, &r.Meta.Attributes} {
		*s = d.Text()
	}
	if trail := d.Text(); trail != "" {
		r.Trail = []byte(trail)
	}
	if d.s != "" {
		r.Generation = d.Uvarint()
	}
	return d.Done()
}

// SessionExpiry reads when a session expires.
func SessionExpiry(value []byte) (int64, error) {
	d := Decode(value)
	t := d.Varint()
	if d.bad {
		return 0, ErrCorrupt
	}
	return t, nil
}
