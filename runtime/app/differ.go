package app

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/heddle-rt/heddle/runtime/config"
	"github.com/heddle-rt/heddle/runtime/rule"
)

// differences are the paths of options that two configurations do not have in
// common, in their order. It does not repeat values, which may be secrets.
func differences(a, b *Config) []string {
	var out []string
	differ(&out, "", reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem())
	return out
}

func differ(out *[]string, path string, a, b reflect.Value) {
	if reflect.DeepEqual(a.Interface(), b.Interface()) {
		return
	}
	switch a.Kind() {
	case reflect.Struct:
		for i := range a.NumField() {
			f := a.Type().Field(i)
			name, opts, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			switch {
			case opts == "inline":
				differ(out, path, a.Field(i), b.Field(i))
			case name != "" && name != "-":
				differ(out, below(path, name), a.Field(i), b.Field(i))
			}
		}
	case reflect.Map:
		names := map[string]bool{}
		for _, m := range [...]reflect.Value{a, b} {
			for _, k := range m.MapKeys() {
				names[k.String()] = true
			}
		}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			k := reflect.ValueOf(name).Convert(a.Type().Key())
			x, y := a.MapIndex(k), b.MapIndex(k)
			if x.IsValid() && y.IsValid() {
				differ(out, below(path, name), x, y)
			} else {
				*out = append(*out, below(path, name))
			}
		}
	default:
		*out = append(*out, path)
	}
}

func below(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// explain says in one line what is wrong, with file, line and path of each fault.
// read is nil if the configuration could not be read.
func explain(read *config.Result[Config], err error) string {
	var lines []string
	var faults *config.Error
	if errors.As(err, &faults) {
		for _, f := range faults.Faults {
			lines = append(lines, f.Error())
		}
		return strings.Join(few(lines), "; ")
	}
	for _, one := range parts(err) {
		var p rule.Problem
		if !errors.As(one, &p) || read == nil {
			lines = append(lines, one.Error())
			continue
		}
		lines = append(lines, config.Fault{Origin: originOf(read, p.Path), Path: p.Path, Problem: p.Text}.Error())
	}
	return strings.Join(few(lines), "; ")
}

// parts takes an error apart that several were joined to.
func parts(err error) []error {
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		return all.Unwrap()
	}
	return []error{err}
}

// originOf is where a path was, or the section that it is in.
func originOf(read *config.Result[Config], path string) config.Origin {
	for {
		if o := read.Origin(path); o != (config.Origin{}) {
			return o
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			return config.Origin{}
		}
		path = path[:i]
	}
}
