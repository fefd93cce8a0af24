package native

import (
	"unicode/utf8"
	"unsafe"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/jsonscan"
)

// Encodings is how many there are; their indexes are lower.
const Encodings = 2

// MaxBatch is how many envelopes a frame may hold.
const MaxBatch = 64

// JSON is the subprotocol heddle.v1.json. Its zero value is ready.
type JSON struct{}

// Name is the WebSocket subprotocol.
func (JSON) Name() string { return "heddle.v1.json" }

// Binary says that frames are text.
func (JSON) Binary() bool { return false }

// Index is the encoding's slot among the frames of one event.
func (JSON) Index() int { return 0 }

// Split calls fn for each envelope of a frame: itself, or the elements of a batch
// of at most limit (never more than MaxBatch). A batch is checked as a whole
// first: the errors are faults Malformed and TooLarge, then fn has not been
// called, or what fn returned, which ends it.
func (JSON) Split(frame []byte, limit int, fn func(raw []byte) error) error {
	i := jsonscan.Space(frame, 0)
	if i == len(frame) || frame[i] != '[' {
		return fn(frame[i:]) // Decode judges it
	}
	return splitBatch(frame, i, min(limit, MaxBatch), fn)
}

// splitBatch is apart from Split, so that its array is not on the stack below the
// pipeline of a single envelope.
func splitBatch(b []byte, i, limit int, fn func(raw []byte) error) error {
	var ends [MaxBatch]uint32
	n, err := elements(b, i, &ends, limit)
	if err != nil {
		return err
	}
	for _, end := range ends[:n] {
		i = jsonscan.Space(b, i+1) // behind the bracket or comma
		if err := fn(b[i:end]); err != nil {
			return err
		}
		i = jsonscan.Space(b, int(end))
	}
	return nil
}

// elements finds where each envelope of a batch ends.
func elements(b []byte, i int, ends *[MaxBatch]uint32, limit int) (n int, _ error) {
	if !utf8.Valid(b) {
		return 0, problem(0, jsonscan.BadUTF8)
	}
	i, more := jsonscan.First(b, i, ']')
	if !more {
		return 0, malformed(i, "an empty batch")
	}
	for more {
		if n >= limit {
			return 0, tooMany(limit)
		}
		// An element counts its depth from itself: the batch is not part of it.
		end, p := jsonscan.Value(b, i, 0)
		if p == jsonscan.OK && b[i] != '{' {
			p = jsonscan.Syntax
		}
		if p != jsonscan.OK {
			return 0, problem(end, p)
		}
		ends[n] = uint32(end)
		n++
		if i, more, p = jsonscan.Next(b, end, ']'); p != jsonscan.OK {
			return 0, problem(i, p)
		}
	}
	if i = jsonscan.Space(b, i); i != len(b) {
		return 0, problem(i, jsonscan.Trailing)
	}
	return n, nil
}

// Decode reads one envelope from a client; tenant_id, from, timestamp and
// expires_at are ignored. It copies raw once, and all strings and Data of env
// point into that copy. env must be zero. With an error (Malformed, Invalid,
// UnsupportedVersion) env holds what could be read, so that the answer can carry
// the id.
func (JSON) Decode(raw []byte, env *event.Envelope) error {
	d := decoder{env: env, version: event.Version}
	return d.decodeJSON(raw)
}

// DecodeFull reads one envelope from a server: Decode with all fields.
func (JSON) DecodeFull(raw []byte, env *event.Envelope) error {
	d := decoder{env: env, version: event.Version, full: true}
	return d.decodeJSON(raw)
}

func (d *decoder) decodeJSON(raw []byte) error {
	if !utf8.Valid(raw) {
		return problem(0, jsonscan.BadUTF8)
	}
	const none = "{}"
	d.b = append(make([]byte, 0, len(raw)+len(none)), raw...)
	i, p := d.envelope()
	if p != jsonscan.OK {
		return problem(i, p)
	}
	if d.env.Data == nil {
		d.env.Data = append(d.b, none...)[len(d.b):]
	}
	return d.finish()
}

func (d *decoder) envelope() (int, jsonscan.Problem) {
	i := jsonscan.Space(d.b, 0)
	if i == len(d.b) {
		return i, jsonscan.Truncated
	}
	if d.b[i] != '{' {
		return i, jsonscan.Syntax
	}
	i, p := d.object(unknown, i, 1)
	if p != jsonscan.OK {
		return i, p
	}
	if i = jsonscan.Space(d.b, i); i != len(d.b) {
		return i, jsonscan.Trailing
	}
	return i, jsonscan.OK
}

// object reads the members of the envelope, its payload or its from; level is 1
// for the envelope and 2 for the others, so this calls itself once at most.
func (d *decoder) object(parent field, i, level int) (int, jsonscan.Problem) {
	i, more := jsonscan.First(d.b, i, '}')
	for more {
		name, j, p := d.str(i)
		if p == jsonscan.OK {
			j, p = jsonscan.Colon(d.b, j)
		}
		if p == jsonscan.OK {
			j, p = d.member(parent.of(name), j, level)
		}
		if p == jsonscan.OK {
			j, more, p = jsonscan.Next(d.b, j, '}')
		}
		if i = j; p != jsonscan.OK {
			return i, p
		}
	}
	return i, jsonscan.OK
}

// member reads the value at i of one field.
func (d *decoder) member(f field, i, level int) (int, jsonscan.Problem) {
	if !d.begin(f) {
		return jsonscan.Value(d.b, i, level)
	}
	switch {
	case f == fieldPayload || f == fieldFrom || f == fieldData:
		return d.nested(f, i, level)
	case f.number():
		return d.num(f, i, level)
	}
	if i < len(d.b) && d.b[i] != '"' {
		d.fail(fault.Invalid, f, " must be a string")
		return jsonscan.Value(d.b, i, level)
	}
	s, end, p := d.str(i)
	if p == jsonscan.OK {
		// The copy belongs to this envelope alone, and nothing writes to these bytes
		// again: unescaping goes forward and ends before its own result.
		d.text(f, unsafe.String(unsafe.SliceData(s), len(s)))
	}
	return end, p
}

func (d *decoder) nested(f field, i, level int) (int, jsonscan.Problem) {
	if i < len(d.b) && d.b[i] != '{' {
		d.fail(fault.Invalid, f, " must be an object")
		return jsonscan.Value(d.b, i, level)
	}
	if i < len(d.b) && f != fieldData {
		return d.object(f, i, level+1)
	}
	end, p := jsonscan.Value(d.b, i, level)
	if p == jsonscan.OK {
		d.env.Data = d.b[i:end:end]
	}
	return end, p
}

func (d *decoder) num(f field, i, level int) (int, jsonscan.Problem) {
	if i < len(d.b) && d.b[i] != '-' && d.b[i]-'0' > 9 {
		d.fail(fault.Invalid, f, " must be an integer")
		return jsonscan.Value(d.b, i, level)
	}
	end, whole, p := jsonscan.Number(d.b, i)
	switch {
	case p != jsonscan.OK:
	case !whole:
		d.fail(fault.Invalid, f, " must be an integer")
	default:
		n, ok := jsonscan.Uint(d.b[i:end])
		d.integer(f, n, ok)
	}
	return end, p
}

// str is the string at i, unescaped in place.
func (d *decoder) str(i int) (s []byte, end int, _ jsonscan.Problem) {
	if i >= len(d.b) {
		return nil, i, jsonscan.Truncated
	}
	if d.b[i] != '"' {
		return nil, i, jsonscan.Syntax
	}
	end, escaped, p := jsonscan.String(d.b, i)
	if p != jsonscan.OK {
		return nil, end, p
	}
	s = d.b[i+1 : end-1]
	if escaped {
		s = jsonscan.AppendUnescaped(s[:0], s)
	}
	return s, end, jsonscan.OK
}
