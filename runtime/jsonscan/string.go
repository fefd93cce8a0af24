package jsonscan

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	low  = 0x0101010101010101
	high = 0x8080808080808080
)

// special marks the first of eight bytes that a string cannot hold as it is, a
// quote, a backslash or a control character, in the lowest bit set; borrows can
// only add bits above it. 0 if there is none.
func special(w uint64) uint64 {
	quote, slash := w^(low*'"'), w^(low*'\\')
	return ((quote-low)&^quote | (slash-low)&^slash | (w-low*' ')&^w) & high
}

// plain returns the index of the first special byte from i on, len(b) if there is
// none.
func plain(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		if hit := special(binary.LittleEndian.Uint64(b[i:])); hit != 0 {
			return i + bits.TrailingZeros64(hit)>>3
		}
	}
	for i < len(b) && b[i] >= ' ' && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}

// String returns the index behind the string whose opening quote is at i, and
// whether it holds escapes.
func String(b []byte, i int) (end int, escaped bool, _ Problem) {
	// The loop of plain once more: the calls cost more than most strings.
	for i++; i+8 <= len(b); i += 8 {
		if hit := special(binary.LittleEndian.Uint64(b[i:])); hit != 0 {
			i += bits.TrailingZeros64(hit) >> 3
			if b[i] == '"' {
				return i + 1, false, OK
			}
			break
		}
	}
	return rest(b, i)
}

// rest is String for the part of a string that is not simple.
func rest(b []byte, i int) (end int, escaped bool, _ Problem) {
	for i = plain(b, i); i < len(b); i = plain(b, i) {
		switch b[i] {
		case '"':
			return i + 1, escaped, OK
		case '\\':
			n := escape(b[i:])
			if n == 0 {
				return i, true, BadString
			}
			i += n
			escaped = true
		default:
			return i, escaped, BadString
		}
	}
	return i, escaped, Truncated
}

// escape is the length of the escape sequence that b begins with, a surrogate
// pair being one; 0 if it is none.
func escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		r := hex4(b[2:])
		if r < 0 {
			return 0
		}
		if !utf16.IsSurrogate(r) {
			return 6
		}
		if len(b) >= 12 && b[6] == '\\' && b[7] == 'u' && utf16.DecodeRune(r, hex4(b[8:])) != utf8.RuneError {
			return 12
		}
	}
	return 0
}

// hex4 reads four hexadecimal digits; negative if they are not there.
func hex4(b []byte) rune {
	if len(b) < 4 {
		return -1
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// AppendUnescaped appends what stands between the quotes of a valid string,
// without its escapes. It may write over src: dst may be src[:0].
func AppendUnescaped(dst, src []byte) []byte {
	for len(src) > 0 {
		i := plain(src, 0)
		dst = append(dst, src[:i]...)
		if i == len(src) {
			break
		}
		n := escape(src[i:])
		if n == 0 {
			break // not a valid string
		}
		dst = appendEscape(dst, src[i:i+n])
		src = src[i+n:]
	}
	return dst
}

func appendEscape(dst, seq []byte) []byte {
	switch c := seq[1]; c {
	case 'b':
		return append(dst, '\b')
	case 'f':
		return append(dst, '\f')
	case 'n':
		return append(dst, '\n')
	case 'r':
		return append(dst, '\r')
	case 't':
		return append(dst, '\t')
	case 'u':
		r := hex4(seq[2:])
		if len(seq) == 12 {
			r = utf16.DecodeRune(r, hex4(seq[8:]))
		}
		return utf8.AppendRune(dst, r)
	default:
		return append(dst, c)
	}
}

// UnescapedLen is the number of bytes that AppendUnescaped appends.
func UnescapedLen(src []byte) int {
	n := 0
	for len(src) > 0 {
		i := plain(src, 0)
		n += i
		if i == len(src) {
			break
		}
		k := escape(src[i:])
		if k == 0 {
			break
		}
		n += unescapedLen(src[i : i+k])
		src = src[i+k:]
	}
	return n
}

func unescapedLen(seq []byte) int {
	switch len(seq) {
	case 2:
		return 1
	case 12:
		return 4
	}
	return utf8.RuneLen(hex4(seq[2:]))
}
