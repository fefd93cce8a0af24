package jsonscan

import "unicode/utf8"

// MaxDepth is how many objects and arrays may contain each other, the envelope
// itself being the first.
const MaxDepth = 32

// Valid checks that b is one value and nothing else but white space. depth is
// how many containers there are around it already.
func Valid(b []byte, depth int) Problem {
	if !utf8.Valid(b) {
		return BadUTF8
	}
	end, p := Value(b, Space(b, 0), depth)
	if p != OK {
		return p
	}
	if Space(b, end) != len(b) {
		return Trailing
	}
	return OK
}

// blanks has a bit for each byte that is white space.
const blanks = uint64(1<<' ' | 1<<'\n' | 1<<'\t' | 1<<'\r')

// Space returns the index of the first byte from i on that is not white space,
// len(b) if there is none.
func Space(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' && 1<<b[i]&blanks != 0 {
		i++
	}
	return i
}

// Value returns the index behind the value that begins at i, without white space
// before it. It checks all but UTF-8, which is cheaper for the whole at once. With
// a problem the index is about where it was found.
func Value(b []byte, i, depth int) (int, Problem) {
	if i < len(b) && (b[i] == '{' || b[i] == '[') {
		return container(b, i, depth)
	}
	return scalar(b, i)
}

func scalar(b []byte, i int) (int, Problem) {
	if i >= len(b) {
		return i, Truncated
	}
	switch c := b[i]; {
	case c == '"':
		end, _, p := String(b, i)
		return end, p
	case c == '-' || c-'0' <= 9:
		end, _, p := Number(b, i)
		return end, p
	case c == 't':
		return literal(b, i, "true")
	case c == 'f':
		return literal(b, i, "false")
	case c == 'n':
		return literal(b, i, "null")
	}
	return i, Syntax
}

func literal(b []byte, i int, word string) (int, Problem) {
	if len(b)-i >= len(word) && string(b[i:i+len(word)]) == word {
		return i + len(word), OK
	}
	return i, Syntax
}

// container walks nested values with one bit a level instead of a call: the
// stacks of connections are small.
func container(b []byte, i, depth int) (int, Problem) {
	var kinds uint64 // bit 0 belongs to the innermost level: 1 for an object
	level := 0
	for {
		// A value begins at i.
		if i < len(b) && (b[i] == '{' || b[i] == '[') {
			if depth+level >= MaxDepth {
				return i, TooDeep
			}
			object := b[i] == '{'
			level++
			kinds <<= 1
			i = Space(b, i+1)
			if i < len(b) && b[i] != '}' && b[i] != ']' {
				if object {
					kinds |= 1
					var p Problem
					if i, p = Name(b, i); p != OK {
						return i, p
					}
				}
				continue
			}
			if object {
				kinds |= 1
			}
		} else {
			var p Problem
			if i, p = scalar(b, i); p != OK {
				return i, p
			}
			i = Space(b, i)
		}
		// A value has ended, or an empty container waits for its end.
		var p Problem
		if i, level, kinds, p = next(b, i, level, kinds); p != OK || level == 0 {
			return i, p
		}
	}
}

// next goes from behind a value to the beginning of the next one, closing the
// levels that end between.
func next(b []byte, i, level int, kinds uint64) (int, int, uint64, Problem) {
	for ; i < len(b); i = Space(b, i) {
		switch b[i] {
		case ',':
			i = Space(b, i+1)
			if kinds&1 == 0 {
				return i, level, kinds, OK
			}
			i, p := Name(b, i)
			return i, level, kinds, p
		case '}', ']':
			if (b[i] == '}') != (kinds&1 == 1) {
				return i, level, kinds, Syntax
			}
			i++
			level--
			kinds >>= 1
			if level == 0 {
				return i, level, kinds, OK
			}
		default:
			return i, level, kinds, Syntax
		}
	}
	return i, level, kinds, Truncated
}

// Name goes from the quote of a member's name to the beginning of its value.
func Name(b []byte, i int) (int, Problem) {
	if i >= len(b) {
		return i, Truncated
	}
	if b[i] != '"' {
		return i, Syntax
	}
	i, _, p := String(b, i)
	if p != OK {
		return i, p
	}
	return Colon(b, i)
}

// Colon goes from behind a member's name to the beginning of its value.
func Colon(b []byte, i int) (int, Problem) {
	i = Space(b, i)
	if i >= len(b) {
		return i, Truncated
	}
	if b[i] != ':' {
		return i, Syntax
	}
	return Space(b, i+1), OK
}

// Next goes from behind a value in a container to the next member or element:
// more is false, and the index behind the container, when end follows instead.
func Next(b []byte, i int, end byte) (_ int, more bool, _ Problem) {
	i = Space(b, i)
	if i >= len(b) {
		return i, false, Truncated
	}
	switch b[i] {
	case end:
		return i + 1, false, OK
	case ',':
		return Space(b, i+1), true, OK
	}
	return i, false, Syntax
}

// First goes from the bracket of a container to its first member or element:
// more is false, and the index behind the container, when there is none.
func First(b []byte, i int, end byte) (_ int, more bool) {
	i = Space(b, i+1)
	if i < len(b) && b[i] == end {
		return i + 1, false
	}
	return i, true
}
