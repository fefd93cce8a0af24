package wasm

import (
	"fmt"
	"unicode/utf8"
)

// Reader reads the primitive values of the format from bytes that nobody
// vouches for. The first failure sticks: from then on every read gives zero and
// nothing is left, so that a loop over items ends by itself and the error is
// looked at once, at the end.
type Reader struct {
	data []byte
	pos  int
	base int // offset of data[0] in the module, for messages
	err  *Error
}

// NewReader reads data, which starts at byte base of its module.
func NewReader(data []byte, base int) *Reader { return &Reader{data: data, base: base} }

// Len is the number of bytes left.
func (r *Reader) Len() int { return len(r.data) - r.pos }

// Err is the first failure, or nil.
func (r *Reader) Err() error {
	if r.err == nil {
		return nil
	}
	return r.err
}

// Fail records a failure at the place where the reader stands.
func (r *Reader) Fail(format string, args ...any) {
	if r.err == nil {
		r.err = &Error{Func: NoFunc, Offset: r.base + r.pos, Msg: fmt.Sprintf(format, args...)}
	}
	r.pos = len(r.data)
}

// U8 reads a byte.
func (r *Reader) U8() byte {
	if r.pos >= len(r.data) {
		r.Fail("ends too early")
		return 0
	}
	b := r.data[r.pos]
	r.pos++
	return b
}

// Bytes reads n bytes. They are not copied.
func (r *Reader) Bytes(n uint32) []byte {
	if uint64(n) > uint64(r.Len()) {
		r.Fail("needs %d bytes, has %d", n, r.Len())
		return nil
	}
	b := r.data[r.pos : r.pos+int(n) : r.pos+int(n)]
	r.pos += int(n)
	return b
}

// U32 reads an unsigned LEB128 integer of 32 bits.
func (r *Reader) U32() uint32 {
	var v uint32
	for shift := uint(0); shift < 35; shift += 7 {
		b := r.U8()
		v |= uint32(b&0x7f) << shift
		if b < 0x80 {
			if shift == 28 && b > 0x0f {
				r.Fail("integer does not fit 32 bits")
				return 0
			}
			return v
		}
	}
	r.Fail("integer is longer than 5 bytes")
	return 0
}

// S32 reads a signed LEB128 integer of 32 bits.
func (r *Reader) S32() int32 { return int32(r.signed(32)) }

// S33 reads a signed LEB128 integer of 33 bits: a block type.
func (r *Reader) S33() int64 { return r.signed(33) }

// S64 reads a signed LEB128 integer of 64 bits.
func (r *Reader) S64() int64 { return r.signed(64) }

func (r *Reader) signed(bits uint) int64 {
	var v int64
	for shift := uint(0); shift < bits; shift += 7 {
		b := r.U8()
		v |= int64(b&0x7f) << shift
		if b >= 0x80 {
			continue
		}
		if shift+7 < bits {
			return v << (57 - shift) >> (57 - shift)
		}
		// The last byte: what is beyond the type's bits must repeat its sign.
		used := bits - shift
		rest := int8(b<<1) >> used // b's seven bits, sign included, without the used ones
		if rest != 0 && rest != -1 {
			r.Fail("integer does not fit %d bits", bits)
			return 0
		}
		return v << (64 - bits) >> (64 - bits)
	}
	r.Fail("integer is longer than %d bytes", (bits+6)/7)
	return 0
}

// Count reads the length of a vector whose items take at least size bytes each.
// More than the rest of the bytes could hold is a failure, and so is more than
// max, if max is not 0; what names the items.
func (r *Reader) Count(size, max int, what string) int {
	n := r.U32()
	if uint64(n)*uint64(size) > uint64(r.Len()) {
		r.Fail("says %d %s, more than its bytes can hold", n, what)
		return 0
	}
	if max > 0 && n > uint32(max) {
		r.Fail("has %d %s, the limit is %d", n, what, max)
		return 0
	}
	return int(n)
}

// Name reads a string, which must be UTF-8.
func (r *Reader) Name() string {
	b := r.Bytes(r.U32())
	if !utf8.Valid(b) {
		r.Fail("name is not UTF-8")
		return ""
	}
	return string(b)
}
