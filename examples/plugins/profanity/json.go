package main

import (
	"bytes"
	"iter"
	"unicode/utf16"
	"unicode/utf8"
)

// What is needed of JSON, of which the node has seen to it that it is some. Of
// anything else these functions give less, but nothing that does not lie in it.
// encoding/json would double the time that it takes to compile the plugin.

// span is where a value lies.
type span struct{ from, to int }

// members are those of the object that b is: the name as it stands between its quotes,
// and the value.
func members(b []byte) iter.Seq2[[]byte, span] {
	return func(yield func([]byte, span) bool) {
		i := space(b, 0)
		if i == len(b) || b[i] != '{' {
			return
		}
		for i = space(b, i+1); i < len(b) && b[i] == '"'; i = space(b, i+1) {
			end := text(b, i)
			name := b[i+1 : max(i+1, end-1)]
			if i = space(b, end); i == len(b) || b[i] != ':' {
				return
			}
			v := span{from: space(b, i+1)}
			if v.to = value(b, v.from); v.to == v.from || !yield(name, v) {
				return
			}
			if i = space(b, v.to); i == len(b) || b[i] != ',' {
				return
			}
		}
	}
}

// elements are those of the list that b is.
func elements(b []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		i := space(b, 0)
		if i == len(b) || b[i] != '[' {
			return
		}
		for i = space(b, i+1); i < len(b) && b[i] != ']'; i = space(b, i+1) {
			end := value(b, i)
			if end == i || !yield(b[i:end]) {
				return
			}
			if i = space(b, end); i == len(b) || b[i] != ',' {
				return
			}
		}
	}
}

// space is where something begins, from i on; the end if nothing does.
func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// value is the end of the value that begins at i.
func value(b []byte, i int) int {
	for depth := 0; i < len(b); {
		switch c := b[i]; {
		case c == '"':
			i = text(b, i)
		case c == '{' || c == '[':
			depth++
			i++
			continue
		case depth == 0:
			return scalar(b, i)
		case c == '}' || c == ']':
			depth--
			i++
		default:
			i++
		}
		if depth == 0 {
			break
		}
	}
	return i
}

// scalar is the end of a number or word.
func scalar(b []byte, i int) int {
	for ; i < len(b); i++ {
		switch b[i] {
		case ',', '}', ']', ':', '"', ' ', '\t', '\n', '\r':
			return i
		}
	}
	return i
}

// text is the end, behind its quote, of the string that begins at i.
func text(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return len(b)
}

// named reports whether a member has that name, perhaps written with escapes.
func named(raw []byte, name string) bool {
	return string(raw) == name || bytes.IndexByte(raw, '\\') >= 0 && unquoted(raw) == name
}

// unquoted is a string, of what stands between its quotes.
func unquoted(raw []byte) string {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			out = append(out, raw[i])
			i++
			continue
		}
		r, size := escape(raw[i:])
		out, i = utf8.AppendRune(out, r), i+size
	}
	return string(out)
}

// escape is what the escape at the beginning of b stands for, and how long it is: two
// of them, where a letter is written so.
func escape(b []byte) (r rune, size int) {
	if len(b) < 2 {
		return utf8.RuneError, len(b)
	}
	if b[1] != 'u' {
		return short(b[1]), 2
	}
	if r, size = hex(b), min(6, len(b)); !utf16.IsSurrogate(r) {
		return r, size
	}
	if len(b) >= 12 && b[6] == '\\' && b[7] == 'u' {
		if whole := utf16.DecodeRune(r, hex(b[6:])); whole != utf8.RuneError {
			return whole, 12
		}
	}
	return utf8.RuneError, size
}

func short(c byte) rune {
	switch c {
	case 'n':
		return '\n'
	case 't':
		return '\t'
	case 'r':
		return '\r'
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	}
	return rune(c) // a quote, \ or /
}

// hex is the number of an escape "\u00e4".
func hex(b []byte) (r rune) {
	if len(b) < 6 {
		return utf8.RuneError
	}
	for _, c := range b[2:6] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return utf8.RuneError
		}
		r = r<<4 | rune(c)
	}
	return r
}
