package validate

import (
	"strconv"
	"unicode/utf8"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/jsonscan"
)

// wholeData is where a refusal is of which no member of the data is the reason.
const wholeData = "payload.data"

// around is how many containers there are around the data: envelope and payload.
const around = 2

// maxInteger bounds Ints that declare no Max: what every client can represent.
const maxInteger = 1<<53 - 1

// Payload checks the JSON object data against spec, and calls set with the index
// and the raw JSON of each declared member that is there. The first error ends
// it: *fault.Error of kind Invalid, TooLarge, or Malformed if data is not JSON,
// in payload.data as a whole or with the path of the member ("data.text").
func Payload(spec event.Payload, data []byte, set func(field int, raw []byte)) error {
	if !utf8.Valid(data) {
		return fault.New(fault.Malformed, wholeData, jsonscan.BadUTF8.String())
	}
	i := jsonscan.Space(data, 0)
	end, bad := object(spec, data, i, around, set)
	if bad == nil && jsonscan.Space(data, end) != len(data) {
		bad = broken(jsonscan.Trailing)
	}
	switch {
	case bad == nil:
		return nil
	case bad.Field == "":
		bad.Field = wholeData
	default:
		inside(bad, "data")
	}
	return bad
}

// object checks the members of the object at i. Members that spec does not name
// are passed over, whatever they are. An object declares at most 64.
func object(spec event.Payload, b []byte, i, depth int, set func(int, []byte)) (int, *fault.Error) {
	if bad := begins(b, i, '{', "an object", depth); bad != nil {
		return i, bad
	}
	var seen uint64
	i, more := jsonscan.First(b, i, '}')
	for more {
		name, escaped, j, p := member(b, i)
		if p != jsonscan.OK {
			return j, broken(p)
		}
		end, n := 0, find(spec, name, escaped)
		if n < 0 {
			if end, p = jsonscan.Value(b, j, depth+1); p != jsonscan.OK {
				return end, broken(p)
			}
		} else {
			var bad *fault.Error
			if end, bad = once(&seen, n, &spec[n], b, j, depth+1); bad != nil {
				inside(bad, spec[n].Name)
				return end, bad
			}
			if set != nil {
				set(n, b[j:end:end])
			}
		}
		if i, more, p = jsonscan.Next(b, end, '}'); p != jsonscan.OK {
			return i, broken(p)
		}
	}
	for n := range spec {
		if spec[n].Required && seen&(1<<n) == 0 {
			return i, fault.New(fault.Invalid, spec[n].Name, "is missing")
		}
	}
	return i, nil
}

// member reads a member's name, still with its escapes, and goes to its value.
func member(b []byte, i int) (name []byte, escaped bool, _ int, _ jsonscan.Problem) {
	if i >= len(b) {
		return nil, false, i, jsonscan.Truncated
	}
	if b[i] != '"' {
		return nil, false, i, jsonscan.Syntax
	}
	end, escaped, p := jsonscan.String(b, i)
	if p != jsonscan.OK {
		return nil, false, end, p
	}
	name = b[i+1 : end-1]
	i, p = jsonscan.Colon(b, end)
	return name, escaped, i, p
}

func find(spec event.Payload, name []byte, escaped bool) int {
	if escaped {
		name = jsonscan.AppendUnescaped(nil, name)
	}
	for n := range spec {
		if spec[n].Name == string(name) {
			return n
		}
	}
	return -1
}

func once(seen *uint64, n int, f *event.Field, b []byte, i, depth int) (int, *fault.Error) {
	if *seen&(1<<n) != 0 {
		return i, fault.New(fault.Invalid, "", "is there twice")
	}
	*seen |= 1 << n
	return value(f, b, i, depth)
}

// value checks the value at i, and returns the index behind it. It calls itself
// as deep as the declaration is nested, not the input.
func value(f *event.Field, b []byte, i, depth int) (int, *fault.Error) {
	switch {
	case f == nil:
		end, p := jsonscan.Value(b, i, depth)
		return end, broken(p)
	case f.Kind == event.String:
		return str(f, b, i)
	case f.Kind == event.Int:
		return integer(f, b, i)
	case f.Kind == event.Bool:
		return boolean(b, i)
	case f.Kind == event.Array:
		return array(f, b, i, depth)
	case f.Kind == event.Map:
		return dictionary(f, b, i, depth)
	}
	var end int
	var bad *fault.Error
	if f.Kind == event.Object {
		end, bad = object(f.Fields, b, i, depth, nil)
	} else {
		end, bad = value(nil, b, i, depth)
	}
	if bad == nil && f.Max != 0 && int64(end-i) > f.Max {
		bad = tooLarge(f.Max, " bytes of JSON")
	}
	return end, bad
}

func array(f *event.Field, b []byte, i, depth int) (int, *fault.Error) {
	if bad := begins(b, i, '[', "an array", depth); bad != nil {
		return i, bad
	}
	n := int64(0)
	i, more := jsonscan.First(b, i, ']')
	for more {
		if n++; f.Max != 0 && n > f.Max {
			return i, tooLarge(f.Max, " elements")
		}
		end, bad := value(f.Elem, b, i, depth+1)
		if bad != nil {
			inside(bad, "["+strconv.FormatInt(n-1, 10)+"]")
			return end, bad
		}
		var p jsonscan.Problem
		if i, more, p = jsonscan.Next(b, end, ']'); p != jsonscan.OK {
			return i, broken(p)
		}
	}
	return i, atLeast(n, f.Min, " elements")
}

func dictionary(f *event.Field, b []byte, i, depth int) (int, *fault.Error) {
	if bad := begins(b, i, '{', "an object", depth); bad != nil {
		return i, bad
	}
	var keys keySet
	n := int64(0)
	i, more := jsonscan.First(b, i, '}')
	for more {
		if n++; f.Max != 0 && n > f.Max {
			return i, tooLarge(f.Max, " entries")
		}
		key, escaped, j, p := member(b, i)
		if p != jsonscan.OK {
			return j, broken(p)
		}
		if !keys.add(key, escaped) {
			return i, fault.New(fault.Invalid, excerpt(key), "is there twice")
		}
		if msg := format(f.Format, key); msg != "" {
			return i, fault.New(fault.Invalid, excerpt(key), msg)
		}
		end, bad := value(f.Elem, b, j, depth+1)
		if bad != nil {
			inside(bad, excerpt(key))
			return end, bad
		}
		if i, more, p = jsonscan.Next(b, end, '}'); p != jsonscan.OK {
			return i, broken(p)
		}
	}
	return i, atLeast(n, f.Min, " entries")
}
