package validate

import (
	"strconv"
	"strings"

	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/jsonscan"
)

// Refusals are made where a value is wrong, without a path; every level around it
// adds its own part on the way out, so that nothing is kept for paths on the way
// in.

// inside puts part before the path of a refusal.
func inside(bad *fault.Error, part string) {
	switch {
	case bad.Field == "":
		bad.Field = part
	case bad.Field[0] == '[':
		bad.Field = part + bad.Field
	default:
		bad.Field = part + "." + bad.Field
	}
}

// excerpt is a key that a stranger chose, short enough for a path.
func excerpt(key []byte) string {
	const longest = 64
	if len(key) <= longest {
		return string(key)
	}
	return strings.ToValidUTF8(string(key[:longest]), "") + "…"
}

func broken(p jsonscan.Problem) *fault.Error {
	if p == jsonscan.OK {
		return nil
	}
	return fault.New(fault.Malformed, "", p.String())
}

// begins checks that a container of the right kind begins at i, with depth others
// around it.
func begins(b []byte, i int, open byte, what string, depth int) *fault.Error {
	switch {
	case i >= len(b):
		return broken(jsonscan.Truncated)
	case b[i] != open:
		return mustBe(what)
	case depth >= jsonscan.MaxDepth:
		return broken(jsonscan.TooDeep)
	}
	return nil
}

func mustBe(what string) *fault.Error {
	return fault.New(fault.Invalid, "", "must be "+what)
}

func tooLarge(limit int64, of string) *fault.Error {
	return fault.New(fault.TooLarge, "", "must be at most "+strconv.FormatInt(limit, 10)+of)
}

func atLeast(n, least int64, of string) *fault.Error {
	if n >= least {
		return nil
	}
	return fault.New(fault.Invalid, "", "must be at least "+strconv.FormatInt(least, 10)+of)
}

func between(low, high int64) *fault.Error {
	return mustBe("between " + strconv.FormatInt(low, 10) + " and " + strconv.FormatInt(high, 10))
}

func list(words []string) string { return strings.Join(words, ", ") }
