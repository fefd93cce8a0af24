package wire

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// scanner finds where JSON values begin and end. It reads every valid text
// rightly, and some invalid ones without noticing: whoever looks inside a value
// parses it then.
type scanner struct {
	b []byte
	i int
}

func (s *scanner) fail(why string) error {
	return fmt.Errorf("%w: %s at byte %d", ErrMalformed, why, s.i)
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\r', '\n':
			s.i++
		default:
			return
		}
	}
}

// peek is the next byte, 0 at the end.
func (s *scanner) peek() byte {
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.i++
	return true
}

// quoted moves behind a string.
func (s *scanner) quoted() bool {
	if !s.take('"') {
		return false
	}
	for s.i < len(s.b) {
		end := bytes.IndexByte(s.b[s.i:], '"')
		if end < 0 {
			return false
		}
		escape := bytes.IndexByte(s.b[s.i:s.i+end], '\\')
		if escape < 0 {
			s.i += end + 1
			return true
		}
		s.i += escape + 2
	}
	return false
}

// value moves behind one value of any kind and returns it as it stands.
func (s *scanner) value() ([]byte, bool) {
	start, depth := s.i, 0
	for s.i < len(s.b) {
		switch c := s.b[s.i]; c {
		case '"':
			if !s.quoted() {
				return nil, false
			}
		case '{', '[':
			depth++
			s.i++
			continue
		case '}', ']':
			if depth--; depth < 0 {
				return nil, false
			}
			s.i++
		case ',', ':', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return nil, false
			}
			s.i++
			continue
		default:
			s.literal()
		}
		if depth == 0 {
			return s.b[start:s.i], true
		}
	}
	return nil, false
}

// literal moves behind a number, true, false or null.
func (s *scanner) literal() {
	for ; s.i < len(s.b); s.i++ {
		switch s.b[s.i] {
		case ',', ':', ' ', '\t', '\r', '\n', '"', '{', '}', '[', ']':
			return
		}
	}
}

// members calls f with each member of an object.
func members(object []byte, f func(key, raw []byte) error) error {
	s := scanner{b: object, i: 1}
	for first := true; ; first = false {
		s.space()
		if s.peek() == '}' {
			return nil
		}
		if !first && !s.take(',') {
			return s.fail("a comma is missing")
		}
		s.space()
		start := s.i
		if !s.quoted() {
			return s.fail("a member has no name")
		}
		key, err := text(s.b[start:s.i])
		if err != nil {
			return err
		}
		s.space()
		if !s.take(':') {
			return s.fail("a colon is missing")
		}
		s.space()
		raw, ok := s.value()
		if !ok {
			return s.fail("a value does not end")
		}
		if err := f(key, raw); err != nil {
			return err
		}
	}
}

// nested is members for a value that must be an object or null.
func nested(raw []byte, f func(key, raw []byte) error) error {
	if string(raw) == "null" {
		return nil
	}
	if raw[0] != '{' {
		return fmt.Errorf("%w: not an object", ErrMalformed)
	}
	return members(raw, f)
}

// text is the content of a string; it copies only what has escapes.
func text(raw []byte) ([]byte, error) {
	if string(raw) == "null" {
		return nil, nil
	}
	if len(raw) < 2 || raw[0] != '"' {
		return nil, fmt.Errorf("%w: not a string", ErrMalformed)
	}
	if bytes.IndexByte(raw, '\\') >= 0 {
		b, err := jsontext.AppendUnquote(nil, raw)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		return b, nil
	}
	return raw[1 : len(raw)-1], nil
}

func integer(raw []byte) (int64, error) {
	if string(raw) == "null" {
		return 0, nil
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%w: not a positive integer", ErrMalformed)
	}
	return n, nil
}
