package protocoldoc

import "github.com/heddle-rt/heddle/runtime/event"

// The keywords for limits that JSON Schema cannot state; a validator that does
// not know them passes over them.
const (
	minBytes     = "x-min-bytes"      // of a string's UTF-8
	maxBytes     = "x-max-bytes"      // of a string's UTF-8
	maxJSONBytes = "x-max-json-bytes" // of a value as it was sent
)

const (
	maxInteger = 1<<53 - 1
	name       = event.NamePattern
	word       = `[a-z][a-z0-9_-]{0,31}`
)

// schema of one member; nil stands for any value.
func schema(f *event.Field) object {
	if f == nil {
		return object{}
	}
	var o object
	switch f.Kind {
	case event.String:
		o = text(f)
	case event.Int:
		highest := f.Max
		if highest == 0 {
			highest = maxInteger
		}
		o = object{{"type", "integer"}, {"minimum", f.Min}, {"maximum", highest}}
	case event.Bool:
		o = object{{"type", "boolean"}}
	case event.Any:
		o = limit(object{}, maxJSONBytes, f.Max)
	case event.Object:
		o = limit(members(f.Fields), maxJSONBytes, f.Max)
	case event.Array:
		o = object{{"type", "array"}, {"items", schema(f.Elem)}}
		o = limit(limit(o, "minItems", f.Min), "maxItems", f.Max)
	case event.Map:
		o = object{{"type", "object"}, {"additionalProperties", schema(f.Elem)}}
		o = limit(limit(o, "minProperties", f.Min), "maxProperties", f.Max)
		if f.Format != "" {
			o = o.with("propertyNames", ref("format_"+f.Format))
		}
	}
	if f.Doc != "" {
		o = o.with("description", f.Doc)
	}
	return o
}

func limit(o object, keyword string, n int64) object {
	if n == 0 {
		return o
	}
	return o.with(keyword, n)
}

// text states limits in characters as far as limits in bytes imply them: a
// character has one byte at least and four at most.
func text(f *event.Field) object {
	o := object{{"type", "string"}}
	o = limit(limit(o, "minLength", (f.Min+3)/4), minBytes, f.Min)
	o = limit(limit(o, "maxLength", f.Max), maxBytes, f.Max)
	if len(f.Enum) > 0 {
		o = o.with("enum", f.Enum)
	}
	if f.Format != "" {
		o = o.with("allOf", []object{ref("format_" + f.Format)})
	}
	return o
}

// members describes an object; members that it does not name are allowed.
func members(p event.Payload) object {
	o := object{{"type", "object"}}
	var properties object
	var required []string
	for i := range p {
		properties = properties.with(p[i].Name, schema(&p[i]))
		if p[i].Required {
			required = append(required, p[i].Name)
		}
	}
	if properties != nil {
		o = o.with("properties", properties)
	}
	if required != nil {
		o = o.with("required", required)
	}
	return o
}

// formats are the rules of package validate as patterns.
func formats() object {
	pattern := func(p string) object { return object{{"type", "string"}, {"pattern", p}} }
	room := pattern(`^` + word + `:` + name + `{1,128}(/` + word + `|/participant/` + name + `{1,128})?$`)
	return object{
		{"format_room", room.with("not", object{{"pattern", `^[^/]*/participant$`}})},
		{"format_user", pattern(`^` + name + `{1,128}$`)},
		{"format_id", pattern(`^[ -~]{1,64}$`)},
		{"format_epoch", pattern(`^` + name + `{1,64}$`)},
	}
}
