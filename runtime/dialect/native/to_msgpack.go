package native

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/tinylib/msgp/msgp"

	"github.com/heddle-rt/heddle/runtime/jsonscan"
)

// toMessagePack appends JSON as MessagePack; false if it is not JSON. A container's
// header is written when its end, and so its count, is known.
func toMessagePack(out, b []byte) (_ []byte, ok bool) {
	var open [jsonscan.MaxDepth]struct{ at, n uint32 } // where each level's header goes, and its count
	var maps uint64                                    // bit 0 belongs to the innermost level: 1 for a map
	level, i := 0, jsonscan.Space(b, 0)
	for {
		more := false
		if i < len(b) && (b[i] == '{' || b[i] == '[') {
			if level == len(open) {
				return out, false
			}
			open[level].at, open[level].n = uint32(len(out)), 0
			level++
			maps = maps<<1 | uint64(b[i]>>5&1) // '{' is 0x7b, '[' 0x5b
			out = append(out, 0)
			i, more = jsonscan.First(b, i, closing(maps))
		} else {
			var p jsonscan.Problem
			if out, i, p = packSimple(out, b, i); p != jsonscan.OK {
				return out, false
			}
			if level == 0 {
				return out, jsonscan.Space(b, i) == len(b)
			}
			open[level-1].n++
			if i, more, p = jsonscan.Next(b, i, closing(maps)); p != jsonscan.OK {
				return out, false
			}
		}
		for !more {
			level--
			out = patch(out, int(open[level].at), open[level].n, maps&1 == 1)
			maps >>= 1
			if level == 0 {
				return out, jsonscan.Space(b, i) == len(b)
			}
			open[level-1].n++
			var p jsonscan.Problem
			if i, more, p = jsonscan.Next(b, i, closing(maps)); p != jsonscan.OK {
				return out, false
			}
		}
		if maps&1 == 1 {
			var p jsonscan.Problem
			if out, i, p = packName(out, b, i); p != jsonscan.OK {
				return out, false
			}
		}
	}
}

func closing(maps uint64) byte {
	if maps&1 == 1 {
		return '}'
	}
	return ']'
}

// patch writes the header of a container whose content follows the byte at at.
// Beyond 15 entries the header is longer, and the content moves.
func patch(out []byte, at int, n uint32, isMap bool) []byte {
	short, long := byte(0x90), byte(0xdc)
	if isMap {
		short, long = 0x80, 0xde
	}
	switch {
	case n <= 15:
		out[at] = short | byte(n)
	case n <= math.MaxUint16:
		out = shift(out, at, 2)
		out[at] = long
		binary.BigEndian.PutUint16(out[at+1:], uint16(n))
	default:
		out = shift(out, at, 4)
		out[at] = long + 1
		binary.BigEndian.PutUint32(out[at+1:], n)
	}
	return out
}

// shift makes room for n more bytes behind the one at at.
func shift(out []byte, at, n int) []byte {
	end := len(out)
	out = append(out, 0, 0, 0, 0)[:end+n]
	copy(out[at+1+n:], out[at+1:end])
	return out
}

func packName(out, b []byte, i int) ([]byte, int, jsonscan.Problem) {
	if i >= len(b) || b[i] != '"' {
		return out, i, jsonscan.Syntax
	}
	out, i, p := packText(out, b, i)
	if p == jsonscan.OK {
		i, p = jsonscan.Colon(b, i)
	}
	return out, i, p
}

func packText(out, b []byte, i int) ([]byte, int, jsonscan.Problem) {
	end, escaped, p := jsonscan.String(b, i)
	if p != jsonscan.OK {
		return out, end, p
	}
	raw := b[i+1 : end-1]
	if !escaped {
		return msgp.AppendStringFromBytes(out, raw), end, jsonscan.OK
	}
	out = appendStringHeader(out, jsonscan.UnescapedLen(raw))
	return jsonscan.AppendUnescaped(out, raw), end, jsonscan.OK
}

// appendStringHeader is what msgp has for a whole string alone.
func appendStringHeader(out []byte, n int) []byte {
	switch {
	case n < 32:
		return append(out, 0xa0|byte(n))
	case n <= math.MaxUint8:
		return append(out, 0xd9, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(out, 0xda), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(out, 0xdb), uint32(n))
}

// packSimple appends the simple JSON value at i.
func packSimple(out, b []byte, i int) ([]byte, int, jsonscan.Problem) {
	if i >= len(b) {
		return out, i, jsonscan.Truncated
	}
	switch b[i] {
	case '"':
		return packText(out, b, i)
	case 't', 'f', 'n':
		end, p := jsonscan.Value(b, i, 0)
		switch {
		case p != jsonscan.OK:
		case b[i] == 'n':
			out = msgp.AppendNil(out)
		default:
			out = msgp.AppendBool(out, b[i] == 't')
		}
		return out, end, p
	}
	end, whole, p := jsonscan.Number(b, i)
	if p != jsonscan.OK {
		return out, end, p
	}
	return packNumber(out, b[i:end], whole), end, jsonscan.OK
}

func packNumber(out, num []byte, whole bool) []byte {
	if whole {
		if n, ok := jsonscan.Int(num); ok {
			return msgp.AppendInt64(out, n)
		}
		if n, ok := jsonscan.Uint(num); ok {
			return msgp.AppendUint64(out, n)
		}
	}
	f, _ := strconv.ParseFloat(string(num), 64) // Number has checked the range
	return msgp.AppendFloat64(out, f)
}
