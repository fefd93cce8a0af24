package trail

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"

	"github.com/heddle-rt/heddle/runtime/frame"
)

// Of is the mark of an event.
func Of(room, epoch string, offset uint64) frame.Mark {
	return frame.Mark{Room: Room(room, epoch), Offset: offset}
}

// Room stands for one life of a room. Names are users' to choose: nobody finds two that
// are alike here.
func Room(name, epoch string) uint64 {
	var few [96]byte
	h := sha256.Sum256(append(append(append(few[:0], name...), 0), epoch...))
	return binary.BigEndian.Uint64(h[:])
}

const roomText = 11 // base64 of 8 bytes

// AppendText adds a mark as clients keep it: "kJfM0a9-_kQ.17".
func AppendText(b []byte, m frame.Mark) []byte {
	var room [8]byte
	binary.BigEndian.PutUint64(room[:], m.Room)
	b = base64.RawURLEncoding.AppendEncode(b, room[:])
	return strconv.AppendUint(append(b, '.'), m.Offset, 10)
}

// ParseText reads what AppendText wrote; false for anything else.
func ParseText(s string) (m frame.Mark, ok bool) {
	head, offset, found := strings.Cut(s, ".")
	if !found || len(head) != roomText {
		return m, false
	}
	room, err := base64.RawURLEncoding.Strict().DecodeString(head)
	if err != nil {
		return m, false
	}
	m.Room = binary.BigEndian.Uint64(room)
	m.Offset, err = strconv.ParseUint(offset, 10, 53)
	return m, err == nil && m.Offset > 0 && (offset[0] != '0')
}

// ErrMalformed is a trail that cannot be read.
var ErrMalformed = errors.New("trail: malformed")

const version = 2

// Append adds the trail as records keep it: a version, the newest mark folded, how many
// rooms are folded and runs follow, whether something was folded unconfirmed, and these;
// numbers are varints but for the rooms.
func (t *Trail) Append(b []byte) []byte {
	b = appendRoom(append(b, version), t.last.Room)
	b = binary.AppendUvarint(b, t.last.Offset)
	b = binary.AppendUvarint(b, uint64(len(t.base)))
	b = binary.AppendUvarint(b, uint64(len(t.runs)))
	b = append(b, byte(min(t.blind, 1)))
	for room, offset := range t.base {
		b = binary.AppendUvarint(appendRoom(b, room), offset)
	}
	for _, r := range t.runs {
		b = binary.AppendUvarint(appendRoom(b, r.room), r.from)
		b = binary.AppendUvarint(b, r.marks())
	}
	return b
}

func appendRoom(b []byte, room uint64) []byte { return binary.BigEndian.AppendUint64(b, room) }

// Parse reads what Append wrote; nothing is the empty trail.
func Parse(b []byte) (t Trail, _ error) {
	if len(b) == 0 {
		return t, nil
	}
	r := reader{b: b[1:], bad: b[0] != version}
	t.last = frame.Mark{Room: r.room(), Offset: r.number()}
	folded, runs, blind := r.number(), r.number(), r.number()
	if runs > maxRuns || folded > uint64(len(b)) {
		return Trail{}, ErrMalformed
	}
	if folded > 0 {
		t.base = make(map[uint64]uint64, folded)
	}
	for range folded {
		room := r.room()
		t.base[room] = r.number()
	}
	for range runs {
		x := run{room: r.room(), from: r.number()}
		x.to = x.from + r.number() - 1
		if x.from == 0 || x.to < x.from-1 {
			return Trail{}, ErrMalformed
		}
		t.runs = append(t.runs, x)
		t.noted += x.marks()
	}
	t.blind = min(blind, 1)
	if r.bad || len(r.b) > 0 {
		return Trail{}, ErrMalformed
	}
	return t, nil
}

// reader takes a record apart; once bad, it gives zeros.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) room() uint64 {
	if r.bad = r.bad || len(r.b) < 8; r.bad {
		return 0
	}
	n := binary.BigEndian.Uint64(r.b)
	r.b = r.b[8:]
	return n
}

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.b)
	if r.bad = r.bad || size <= 0; r.bad {
		return 0
	}
	r.b = r.b[size:]
	return n
}
