package config

import "strings"

// checker is what a struct implements to check its fields against each other.
// The path that it reports is relative to the struct, and may be empty. It must
// bear fields that were faulty and have their defaults instead, change nothing,
// and repeat no secret.
type checker interface {
	Check(report func(path, problem string))
}

// check runs the Checks of all structs, the inner ones first. What they say of
// a path that is known to be faulty, or that holds one, is dropped: it follows
// from a value that nobody said.
func (d *decoder) check() {
	known := d.faults
	for _, c := range d.checks {
		target, ok := c.value.Addr().Interface().(checker)
		if !ok {
			continue
		}
		d.ask(target, func(path, problem string) {
			at := c.path
			if path != "" {
				at = join(at, path)
			}
			for _, f := range known {
				if f.Path != "" && (within(at, f.Path) || at != "" && within(f.Path, at)) {
					return
				}
			}
			d.faults = append(d.faults, Fault{Origin: d.nearest(at), Path: at, Problem: problem})
		})
	}
}

// ask runs one Check. One that stumbles over values that are known to be faulty
// must not hide the faults; otherwise its panic is the program's.
func (d *decoder) ask(target checker, report func(path, problem string)) {
	if len(d.faults) > 0 {
		defer func() { _ = recover() }()
	}
	target.Check(report)
}

// nearest is the origin of the innermost part of a path that was said.
func (d *decoder) nearest(path string) Origin {
	best, origin := -1, Origin{}
	for p, m := range d.marks {
		if len(p) > best && m.origin.said() && within(path, p) {
			best, origin = len(p), m.origin
		}
	}
	return origin
}

// within reports whether path is at or below outer.
func within(path, outer string) bool {
	rest, ok := strings.CutPrefix(path, outer)
	return ok && (outer == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}
