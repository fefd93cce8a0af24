package config

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
)

// object is a JSON object with its keys in order.
type object []member

type member struct {
	name  string
	value any
}

func (o object) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			out = append(out, ',')
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		out = append(strconv.AppendQuote(out, m.name), ':')
		out = append(out, value...)
	}
	return append(out, '}'), nil
}

// Schema is the JSON Schema (2020-12) of a config file for T, by which editors
// complete and check it. It is laxer than Load: nothing is required, because a
// variable or a flag may say it instead of the file, and the bounds of durations
// and sizes are only described.
func Schema[T any]() ([]byte, error) {
	s, err := describe(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	o := append(object{{"$schema", "https://json-schema.org/draft/2020-12/schema"}}, s.schema()...)
	return json.MarshalIndent(o, "", "  ")
}

func (s *shape) schema() object {
	switch s.kind {
	case kindBool:
		return object{{"type", s.types("boolean")}}
	case kindInt, kindUint:
		o := object{{"type", s.types("integer")}}
		if s.kind == kindUint && s.rules.min == nil {
			o = append(o, member{"minimum", 0})
		}
		return append(o, s.limits("minimum", "maximum")...)
	case kindFloat:
		return append(object{{"type", s.types("number")}}, s.limits("minimum", "maximum")...)
	case kindDuration:
		return object{{"type", s.types("string")}, {"pattern", `^[+-]?(0|([0-9.]+(ns|us|µs|ms|s|m|h))+)$|\$\{`}}
	case kindText:
		if s.typ == reflect.TypeFor[Size]() {
			return object{{"type", s.types("string", "integer")}, {"pattern", `^[0-9]+ *([KMG]i)?B?$|\$\{`}}
		}
		return append(object{{"type", s.types("string", "number")}}, s.choice()...)
	case kindList:
		return append(object{{"type", s.types("array")}, {"items", s.elem.schema()}}, s.limits("minItems", "maxItems")...)
	case kindMap:
		return append(object{{"type", s.types("object", "null")}, {"additionalProperties", s.elem.schema()}}, s.limits("minProperties", "maxProperties")...)
	case kindStruct:
		return s.properties()
	}
	o := append(object{{"type", s.types("string")}}, s.choice()...)
	return append(o, s.limits("minLength", "maxLength")...)
}

func (s *shape) types(names ...string) any {
	if s.pointer && names[len(names)-1] != "null" {
		names = append(names, "null")
	}
	if len(names) == 1 {
		return names[0]
	}
	return names
}

func (s *shape) limits(least, most string) object {
	var o object
	if b := s.rules.min; b != nil {
		o = append(o, member{least, json.Number(b.text)})
	}
	if b := s.rules.max; b != nil {
		o = append(o, member{most, json.Number(b.text)})
	}
	return o
}

func (s *shape) choice() object {
	if s.rules.enum == nil {
		return nil
	}
	values := []any{}
	for _, e := range s.rules.enum {
		values = append(values, e)
	}
	if s.pointer {
		values = append(values, nil)
	}
	return object{{"enum", values}}
}

func (s *shape) properties() object {
	props := object{}
	for _, f := range s.fields {
		o := f.shape.schema()
		if text := f.description(); text != "" {
			o = append(object{{"description", text}}, o...)
		}
		if f.def != nil && !f.shape.rules.secret {
			o = append(o, member{"default", f.shape.native(f.initial())})
		}
		if f.shape.rules.secret {
			o = append(o, member{"writeOnly", true})
		}
		props = append(props, member{f.name, o})
	}
	return object{{"type", s.types("object", "null")}, {"properties", props}, {"additionalProperties", false}}
}

// description is the doc with what the schema cannot check.
func (f *field) description() string {
	var extra []string
	if k := f.shape.kind; k == kindDuration || k == kindText {
		extra = f.shape.rules.ends()
	}
	if f.shape.rules.required {
		extra = append(extra, "required")
	}
	if len(extra) == 0 {
		return f.doc
	}
	return strings.TrimSpace(f.doc + " (" + strings.Join(extra, ", ") + ")")
}

func (r *rules) ends() []string {
	var out []string
	if r.min != nil {
		out = append(out, "min "+r.min.text)
	}
	if r.max != nil {
		out = append(out, "max "+r.max.text)
	}
	return out
}

// native is v as a file would say it.
func (s *shape) native(v reflect.Value) any {
	if s.pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	switch s.kind {
	case kindBool, kindInt, kindUint, kindFloat:
		return json.RawMessage(s.format(v))
	case kindList:
		out := []any{}
		for i := range v.Len() {
			out = append(out, s.elem.native(v.Index(i)))
		}
		return out
	case kindMap:
		out := map[string]any{}
		for _, k := range v.MapKeys() {
			out[k.String()] = s.elem.native(v.MapIndex(k))
		}
		return out
	case kindStruct:
		o := object{}
		for _, f := range s.fields {
			o = append(o, member{f.name, f.shape.native(v.FieldByIndex(f.index))})
		}
		return o
	}
	return s.format(v)
}
