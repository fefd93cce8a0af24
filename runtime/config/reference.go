package config

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// Reference writes all options of T as Markdown: a table for each section, with what
// is in force if nobody says anything, and the environment variable of each option.
func Reference[T any](w io.Writer) error {
	s, err := describe(reflect.TypeFor[T]())
	if err != nil {
		return err
	}
	var b strings.Builder
	s.section(&b, "", "HEDDLE", s.inForce())
	_, err = io.WriteString(w, b.String())
	return err
}

// section writes the single options of a struct, then its sections. variable is
// the environment variable of the struct; empty within maps and lists, whose
// entries have none of their own. v is what is in force; invalid where that is not the
// section's own to say.
func (s *shape) section(b *strings.Builder, path, variable string, v reflect.Value) {
	if rows := s.rows(variable, v); rows != "" {
		if path != "" {
			fmt.Fprintf(b, "## `%s`\n\n", path)
		}
		b.WriteString("| option | type | default | meaning |\n|---|---|---|---|\n" + rows + "\n")
	}
	for _, f := range s.fields {
		inner, at, name := f.shape, join(path, f.name), f.variable(variable)
		for inner.elem != nil {
			at, name = join(at, inner.each()), ""
			inner = inner.elem
		}
		switch {
		case inner.kind != kindStruct:
		case inner != f.shape:
			inner.section(b, at, name, inner.inForce())
		case inner.pointer || !v.IsValid():
			inner.section(b, at, name, reflect.Value{})
		default:
			inner.section(b, at, name, v.FieldByIndex(f.index))
		}
	}
}

// inForce is a value of the shape of which nothing was said.
func (s *shape) inForce() reflect.Value {
	v := reflect.New(s.typ).Elem()
	s.fallBack(v)
	return v
}

func (f *field) variable(section string) string {
	if section == "" {
		return ""
	}
	return section + "_" + strings.ToUpper(f.name)
}

func (s *shape) rows(variable string, v reflect.Value) string {
	var b strings.Builder
	for _, f := range s.fields {
		if f.shape.kind == kindStruct {
			continue
		}
		meaning := cell(f.doc)
		if extra := f.demands(); extra != "" {
			meaning += " *" + cell(extra) + "*"
		}
		if name := f.variable(variable); name != "" {
			meaning += " `" + name + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.name, cell(f.shape.noun()), f.initially(v), strings.TrimSpace(meaning))
	}
	return b.String()
}

// noun names the type for a reader.
func (s *shape) noun() string {
	switch s.kind {
	case kindBool:
		return "boolean"
	case kindInt, kindUint:
		return "whole number"
	case kindFloat:
		return "number"
	case kindDuration:
		return "duration"
	case kindText:
		return strings.ToLower(s.typ.Name())
	case kindStruct:
		return "section"
	case kindList:
		return "list of " + s.elem.noun()
	case kindMap:
		return s.elem.noun() + " by name"
	}
	return "text"
}

// initially is the option's value in a section that is v; empty if it has none.
func (f *field) initially(v reflect.Value) string {
	s := f.shape
	if !v.IsValid() || s.rules.secret || s.rules.required {
		return ""
	}
	if v = v.FieldByIndex(f.index); f.def == nil && v.IsZero() && (s.pointer || s.kind == kindString || s.kind > kindStruct || s.broken(v) != "") {
		return ""
	}
	text, err := json.Marshal(s.native(v))
	if err != nil {
		return ""
	}
	return "`" + cell(strings.Trim(string(text), `"`)) + "`"
}

// demands are the rules in words.
func (f *field) demands() string {
	r := f.shape.rules
	parts := r.ends()
	if r.enum != nil {
		parts = append([]string{"one of " + strings.Join(r.enum, ", ")}, parts...)
	}
	if r.required {
		parts = append([]string{"required"}, parts...)
	}
	if r.secret {
		parts = append(parts, "secret")
	}
	return strings.Join(parts, "; ")
}

// cell keeps a text within its column.
func cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}
