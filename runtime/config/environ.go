package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// variables are the environment variables that a config has: the path's keys in
// capitals, joined by _, as deep as structs go. The outer path comes before the
// inner one.
func (s *shape) variables(prefix, path string, visit func(name, path string, s *shape)) {
	for _, f := range s.fields {
		name := prefix + "_" + strings.ToUpper(f.name)
		at := join(path, f.name)
		visit(name, at, f.shape)
		f.shape.variables(name, at, visit)
	}
}

// fromEnv reads the variables with the prefix into one layer. One that starts with the
// prefix but names nothing is a warning only: orchestrators set such variables
// for the services they run.
func fromEnv(s *shape, environ []string, prefix string) (layer *node, faults, warnings []Fault) {
	values := map[string]string{}
	for _, e := range environ {
		if name, value, ok := strings.Cut(e, "="); ok {
			values[name] = value
		}
	}
	var names []string
	s.variables(prefix, "", func(name, path string, s *shape) {
		names = append(names, name)
		text, ok := values[name]
		if !ok {
			return
		}
		n, err := literal(s, text, Origin{Env: name})
		if err != nil {
			faults = append(faults, located(err, path, Origin{Env: name})...)
			n = &node{form: formBad}
		}
		layer = merge(layer, wrap(strings.Split(path, "."), n, Origin{Env: name}))
	})
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if strings.HasPrefix(name, prefix+"_") && !slices.Contains(names, name) {
			warnings = append(warnings, Fault{Origin: Origin{Env: name}, Problem: "no such option" + suggest(name, names)})
		}
	}
	return layer, faults, warnings
}

// fromFlags reads path=value texts into one layer.
func fromFlags(s *shape, flags []string) (layer *node, faults []Fault) {
	for _, text := range flags {
		path, value, ok := splitFlag(text)
		if !ok {
			faults = append(faults, Fault{Origin: Origin{Flag: text}, Problem: "want path=value"})
			continue
		}
		origin := Origin{Flag: path}
		keys, err := split(path)
		if err != nil {
			faults = append(faults, Fault{Origin: origin, Problem: err.Error()})
			continue
		}
		target, err := s.walk(keys)
		if err != nil {
			faults = append(faults, Fault{Origin: origin, Problem: err.Error()})
			continue
		}
		n, err := literal(target, value, origin)
		if err != nil {
			faults = append(faults, located(err, path, origin)...)
			n = &node{form: formBad}
		}
		layer = merge(layer, wrap(keys, n, origin))
	}
	return layer, faults
}

// walk finds the shape at a path.
func (s *shape) walk(keys []string) (*shape, error) {
	for _, key := range keys {
		switch s.kind {
		case kindStruct:
			f := s.field(key)
			if f == nil {
				return nil, fmt.Errorf("no such option%s", s.hint(key))
			}
			s = f.shape
		case kindMap:
			s = s.elem
		case kindList:
			return nil, fmt.Errorf("a list is set as a whole, as [a, b]")
		default:
			return nil, fmt.Errorf("there is nothing below a single value")
		}
	}
	return s, nil
}

func (s *shape) keys() []string {
	var names []string
	for _, f := range s.fields {
		names = append(names, f.name)
	}
	return names
}

// wrap puts n under the keys.
func wrap(keys []string, n *node, origin Origin) *node {
	for _, key := range slices.Backward(keys) {
		n = &node{form: formMap, origin: origin, entries: []entry{{key, origin, n}}}
	}
	return n
}

// literal reads the text of a variable, a flag or a default tag: YAML for a
// struct, map or list, and "a,b" for a list of single values too.
func literal(s *shape, text string, origin Origin) (*node, error) {
	switch {
	case !utf8.ValidString(text):
		return nil, fmt.Errorf("not UTF-8 text")
	case s.scalar():
		return &node{form: formRaw, text: text, origin: origin}, nil
	case s.kind == kindList && s.elem.scalar() && plainList(text):
		return commas(text, origin), nil
	}
	n, faults := parse([]byte(text), origin, nil)
	if len(faults) > 0 {
		return nil, &Error{Faults: faults}
	}
	if n == nil {
		n = &node{form: formNull, origin: origin}
	}
	return n, nil
}

func plainList(text string) bool {
	t := strings.TrimSpace(text)
	return t != "" && t != "null" && t[0] != '[' && t[0] != '{' && !strings.HasPrefix(t, "- ") && !strings.Contains(t, "\n")
}

func commas(text string, origin Origin) *node {
	n := &node{form: formList, origin: origin}
	for part := range strings.SplitSeq(text, ",") {
		n.items = append(n.items, &node{form: formRaw, text: strings.TrimSpace(part), origin: origin})
	}
	return n
}

// located puts the path of a variable or flag before the faults of its text.
func located(err error, path string, origin Origin) []Fault {
	e, ok := err.(*Error)
	if !ok {
		return []Fault{{Origin: origin, Path: path, Problem: err.Error()}}
	}
	for i, f := range e.Faults {
		e.Faults[i].Path = path
		if f.Path != "" {
			e.Faults[i].Path = join(path, f.Path)
		}
	}
	return e.Faults
}
