package native

import (
	"encoding/base64"
	"math"
	"strconv"

	"github.com/tinylib/msgp/msgp"

	"github.com/heddle-rt/heddle/runtime/jsonscan"
)

// toJSON appends one MessagePack value with depth containers around it as JSON,
// and returns what is behind it; out may become limit bytes long.
func toJSON(out, b []byte, depth, limit int) (_, rest []byte, p jsonscan.Problem) {
	var left [jsonscan.MaxDepth + 1]uint32 // values or pairs still to come at each level
	var maps uint64                        // bit 0 belongs to the innermost level: 1 for a map
	level := 0
	for {
		n := int64(0)
		start := len(out)
		if out, n, b, p = appendJSON(out, b); p != jsonscan.OK {
			return out, b, p
		}
		if n > 0 {
			if depth+level >= jsonscan.MaxDepth {
				return out, b, jsonscan.TooDeep
			}
			maps <<= 1
			if out[start] == '{' {
				maps |= 1
				n /= 2
			}
			level++
			left[level] = uint32(n)
		} else if depth+level >= jsonscan.MaxDepth && (out[start] == '{' || out[start] == '[') {
			return out, b, jsonscan.TooDeep
		} else {
			out, level, maps = closeJSON(out, &left, level, maps)
		}
		if len(out) > limit {
			return out, b, jsonscan.TooLong
		}
		if level == 0 {
			return out, b, jsonscan.OK
		}
		left[level]--
		if maps&1 == 1 {
			var key []byte
			if key, b, p = packedString(b); p != jsonscan.OK {
				return out, b, p
			}
			out = append(jsonscan.AppendQuoted(out, key), ':')
		}
	}
}

// closeJSON writes what follows a complete value: a comma, or the brackets of all
// levels that it ends.
func closeJSON(out []byte, left *[jsonscan.MaxDepth + 1]uint32, level int, maps uint64) ([]byte, int, uint64) {
	for ; level > 0; level-- {
		if left[level] > 0 {
			return append(out, ','), level, maps
		}
		if maps&1 == 1 {
			out = append(out, '}')
		} else {
			out = append(out, ']')
		}
		maps >>= 1
	}
	return out, 0, 0
}

// appendJSON appends a simple value, or the opening bracket of a container and
// then says how many values there are in it; an empty one is closed at once.
func appendJSON(out, b []byte) (_ []byte, n int64, rest []byte, _ jsonscan.Problem) {
	n, rest, p := inside(b)
	if p != jsonscan.OK {
		return out, 0, b, p
	}
	switch msgp.NextType(b) {
	case msgp.MapType:
		out = append(out, '{')
		if n == 0 {
			out = append(out, '}')
		}
		return out, n, rest, jsonscan.OK
	case msgp.ArrayType:
		out = append(out, '[')
		if n == 0 {
			out = append(out, ']')
		}
		return out, n, rest, jsonscan.OK
	case msgp.StrType:
		s, _, p := packedString(b)
		if p != jsonscan.OK {
			return out, 0, b, p
		}
		return jsonscan.AppendQuoted(out, s), 0, rest, jsonscan.OK
	case msgp.BinType:
		s, _, _ := msgp.ReadBytesZC(b)
		out = base64.StdEncoding.AppendEncode(append(out, '"'), s)
		return append(out, '"'), 0, rest, jsonscan.OK
	}
	out, p = appendSimple(out, b)
	return out, 0, rest, p
}

// appendSimple appends a number, a boolean or null; b is known to be complete.
func appendSimple(out, b []byte) ([]byte, jsonscan.Problem) {
	switch msgp.NextType(b) {
	case msgp.IntType:
		n, _, _ := msgp.ReadInt64Bytes(b)
		return strconv.AppendInt(out, n, 10), jsonscan.OK
	case msgp.UintType:
		n, _, _ := msgp.ReadUint64Bytes(b)
		return strconv.AppendUint(out, n, 10), jsonscan.OK
	case msgp.BoolType:
		v, _, _ := msgp.ReadBoolBytes(b)
		return strconv.AppendBool(out, v), jsonscan.OK
	case msgp.NilType:
		return append(out, "null"...), jsonscan.OK
	case msgp.Float64Type:
		f, _, _ := msgp.ReadFloat64Bytes(b)
		return appendFloat(out, f, 64)
	case msgp.Float32Type:
		f, _, _ := msgp.ReadFloat32Bytes(b)
		return appendFloat(out, float64(f), 32)
	}
	return out, jsonscan.Syntax
}

func appendFloat(out []byte, f float64, bits int) ([]byte, jsonscan.Problem) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return out, jsonscan.BadNumber
	}
	format := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(out, f, format, -1, bits), jsonscan.OK
}
