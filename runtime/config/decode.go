package config

import (
	"reflect"
	"strconv"
)

// mask is printed in the place of a secret. It is refused as a value, so that a
// printed config can not put a well-known secret into force.
const mask = "***"

// mark is what is remembered of a value that a source said.
type mark struct {
	origin   Origin
	template string // the text with ${}, empty if there was none
}

// decoder fills a value from nodes and gathers every fault.
type decoder struct {
	faults []Fault
	marks  map[string]mark // by path
	named  map[string]bool // paths that end with a name of the writer's
	checks []pending

	// partial is set when a source could not be read at all: then what seems to be
	// missing may be in there.
	partial bool
}

// pending is a struct whose Check runs when all is filled in.
type pending struct {
	path  string
	value reflect.Value
}

func (d *decoder) fail(n *node, path, problem string) {
	var origin Origin
	if n != nil {
		origin = n.origin
	}
	d.faults = append(d.faults, Fault{Origin: origin, Path: path, Problem: problem})
}

// value fills v from n, which may be nil: then only the defaults below v apply.
func (d *decoder) value(s *shape, n *node, v reflect.Value, path string) {
	if bad(n) {
		s.fallBack(v)
		return
	}
	if n != nil && d.marks != nil {
		d.marks[path] = mark{n.origin, n.template}
	}
	if s.pointer {
		if n == nil || n.form == formNull || n.form == formRaw && n.text == "null" {
			v.SetZero()
			return
		}
		v.Set(reflect.New(s.typ))
		v = v.Elem()
	}
	if n != nil && n.form == formNull && s.kind >= kindStruct && s.kind != kindList {
		n = &node{form: formMap, origin: n.origin} // an empty section
	}
	if n != nil && !d.fits(s, n, path) {
		s.fallBack(v)
		return
	}
	switch s.kind {
	case kindStruct:
		d.structure(s, n, v, path)
	case kindList:
		d.list(s, n, v, path)
	case kindMap:
		d.mapping(s, n, v, path)
	default:
		d.scalar(s, n, v, path)
	}
}

// fits reports whether n is written as a value of the shape has to be.
func (d *decoder) fits(s *shape, n *node, path string) bool {
	switch {
	case n.form == formNull && s.kind == kindList:
		d.fail(n, path, "has no value; write [] for an empty list")
	case n.form == formNull:
		d.fail(n, path, "has no value; leave the key out for its default")
	case s.accepts(n.form):
		return true
	case s.kind == kindString && n.form <= formBool:
		d.fail(n, path, "want a text; put "+quote(s, n)+" in quotes")
	default:
		d.fail(n, path, "want "+s.want()+", not "+said(s, n))
	}
	return false
}

func (d *decoder) structure(s *shape, n *node, v reflect.Value, path string) {
	if n == nil {
		n = &node{form: formMap}
	}
	for _, e := range n.entries {
		if s.field(e.key) == nil {
			f := Fault{Origin: e.origin, Path: join(path, mapKey(e.key)), Problem: "no such option" + s.hint(e.key)}
			d.faults = append(d.faults, f)
		}
	}
	for _, f := range s.fields {
		at := join(path, f.name)
		e, said := n.entry(f.name)
		child := e.value
		switch {
		case !said && f.shape.rules.required:
			if !d.partial {
				d.fail(n, at, "required")
			}
			continue
		case !said && f.def == nil && f.shape.least() > 0:
			if !d.partial {
				d.fail(n, at, "required, with at least "+f.shape.rules.min.text+" entries")
			}
			continue
		case !said && f.def != nil:
			d.silently(f.shape, f.def, v.FieldByIndex(f.index), at)
			continue
		case said && f.shape.kind == kindMap && f.def != nil:
			child = merge(f.def, child)
		}
		before := len(d.faults)
		d.value(f.shape, child, v.FieldByIndex(f.index), at)
		if (len(d.faults) > before || bad(child)) && f.shape.kind != kindStruct && f.shape.kind != kindMap {
			v.FieldByIndex(f.index).SetZero()
			d.silently(f.shape, f.def, v.FieldByIndex(f.index), at)
		}
	}
	d.checks = append(d.checks, pending{path, v})
}

// fallBack gives v the defaults below it, where what was said is of no use.
func (s *shape) fallBack(v reflect.Value) {
	plain := *s
	if plain.pointer && v.Kind() == reflect.Pointer {
		v.Set(reflect.New(s.typ))
		v = v.Elem()
	}
	plain.pointer = false
	(&decoder{}).value(&plain, nil, v, "")
}

// silently fills in a default: nobody said it.
func (d *decoder) silently(s *shape, n *node, v reflect.Value, path string) {
	marks := d.marks
	d.marks = nil
	d.value(s, n, v, path)
	d.marks = marks
}

func (d *decoder) list(s *shape, n *node, v reflect.Value, path string) {
	v.SetZero()
	if n == nil {
		return
	}
	if len(n.items) > 0 {
		v.Set(reflect.MakeSlice(s.typ, len(n.items), len(n.items)))
	}
	for i, item := range n.items {
		d.value(s.elem, s.elem.present(item), v.Index(i), join(path, index(i)))
	}
	d.rules(s, n, v, path)
}

func (d *decoder) mapping(s *shape, n *node, v reflect.Value, path string) {
	v.SetZero()
	if n == nil {
		return
	}
	if len(n.entries) > 0 {
		v.Set(reflect.MakeMapWithSize(s.typ, len(n.entries)))
	}
	for _, e := range n.entries {
		at := join(path, mapKey(e.key))
		if d.named != nil {
			d.named[at] = true
		}
		elem := reflect.New(s.typ.Elem()).Elem()
		d.value(s.elem, s.elem.present(e.value), elem, at)
		if d.marks != nil && e.value.form != formBad {
			d.marks[at] = mark{e.origin, e.value.template}
		}
		v.SetMapIndex(reflect.ValueOf(e.key).Convert(s.typ.Key()), elem)
	}
	d.rules(s, n, v, path)
}

// present makes an empty map of a null, for the structs in maps and lists: a
// name without keys stands for the defaults, and nobody meets a nil.
func (s *shape) present(n *node) *node {
	if s.kind == kindStruct && n.form == formNull {
		return &node{form: formMap, origin: n.origin}
	}
	return n
}

func (d *decoder) scalar(s *shape, n *node, v reflect.Value, path string) {
	if n == nil {
		return
	}
	if s.rules.secret && n.text == mask {
		d.fail(n, path, "*** stands where a secret was printed; say the secret itself")
		return
	}
	if err := s.assign(n.text, v); err != nil {
		problem := err.Error()
		if t, ok := err.(*textError); ok && !hidden(s, n) {
			d.fail(n, path, t.err.Error())
			return
		}
		d.fail(n, path, problem+", not "+quote(s, n))
		return
	}
	d.rules(s, n, v, path)
}

func (d *decoder) rules(s *shape, n *node, v reflect.Value, path string) {
	if problem := s.broken(v); problem != "" {
		if s.scalar() && n.text != "" {
			problem += ", not " + quote(s, n)
		}
		d.fail(n, path, problem)
	}
}

// said names what stands where something else was wanted.
func said(s *shape, n *node) string {
	switch n.form {
	case formMap:
		return "keys with values"
	case formList:
		return "a list"
	}
	return quote(s, n)
}

func hidden(s *shape, n *node) bool { return s.rules.secret || n.template != "" }

// quote repeats what was said, unless it is secret.
func quote(s *shape, n *node) string {
	const longest = 60
	switch {
	case hidden(s, n):
		return "this value"
	case len(n.text) > longest:
		return strconv.Quote(n.text[:longest]) + "..."
	}
	return strconv.Quote(n.text)
}
