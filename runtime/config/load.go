package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
)

// Options are the sources of a config.
type Options struct {
	Files   []string // names of YAML files, the later over the earlier
	Environ []string // NAME=value, as os.Environ gives; the source of ${NAME} too
	Prefix  string   // of environment variables; HEDDLE if empty
	Set     []string // path=value, as from flags: socket.listen=:8080, tenants.acme.secret=...

	// Open opens a file; os.Open if nil.
	Open func(name string) (io.ReadCloser, error)
}

// Result is a config that is in force.
type Result[T any] struct {
	Value    *T
	Warnings []Fault // environment variables with the prefix that name no option

	shape *shape
	marks map[string]mark
}

// Load reads all sources into a T. What is wrong with them comes back as one
// *Error with every fault; any other error is a fault of T's tags.
func Load[T any](opts Options) (*Result[T], error) {
	shape, err := describe(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	if opts.Prefix == "" {
		opts.Prefix = "HEDDLE"
	}
	if err := shape.unambiguous(opts.Prefix); err != nil {
		return nil, err
	}
	d := decoder{marks: map[string]mark{}, named: map[string]bool{}}
	root, warnings := opts.layers(shape, &d)
	out := new(T)
	d.value(shape, root, reflect.ValueOf(out).Elem(), "")
	if !d.partial {
		d.check()
	}
	if len(d.faults) > 0 {
		sortFaults(d.faults, opts.Files)
		return nil, &Error{Faults: d.faults}
	}
	return &Result[T]{Value: out, Warnings: warnings, shape: shape, marks: d.marks}, nil
}

// Origin says where the value at a path came from; the zero Origin for a
// default.
func (r *Result[T]) Origin(path string) Origin { return r.marks[path].origin }

// layers reads the sources and lays them over one another.
func (o *Options) layers(s *shape, d *decoder) (root *node, warnings []Fault) {
	root = &node{form: formMap}
	if len(o.Files) > 0 {
		root.origin = Origin{File: o.Files[0]}
	}
	for _, name := range o.Files {
		n, faults := o.file(name)
		d.faults = append(d.faults, faults...)
		switch {
		case n == nil || n.form == formNull || n.form == formBad:
			d.partial = d.partial || len(faults) > 0
		case n.form != formMap:
			d.faults = append(d.faults, Fault{Origin: n.origin, Problem: "want keys with values"})
			d.partial = true
		default:
			root = merge(root, n)
		}
	}
	n, faults, warnings := fromEnv(s, o.Environ, o.Prefix)
	d.faults = append(d.faults, faults...)
	root = merge(root, n)
	n, faults = fromFlags(s, o.Set)
	d.faults = append(d.faults, faults...)
	return merge(root, n), warnings
}

func (o *Options) file(name string) (*node, []Fault) {
	origin := Origin{File: name}
	text, err := o.read(name)
	if err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return nil, []Fault{{Origin: origin, Problem: fmt.Sprintf("cannot be read: %v", err)}}
	}
	return parse(text, origin, func(text string) (string, error) { return expand(text, o.lookup) })
}

func (o *Options) read(name string) ([]byte, error) {
	open := o.Open
	if open == nil {
		open = func(name string) (io.ReadCloser, error) { return os.Open(name) }
	}
	f, err := open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only: nothing to lose
	return io.ReadAll(io.LimitReader(f, maxBytes+1))
}

// lookup finds an environment variable; the last of a name counts.
func (o *Options) lookup(name string) (value string, ok bool) {
	for _, e := range o.Environ {
		if n, v, found := strings.Cut(e, "="); found && n == name {
			value, ok = v, true
		}
	}
	return value, ok
}

// unambiguous refuses a struct two of whose paths have one variable.
func (s *shape) unambiguous(prefix string) error {
	paths := map[string]string{}
	var err error
	s.variables(prefix, "", func(name, path string, _ *shape) {
		if other, ok := paths[name]; ok {
			err = errors.Join(err, fmt.Errorf("config: %s and %s have one variable, %s", other, path, name))
		}
		paths[name] = path
	})
	return err
}
