package native

import (
	"unicode/utf8"
	"unsafe"

	"github.com/tinylib/msgp/msgp"

	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/jsonscan"
)

// unpackable is the fault of bytes that are not the MessagePack we take.
func unpackable(at int, p jsonscan.Problem) error {
	switch p {
	case jsonscan.Syntax:
		return malformed(at, "an extension, or not MessagePack")
	case jsonscan.BadNumber:
		return malformed(at, "not a finite number")
	case jsonscan.BadString:
		return malformed(at, "a key that is not a string")
	}
	return problem(at, p)
}

// growth is how much longer than its MessagePack an envelope's JSON may be,
// beyond twice its length: small values such as nil grow fivefold.
const growth = 64 << 10

func (d *decoder) decodeMessagePack(raw []byte) error {
	// Strings and Data go here one behind the other. If it has to grow, those
	// before stay alive in the old buffer.
	d.b = make([]byte, 0, len(raw)+len(raw)/8+32)
	rest, p := d.pairs(unknown, raw, 1, len(raw)*2+growth)
	if p == jsonscan.OK && len(rest) > 0 {
		p = jsonscan.Trailing
	}
	if p == jsonscan.TooLong {
		return fault.New(fault.TooLarge, names[fieldData], names[fieldData]+" is too large as JSON")
	}
	if p != jsonscan.OK {
		return unpackable(len(raw)-len(rest), p)
	}
	if d.env.Data == nil {
		d.env.Data = d.keep([]byte("{}"))
	}
	return d.finish()
}

// pairs reads the members of the envelope, its payload or its from; level is 1
// for the envelope and 2 for the others, so this calls itself once at most.
func (d *decoder) pairs(parent field, b []byte, level, limit int) ([]byte, jsonscan.Problem) {
	if len(b) == 0 {
		return b, jsonscan.Truncated
	}
	n, b, err := msgp.ReadMapHeaderBytes(b)
	if err != nil {
		return b, jsonscan.Syntax
	}
	for range n {
		name, rest, p := packedString(b)
		if p != jsonscan.OK {
			return rest, p
		}
		if b, p = d.pair(parent.of(name), rest, level, limit); p != jsonscan.OK {
			return b, p
		}
	}
	return b, jsonscan.OK
}

// pair reads the value of one field.
func (d *decoder) pair(f field, b []byte, level, limit int) ([]byte, jsonscan.Problem) {
	if !d.begin(f) {
		return skip(b, level)
	}
	kind := msgp.NextType(b)
	switch {
	case len(b) == 0:
		return b, jsonscan.Truncated
	case f.number():
		return d.packedInteger(f, b, level)
	case f == fieldPayload || f == fieldFrom || f == fieldData:
		if kind != msgp.MapType {
			d.fail(fault.Invalid, f, " must be a map")
			return skip(b, level)
		}
		if f != fieldData {
			return d.pairs(f, b, level+1, limit)
		}
		start := len(d.b)
		out, rest, p := toJSON(d.b, b, level, limit)
		if p == jsonscan.OK {
			d.b = out
			d.env.Data = out[start:len(out):len(out)]
		}
		return rest, p
	case kind != msgp.StrType:
		d.fail(fault.Invalid, f, " must be a string")
		return skip(b, level)
	}
	s, rest, p := packedString(b)
	if p == jsonscan.OK {
		// The buffer belongs to this envelope alone and only grows.
		kept := d.keep(s)
		d.text(f, unsafe.String(unsafe.SliceData(kept), len(kept)))
	}
	return rest, p
}

func (d *decoder) keep(s []byte) []byte {
	start := len(d.b)
	d.b = append(d.b, s...)
	return d.b[start:len(d.b):len(d.b)]
}

func (d *decoder) packedInteger(f field, b []byte, level int) ([]byte, jsonscan.Problem) {
	switch msgp.NextType(b) {
	case msgp.IntType, msgp.UintType:
	default:
		d.fail(fault.Invalid, f, " must be an integer")
		return skip(b, level)
	}
	rest, p := skip(b, level)
	if p != jsonscan.OK {
		return rest, p
	}
	n, _, err := msgp.ReadUint64Bytes(b) // refuses negative ones
	d.integer(f, n, err == nil)
	return rest, jsonscan.OK
}

// packedString reads a string of valid UTF-8, without copying it.
func packedString(b []byte) (s, rest []byte, _ jsonscan.Problem) {
	if len(b) == 0 {
		return nil, b, jsonscan.Truncated
	}
	if msgp.NextType(b) != msgp.StrType {
		return nil, b, jsonscan.BadString
	}
	s, rest, err := msgp.ReadStringZC(b)
	if err != nil {
		return nil, b, jsonscan.Truncated
	}
	if !utf8.Valid(s) {
		return nil, b, jsonscan.BadUTF8
	}
	return s, rest, jsonscan.OK
}

// skip goes over one value with depth containers around it. Unlike msgp.Skip it
// does not call itself for each level of nesting, nor go deeper than MaxDepth.
func skip(b []byte, depth int) ([]byte, jsonscan.Problem) {
	var left [jsonscan.MaxDepth + 1]uint64 // values still to come at each level
	left[0] = 1
	for level := 0; ; {
		for left[level] == 0 {
			if level == 0 {
				return b, jsonscan.OK
			}
			level--
		}
		left[level]--
		n, rest, p := inside(b)
		if p != jsonscan.OK {
			return b, p
		}
		if n >= 0 {
			if depth+level >= jsonscan.MaxDepth {
				return b, jsonscan.TooDeep
			}
			level++
			left[level] = uint64(n)
		}
		b = rest
	}
}

// inside goes over one value, of a container over its header alone, and gives the
// number of values in that; -1 for anything else.
func inside(b []byte) (n int64, rest []byte, _ jsonscan.Problem) {
	if len(b) == 0 {
		return 0, b, jsonscan.Truncated
	}
	var size uint32
	var err error
	switch msgp.NextType(b) {
	case msgp.MapType:
		size, rest, err = msgp.ReadMapHeaderBytes(b)
		n = 2 * int64(size)
	case msgp.ArrayType:
		size, rest, err = msgp.ReadArrayHeaderBytes(b)
		n = int64(size)
	case msgp.InvalidType:
		return 0, b, jsonscan.Syntax
	default:
		rest, err = msgp.Skip(b)
		n = -1
	}
	if err != nil || n > int64(len(rest)) {
		return 0, b, jsonscan.Truncated
	}
	return n, rest, jsonscan.OK
}
