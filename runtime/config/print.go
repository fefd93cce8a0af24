package config

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// width is where the comments of a printed config wrap.
const width = 100

// Print writes the config in force as YAML: what each option means, and, where
// a value is not the default, which source said it. Load reads it back to the
// same value, once its secrets, printed as ***, are said by another source.
// What came from ${NAME} is printed as ${NAME}.
func (r *Result[T]) Print(w io.Writer) error {
	p := printer{marks: r.marks}
	p.structure(r.shape, reflect.ValueOf(r.Value).Elem(), "", 0, true)
	_, err := w.Write(p.out.Bytes())
	return err
}

type printer struct {
	out   bytes.Buffer
	marks map[string]mark
}

func (p *printer) line(indent int, text string, origin Origin) {
	p.out.WriteString(strings.Repeat("  ", indent) + text)
	if origin.said() {
		p.out.WriteString(" # " + comment(origin.String()))
	}
	p.out.WriteByte('\n')
}

func (p *printer) doc(indent int, text string) {
	for _, l := range wrapText(text, width-2*indent-2) {
		p.line(indent, "# "+l, Origin{})
	}
}

// structure reports whether it wrote any key.
func (p *printer) structure(s *shape, v reflect.Value, path string, indent int, docs bool) bool {
	wrote := false
	for i, f := range s.fields {
		if docs && indent == 0 && i > 0 {
			p.out.WriteByte('\n')
		}
		if docs {
			p.doc(indent, f.doc)
		}
		value, at := v.FieldByIndex(f.index), join(path, f.name)
		if p.unset(f, value, at) {
			p.line(indent, "# "+f.name+": is not set", Origin{})
			continue
		}
		wrote = true
		var origin Origin
		if !reflect.DeepEqual(value.Interface(), f.initial().Interface()) {
			origin = p.marks[at].origin
		}
		p.entry(f.name+":", f.shape, value, at, indent, origin, docs)
	}
	return wrote
}

// initial is the value when no source says one.
func (f *field) initial() reflect.Value {
	v := reflect.New(f.shape.full()).Elem()
	(&decoder{}).value(f.shape, f.def, v, "")
	return v
}

// unset reports whether nobody gave a value, and the zero one must not be said.
func (p *printer) unset(f *field, v reflect.Value, path string) bool {
	s := f.shape
	if f.def != nil || p.marks[path].origin.said() || s.pointer || s.kind == kindStruct {
		return false
	}
	switch s.kind {
	case kindList, kindMap:
		return s.broken(v) != ""
	}
	trial, text := decoder{}, &node{form: formRaw, text: s.format(v)}
	again := reflect.New(s.typ).Elem()
	trial.value(s, text, again, path)
	return len(trial.faults) > 0 || !reflect.DeepEqual(again.Interface(), v.Interface())
}

// entry writes "key: value", or "- value" for the element of a list.
func (p *printer) entry(key string, s *shape, v reflect.Value, path string, indent int, origin Origin, docs bool) {
	if s.pointer {
		if v.IsNil() {
			p.line(indent, key+" null", origin)
			return
		}
		v = v.Elem()
	}
	switch {
	case s.scalar():
		p.line(indent, key+" "+p.scalar(s, v, path), origin)
	case s.kind == kindList && s.elem.scalar():
		p.line(indent, key+" "+p.flow(s, v, path), origin)
	case s.kind == kindList && v.Len() == 0:
		p.line(indent, key+" []", origin)
	case s.kind == kindMap && v.Len() == 0:
		p.line(indent, key+" {}", origin)
	case s.kind == kindStruct:
		start := p.out.Len()
		p.line(indent, key, Origin{})
		if !p.structure(s, v, path, indent+1, docs) {
			p.out.Truncate(start)
			p.line(indent, key+" {}", Origin{})
		}
	case s.kind == kindList:
		p.line(indent, key, origin)
		for i := range v.Len() {
			at := join(path, index(i))
			p.entry("-", s.elem, v.Index(i), at, indent+1, Origin{}, docs && i == 0)
		}
	default:
		p.line(indent, key, Origin{})
		p.names(s, v, path, indent+1, docs)
	}
}

func (p *printer) names(s *shape, v reflect.Value, path string, indent int, docs bool) {
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, k := range keys {
		at := join(path, mapKey(k.String()))
		elem := reflect.New(s.typ.Elem()).Elem()
		elem.Set(v.MapIndex(k))
		p.entry(plain(k.String())+":", s.elem, elem, at, indent, p.marks[at].origin, docs)
		docs = false // once is enough
	}
}

func (p *printer) flow(s *shape, v reflect.Value, path string) string {
	var texts []string
	for i := range v.Len() {
		item := v.Index(i)
		if s.elem.pointer {
			if item.IsNil() {
				texts = append(texts, "null")
				continue
			}
			item = item.Elem()
		}
		texts = append(texts, p.scalar(s.elem, item, join(path, index(i))))
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

func (p *printer) scalar(s *shape, v reflect.Value, path string) string {
	text := s.format(v)
	switch {
	case s.rules.secret && !v.IsZero():
		return strconv.Quote(mask)
	case s.kind == kindBool || s.kind == kindInt || s.kind == kindUint || s.kind == kindFloat:
		return text
	case s.kind == kindDuration:
		return text
	}
	if t := p.marks[path].template; t != "" {
		return strconv.Quote(t)
	}
	if s.typ == reflect.TypeFor[Size]() {
		return text
	}
	return plain(escape(text))
}

// plain is the text without quotes if it means the same in YAML, else in double
// ones, whose escapes YAML shares with Go.
func plain(text string) string {
	switch strings.ToLower(text) {
	case "", "true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf", "infinity":
		return strconv.Quote(text)
	}
	for i, c := range []byte(text) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789_-./", rune(c))) {
			return strconv.Quote(text)
		}
	}
	return text
}

// comment keeps the name of a file within its line.
func comment(text string) string {
	if printable(text) {
		return text
	}
	return fmt.Sprintf("%q", text)
}

func wrapText(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
