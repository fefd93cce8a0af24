package jsonscan

import (
	"bytes"
	"unicode/utf8"
	"unsafe"
)

const hexDigits = "0123456789abcdef"

// AppendQuoted appends s as a JSON string; what is not UTF-8 in it becomes the
// replacement character.
func AppendQuoted(dst, s []byte) []byte {
	if !utf8.Valid(s) {
		s = bytes.ToValidUTF8(s, []byte("\uFFFD"))
	}
	dst = append(dst, '"')
	for {
		i := plain(s, 0)
		dst = append(dst, s[:i]...)
		if i == len(s) {
			return append(dst, '"')
		}
		dst = appendSpecial(dst, s[i])
		s = s[i+1:]
	}
}

// AppendQuotedString is AppendQuoted of a string.
func AppendQuotedString(dst []byte, s string) []byte {
	// The bytes are only read, and not kept: the string stays immutable.
	return AppendQuoted(dst, unsafe.Slice(unsafe.StringData(s), len(s)))
}

func appendSpecial(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}
