package config

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// bound is one end of a range: of a value of the shape's type, or of a length.
type bound struct {
	text  string
	value reflect.Value // invalid for a length
	count int
}

func parseBound(s *shape, text string) (*bound, error) {
	if text == "" {
		return nil, nil
	}
	b := &bound{text: text}
	switch s.kind {
	case kindString, kindList, kindMap:
		n, err := strconv.Atoi(text)
		b.count = n
		return b, err
	case kindBool, kindStruct:
		return nil, fmt.Errorf("%v has no bounds", s.typ)
	}
	b.value = reflect.New(s.typ).Elem()
	if err := s.assign(text, b.value); err != nil {
		return nil, err
	}
	if !b.value.CanInt() && !b.value.CanUint() && !b.value.CanFloat() {
		return nil, fmt.Errorf("%v has no order", s.typ)
	}
	return b, nil
}

// compare puts v against the bound.
func (b *bound) compare(v reflect.Value) int {
	switch {
	case !b.value.IsValid() && v.Kind() == reflect.String:
		return utf8.RuneCountInString(v.String()) - b.count
	case !b.value.IsValid():
		return v.Len() - b.count
	case v.CanInt():
		return cmp.Compare(v.Int(), b.value.Int())
	case v.CanUint():
		return cmp.Compare(v.Uint(), b.value.Uint())
	}
	return cmp.Compare(v.Float(), b.value.Float())
}

// least is how many elements a list or map has to have: then it cannot be left out.
func (s *shape) least() int {
	if (s.kind != kindList && s.kind != kindMap) || s.pointer || s.rules.min == nil {
		return 0
	}
	return s.rules.min.count
}

// broken says which rule v breaks; empty if none.
func (s *shape) broken(v reflect.Value) string {
	unit := ""
	switch s.kind {
	case kindString:
		unit = " characters"
	case kindList, kindMap:
		unit = " entries"
	}
	if b := s.rules.min; b != nil && b.compare(v) < 0 {
		return "want at least " + b.text + unit
	}
	if b := s.rules.max; b != nil && b.compare(v) > 0 {
		return "want at most " + b.text + unit
	}
	if enum := s.rules.enum; enum != nil && s.scalar() && !slices.Contains(enum, s.format(v)) {
		return "want one of " + strings.Join(enum, ", ")
	}
	if s.rules.required && s.kind == kindString && v.Len() == 0 {
		return "required, and empty"
	}
	return ""
}
