package config

import (
	"slices"
	"strings"
)

// checker is what a struct implements to check its fields against each other.
// The path that it reports is relative to the struct, and may be empty; values
// that do not fit each other have theirs joined by " and ", and the fault stands
// where the first of them that was said was said. It must
// bear fields that were faulty and have their defaults instead, change nothing,
// and repeat no secret.
type checker interface {
	Check(report func(path, problem string))
}

// check runs the Checks of all structs, the inner ones first. What they say of
// a path that is known to be faulty, or of a section with something faulty in it, is
// dropped: it follows from a value that nobody said, and would hide the cause.
func (d *decoder) check() {
	known := d.faults
	for _, c := range d.checks {
		target, ok := c.value.Addr().Interface().(checker)
		if !ok {
			continue
		}
		d.ask(target, func(path, problem string) {
			var paths []string
			for p := range strings.SplitSeq(path, " and ") {
				at := c.path
				if p != "" {
					at = d.spelt(join(at, p))
				}
				if d.consequence(at, known) {
					return
				}
				paths = append(paths, at)
			}
			d.faults = append(d.faults, Fault{Origin: d.first(paths), Path: strings.Join(paths, " and "), Problem: problem})
		})
	}
}

// spelt is a path with the keys of maps as paths have them, where a Check has put one
// together from names as they are: rooms.bad type is rooms["bad type"].
func (d *decoder) spelt(path string) string {
	best, found := 0, path
	for p := range d.marks {
		if i := strings.Index(p, `["`); i < 0 || i > len(path) || p[:i] != path[:i] {
			continue
		}
		keys, err := split(p)
		if err != nil { // of a list
			continue
		}
		if raw := strings.Join(keys, "."); len(raw) > best && within(path, raw) {
			best, found = len(raw), p+path[len(raw):]
		}
	}
	return found
}

// consequence reports whether a path is known to be faulty, or a part of it. What is
// said of a name, and not of an option, may be about the name.
func (d *decoder) consequence(path string, known []Fault) bool {
	return slices.ContainsFunc(known, func(f Fault) bool {
		return f.Path != "" && (within(path, f.Path) || path != "" && !d.named[path] && within(f.Path, path))
	})
}

// ask runs one Check. One that stumbles over values that are known to be faulty
// must not hide the faults; otherwise its panic is the program's.
func (d *decoder) ask(target checker, report func(path, problem string)) {
	if len(d.faults) > 0 {
		defer func() { _ = recover() }()
	}
	target.Check(report)
}

// first is the origin of the first path that was said itself, else of what is
// around the first one.
func (d *decoder) first(paths []string) Origin {
	for _, p := range paths {
		if m := d.marks[p]; m.origin.said() {
			return m.origin
		}
	}
	return d.nearest(paths[0])
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
