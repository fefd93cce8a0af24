package authenticate

import (
	"fmt"
	"strings"

	"github.com/heddle-rt/heddle/runtime/jsonscan"
)

// flaw is what is wrong with a document, as an error for the log. One that is no
// JSON has a problem; the others have a pointer, empty for the document itself.
type flaw struct {
	problem jsonscan.Problem
	twice   bool   // a name; else a value of the wrong type
	pointer string // RFC 6901
	at      int    // bytes into the document
}

func broken(p jsonscan.Problem, at int) *flaw { return &flaw{problem: p, at: at} }

func wrongType(at int) *flaw { return &flaw{at: at} }

func twice(name []byte, at int) *flaw { return (&flaw{twice: true, at: at}).inside(string(name)) }

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// inside says in which member or element the flaw is; the innermost comes first.
func (f *flaw) inside(name string) *flaw {
	f.pointer = "/" + pointerEscapes.Replace(name) + f.pointer
	return f
}

func (f *flaw) Error() string {
	switch {
	case f.problem != jsonscan.OK:
		return fmt.Sprintf("byte %d: %s", f.at, f.problem)
	case f.twice:
		return fmt.Sprintf("byte %d: the name %q comes twice", f.at, f.pointer)
	}
	return fmt.Sprintf("byte %d: wrong type of %q", f.at, f.pointer)
}

// refuse says it to the client; what is the document's name.
func (f *flaw) refuse(what string) error {
	what += " of the token"
	switch {
	case f.problem == jsonscan.TooDeep || f.problem == jsonscan.BadNumber:
		return refuse(what+" is not valid JSON: "+f.problem.String(), f)
	case f.problem != jsonscan.OK:
		return refuse(what+" is not valid JSON", f)
	case f.twice:
		return refuse(what+" has a name twice: "+quote(f.pointer), f)
	case f.pointer == "":
		return refuse(what+" is not a JSON object", f)
	}
	return refuse(what+" has a member of the wrong type: "+quote(f.pointer), f)
}
