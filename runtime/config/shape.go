package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
)

type kind uint8

const (
	kindBool kind = iota
	kindInt
	kindUint
	kindFloat
	kindString
	kindDuration
	kindText // an encoding.TextUnmarshaler
	kindStruct
	kindList
	kindMap
)

// shape describes a type that a value may have.
type shape struct {
	kind    kind
	typ     reflect.Type // without the pointer
	pointer bool
	fields  []*field // of a struct
	elem    *shape   // of a list or map
	rules   rules    // of the field that holds the value
}

// field is one key of a struct.
type field struct {
	name  string
	index []int
	doc   string
	def   *node // what the default tag says; nil without one
	shape *shape
}

// rules are what the tags of a field demand of its values.
type rules struct {
	min, max *bound
	enum     []string
	required bool
	secret   bool
}

func (s *shape) field(name string) *field {
	for _, f := range s.fields {
		if f.name == name {
			return f
		}
	}
	return nil
}

// each is how any element of a list or map stands in a path.
func (s *shape) each() string {
	if s.kind == kindList {
		return "[]"
	}
	return "<name>"
}

func (s *shape) scalar() bool { return s.kind < kindStruct }

// describe reads the tags of a config struct. Its error is a fault of the
// program, not of a config.
func describe(t reflect.Type) (*shape, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("config: %v is not a struct", t)
	}
	d := describer{}
	s := d.shape(t, "", rules{})
	if len(d.errs) == 0 {
		d.defaults(s, "")
	}
	if len(d.errs) > 0 {
		return nil, fmt.Errorf("config: type %v: %w", t, errors.Join(d.errs...))
	}
	return s, nil
}

type describer struct {
	open []reflect.Type // structs around the current one
	errs []error
}

func (d *describer) fail(path, format string, args ...any) {
	d.errs = append(d.errs, fmt.Errorf("%s: "+format, append([]any{path}, args...)...))
}

func (d *describer) shape(t reflect.Type, path string, r rules) *shape {
	s := &shape{typ: t, rules: r}
	if t.Kind() == reflect.Pointer {
		s.pointer, s.typ = true, t.Elem()
	}
	t = s.typ
	switch {
	case t == reflect.TypeFor[time.Duration]():
		s.kind = kindDuration
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		s.kind = kindText
		if !reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
			d.fail(path, "%v can be read but has no MarshalText to print it", t)
		}
	case t.Kind() == reflect.Struct:
		s.kind = kindStruct
		d.structure(s, path)
	case t.Kind() == reflect.Slice:
		s.kind = kindList
		s.elem = d.shape(t.Elem(), join(path, s.each()), r.element())
	case t.Kind() == reflect.Map && t.Key().Kind() == reflect.String:
		s.kind = kindMap
		s.elem = d.shape(t.Elem(), join(path, s.each()), r.element())
	default:
		s.kind = d.basic(t, path)
	}
	return s
}

// element keeps what the rules of a list or map say about its elements.
func (r rules) element() rules { return rules{enum: r.enum, secret: r.secret} }

func (d *describer) basic(t reflect.Type, path string) kind {
	switch k := t.Kind(); {
	case k == reflect.Bool:
		return kindBool
	case k == reflect.String:
		return kindString
	case k >= reflect.Int && k <= reflect.Int64:
		return kindInt
	case k >= reflect.Uint && k <= reflect.Uint64:
		return kindUint
	case k == reflect.Float32 || k == reflect.Float64:
		return kindFloat
	}
	d.fail(path, "a %v cannot be configured", t)
	return kindString
}

func (d *describer) structure(s *shape, path string) {
	for _, t := range d.open {
		if t == s.typ {
			d.fail(path, "%v contains itself", t)
			return
		}
	}
	d.open = append(d.open, s.typ)
	defer func() { d.open = d.open[:len(d.open)-1] }()
	for i := range s.typ.NumField() {
		d.member(s, s.typ.Field(i), path)
	}
}

func (d *describer) member(s *shape, sf reflect.StructField, path string) {
	name, opts, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
	if !sf.IsExported() || name == "-" {
		return
	}
	if opts == "inline" && sf.Type.Kind() == reflect.Struct {
		for _, f := range d.shape(sf.Type, path, rules{}).fields {
			f.index = append([]int{sf.Index[0]}, f.index...)
			d.add(s, f, path)
		}
		return
	}
	if name == "" {
		d.fail(path, "field %s has no yaml tag", sf.Name)
		return
	}
	f := &field{name: name, index: sf.Index, doc: sf.Tag.Get("doc")}
	r := rules{required: sf.Tag.Get("required") == "true", secret: sf.Tag.Get("secret") == "true"}
	if e := sf.Tag.Get("enum"); e != "" {
		r.enum = strings.Split(e, ",")
	}
	f.shape = d.shape(sf.Type, join(path, name), r)
	d.bounds(f, sf.Tag, join(path, name))
	d.add(s, f, path)
}

func (d *describer) add(s *shape, f *field, path string) {
	if s.field(f.name) != nil {
		d.fail(join(path, f.name), "two fields have this key")
		return
	}
	s.fields = append(s.fields, f)
}

func (d *describer) bounds(f *field, tag reflect.StructTag, path string) {
	var err error
	if f.shape.rules.min, err = parseBound(f.shape, tag.Get("min")); err != nil {
		d.fail(path, "min: %v", err)
	}
	if f.shape.rules.max, err = parseBound(f.shape, tag.Get("max")); err != nil {
		d.fail(path, "max: %v", err)
	}
	text, ok := tag.Lookup("default")
	if !ok || text == "" {
		return
	}
	if f.def, err = literal(f.shape, text, Origin{}); err != nil {
		d.fail(path, "default: %v", err)
	}
}

// defaults tries every default tag against its own field.
func (d *describer) defaults(s *shape, path string) {
	if s.elem != nil {
		d.defaults(s.elem, path)
	}
	for _, f := range s.fields {
		at := join(path, f.name)
		d.defaults(f.shape, at)
		if f.def == nil {
			continue
		}
		trial := decoder{}
		trial.value(f.shape, f.def, reflect.New(f.shape.full()).Elem(), at)
		for _, t := range trial.faults {
			d.fail(at, "default: %s", t.Problem)
		}
	}
}

// full is the type with its pointer.
func (s *shape) full() reflect.Type {
	if s.pointer {
		return reflect.PointerTo(s.typ)
	}
	return s.typ
}
