package config

import (
	"encoding"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// want says what a value of the shape looks like.
func (s *shape) want() string {
	switch s.kind {
	case kindBool:
		return "true or false"
	case kindInt, kindUint:
		return "a whole number"
	case kindFloat:
		return "a number"
	case kindDuration:
		return "a duration such as 500ms, 25s or 1h30m"
	case kindText:
		if s.typ == reflect.TypeFor[Size]() {
			return "a size such as 64KiB or 16MiB"
		}
		if s.typ == reflect.TypeFor[slog.Level]() {
			return "one of DEBUG, INFO, WARN and ERROR"
		}
	case kindStruct:
		return "a section of keys"
	case kindMap:
		return "names with a value each"
	case kindList:
		return "a list"
	}
	return "a text"
}

// accepts reports whether a value written in this form can be of the shape.
func (s *shape) accepts(f form) bool {
	switch s.kind {
	case kindBool:
		return f == formBool || f == formRaw
	case kindInt, kindUint:
		return f == formNumber || f == formRaw
	case kindFloat:
		return f == formNumber || f == formRaw || f == formPlain
	case kindString:
		return f == formPlain || f == formQuoted || f == formRaw
	case kindDuration, kindText:
		return f == formPlain || f == formQuoted || f == formRaw || f == formNumber
	case kindList:
		return f == formList
	}
	return f == formMap
}

// assign reads the text of a scalar into v. The error says what was wanted, and
// never repeats the text.
func (s *shape) assign(text string, v reflect.Value) error {
	wanted := errors.New("want " + s.want())
	switch s.kind {
	case kindBool:
		b, err := strconv.ParseBool(strings.ToLower(text))
		if err != nil || len(text) < 4 {
			return wanted
		}
		v.SetBool(b)
	case kindInt, kindUint:
		return s.assignWhole(text, v)
	case kindFloat:
		f, err := strconv.ParseFloat(text, v.Type().Bits())
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return wanted
		}
		v.SetFloat(f)
	case kindString:
		v.SetString(text)
	case kindDuration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return wanted
		}
		v.SetInt(int64(d))
	case kindText:
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
			v.SetZero()
			if s.typ == reflect.TypeFor[slog.Level]() {
				return wanted // the type's own words are for programs
			}
			return &textError{wanted: s.want(), err: err}
		}
	}
	return nil
}

// textError is the refusal of a type's own UnmarshalText, whose message may
// repeat the text.
type textError struct {
	wanted string
	err    error
}

func (e *textError) Error() string { return "want " + e.wanted }

func (s *shape) assignWhole(text string, v reflect.Value) error {
	digits := strings.TrimLeft(text, "+-")
	if len(digits) > 1 && digits[0] == '0' {
		return fmt.Errorf("want a whole number in decimal, without leading zeros")
	}
	bits := v.Type().Bits()
	var err error
	if s.kind == kindInt {
		var n int64
		if n, err = strconv.ParseInt(text, 10, bits); err == nil {
			v.SetInt(n)
		}
	} else {
		var n uint64
		if n, err = strconv.ParseUint(strings.TrimPrefix(text, "+"), 10, bits); err == nil {
			v.SetUint(n)
		}
	}
	if errors.Is(err, strconv.ErrRange) {
		return fmt.Errorf("want a whole number of at most %d bits", bits)
	}
	if err != nil && s.kind == kindUint && strings.HasPrefix(text, "-") {
		return fmt.Errorf("want a whole number, not below 0")
	}
	if err != nil {
		return fmt.Errorf("want a whole number in decimal")
	}
	return nil
}

// format is the text that assign reads back.
func (s *shape) format(v reflect.Value) string {
	switch s.kind {
	case kindBool:
		return strconv.FormatBool(v.Bool())
	case kindInt:
		return strconv.FormatInt(v.Int(), 10)
	case kindUint:
		return strconv.FormatUint(v.Uint(), 10)
	case kindFloat:
		return strconv.FormatFloat(v.Float(), 'f', -1, v.Type().Bits())
	case kindDuration:
		return duration(time.Duration(v.Int()))
	case kindText:
		p := reflect.New(s.typ)
		p.Elem().Set(v)
		if text, err := p.Interface().(encoding.TextMarshaler).MarshalText(); err == nil {
			return string(text)
		}
		return ""
	}
	return v.String()
}

// duration is d without the zero parts that String adds: 1h, not 1h0m0s.
func duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
