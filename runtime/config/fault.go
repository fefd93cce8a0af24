package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Origin is where a value was said. The zero Origin is a default.
type Origin struct {
	File         string // the file's name
	Env          string // or the environment variable's name
	Flag         string // or the path that a flag sets
	Line, Column int    // from 1; 0 if the place has no lines
}

// String is "heddle.yaml:3:5", "env HEDDLE_LISTEN" or "--set listen".
func (o Origin) String() string {
	s := o.File
	switch {
	case o.Env != "":
		s = "env " + o.Env
	case o.Flag != "":
		s = "--set " + o.Flag
	}
	if s != "" && o.Line > 0 {
		s += fmt.Sprintf(":%d:%d", o.Line, o.Column)
	}
	return s
}

// said is false for what a default tag says.
func (o Origin) said() bool { return o.File != "" || o.Env != "" || o.Flag != "" }

// Fault is one thing that is wrong with a config.
type Fault struct {
	Origin  Origin // where it was said; the section, for a missing key
	Path    string // the config path, "socket.listen"; empty for the whole
	Problem string // one sentence without a full stop
}

// Error is "heddle.yaml:3:5: socket.listen: the problem".
func (f Fault) Error() string {
	var b strings.Builder
	if o := f.Origin.String(); o != "" {
		b.WriteString(o + ": ")
	}
	if f.Path != "" && f.Path != f.Origin.Flag {
		b.WriteString(f.Path + ": ")
	}
	b.WriteString(f.Problem)
	return b.String()
}

// Error is every fault of a config, in the order of the sources.
type Error struct {
	Faults []Fault
}

// shown bounds the text of an Error; Faults has them all.
const shown = 100

// Error has one fault a line.
func (e *Error) Error() string {
	var lines []string
	for _, f := range e.Faults[:min(len(e.Faults), shown)] {
		lines = append(lines, f.Error())
	}
	if more := len(e.Faults) - shown; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, "\n")
}

// sortFaults orders by source, then by place; files keep their order.
func sortFaults(faults []Fault, files []string) {
	rank := func(o Origin) int {
		switch {
		case o.Env != "":
			return len(files)
		case o.Flag != "":
			return len(files) + 1
		case o.File == "":
			return -1
		}
		return slices.Index(files, o.File)
	}
	slices.SortStableFunc(faults, func(a, b Fault) int {
		x, y := a.Origin, b.Origin
		return cmp.Or(
			rank(x)-rank(y), cmp.Compare(x.Env+x.Flag, y.Env+y.Flag),
			x.Line-y.Line, x.Column-y.Column, cmp.Compare(a.Path, b.Path),
		)
	})
}
