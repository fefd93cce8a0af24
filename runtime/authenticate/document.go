package authenticate

import (
	"hash/maphash"
	"strconv"
	"unicode/utf8"

	"github.com/heddle-rt/heddle/runtime/jsonscan"
)

// memberReader takes the members of one object.
type memberReader interface {
	// member reads the value at i, which d.value passes over if it is not wanted, and
	// returns the index behind it. name and what d stores are pieces of d's buffers.
	member(d *document, name []byte, i int) (int, *flaw)
}

// document reads JSON texts in the strict form of RFC 7493, which refuses what
// jsonscan does, and names that come twice in an object. It writes nothing to a
// text; what is stored are pieces of it, or of buffers that are used again.
type document struct {
	text    []byte
	names   nameSet
	objects uint64   // that have begun so far
	scratch []byte   // names and strings without their escapes
	list    [][]byte // elements of the arrays of strings
}

func newDocument() document {
	return document{names: nameSet{seed: maphash.MakeSeed(), buckets: make([]uint32, minBuckets), names: make([]seenName, 0, 16)}}
}

// reset lets go of the texts; the buffers stay.
func (d *document) reset() {
	d.text, d.scratch, d.list = nil, d.scratch[:0], d.list[:0]
	d.names.forget()
}

// read hands the members of the object that text holds to r; null counts as an
// object without any. What r has stored stays good until reset.
func (d *document) read(text []byte, r memberReader) *flaw {
	d.text, d.objects = text, 0
	d.names.reset(len(text))
	if !utf8.Valid(text) {
		return broken(jsonscan.BadUTF8, 0)
	}
	i := jsonscan.Space(text, 0)
	var bad *flaw
	if i < len(text) && text[i] == '{' {
		i, bad = d.object(i, 0, r)
	} else {
		i, bad = d.null(i)
	}
	if bad != nil {
		return bad
	}
	if i = jsonscan.Space(text, i); i != len(text) {
		return broken(jsonscan.Trailing, i)
	}
	return nil
}

// value passes over the value at i, with depth containers around it. It calls
// itself for nested ones, at most to jsonscan.MaxDepth.
func (d *document) value(i, depth int) (int, *flaw) {
	if i < len(d.text) {
		switch d.text[i] {
		case '{':
			return d.object(i, depth, nil)
		case '[':
			return d.array(i, depth)
		}
	}
	end, p := jsonscan.Value(d.text, i, depth)
	if p != jsonscan.OK {
		return end, broken(p, end)
	}
	return end, nil
}

// object reads the object at i. Without r its members are passed over.
func (d *document) object(i, depth int, r memberReader) (int, *flaw) {
	if depth >= jsonscan.MaxDepth {
		return i, broken(jsonscan.TooDeep, i)
	}
	d.objects++
	object := d.objects
	i, more := jsonscan.First(d.text, i, '}')
	for more {
		name, at, bad := d.name(object, i)
		if bad != nil {
			return at, bad
		}
		var end int
		if r != nil {
			end, bad = r.member(d, name, at)
		} else {
			end, bad = d.value(at, depth+1)
		}
		if bad != nil {
			return end, bad.inside(string(name))
		}
		var p jsonscan.Problem
		if i, more, p = jsonscan.Next(d.text, end, '}'); p != jsonscan.OK {
			return i, broken(p, i)
		}
	}
	return i, nil
}

// name reads a member's name, and goes to its value.
func (d *document) name(object uint64, i int) (name []byte, _ int, _ *flaw) {
	switch {
	case i >= len(d.text):
		return nil, i, broken(jsonscan.Truncated, i)
	case d.text[i] != '"':
		return nil, i, broken(jsonscan.Syntax, i)
	}
	end, bad := d.quoted(i, &name)
	if bad != nil {
		return nil, end, bad
	}
	if !d.names.add(object, name) {
		return nil, i, twice(name, i)
	}
	i, p := jsonscan.Colon(d.text, end)
	if p != jsonscan.OK {
		return nil, i, broken(p, i)
	}
	return name, i, nil
}

// quoted stores what the string at i says.
func (d *document) quoted(i int, to *[]byte) (int, *flaw) {
	end, escaped, p := jsonscan.String(d.text, i)
	if p != jsonscan.OK {
		return end, broken(p, end)
	}
	*to = d.text[i+1 : end-1]
	if escaped {
		from := len(d.scratch)
		d.scratch = jsonscan.AppendUnescaped(d.scratch, *to)
		*to = d.scratch[from:]
	}
	return end, nil
}

func (d *document) array(i, depth int) (int, *flaw) {
	if depth >= jsonscan.MaxDepth {
		return i, broken(jsonscan.TooDeep, i)
	}
	i, more := jsonscan.First(d.text, i, ']')
	for n := 0; more; n++ {
		end, bad := d.value(i, depth+1)
		if bad != nil {
			return end, bad.inside(strconv.Itoa(n))
		}
		var p jsonscan.Problem
		if i, more, p = jsonscan.Next(d.text, end, ']'); p != jsonscan.OK {
			return i, broken(p, i)
		}
	}
	return i, nil
}

// null passes over null; another value, once it is known to be one, is of the
// wrong type. It is refused at any depth, so that the depth here is about right.
func (d *document) null(i int) (int, *flaw) {
	end, bad := d.value(i, 1)
	if bad == nil && d.text[i] != 'n' {
		bad = wrongType(i)
	}
	return end, bad
}

// string stores the string at i, a piece of the text, or nothing for null.
func (d *document) string(i int, to *[]byte) (int, *flaw) {
	if i >= len(d.text) || d.text[i] != '"' {
		return d.null(i)
	}
	return d.quoted(i, to)
}

// strings stores the array of strings at i, or nothing for null. A null among the
// strings is an empty one.
func (d *document) strings(i int, to *[][]byte) (int, *flaw) {
	if i >= len(d.text) || d.text[i] != '[' {
		return d.null(i)
	}
	from := len(d.list)
	i, more := jsonscan.First(d.text, i, ']')
	for n := 0; more; n++ {
		var s []byte
		end, bad := d.string(i, &s)
		if bad != nil {
			return end, bad.inside(strconv.Itoa(n))
		}
		d.list = append(d.list, s)
		var p jsonscan.Problem
		if i, more, p = jsonscan.Next(d.text, end, ']'); p != jsonscan.OK {
			return i, broken(p, i)
		}
	}
	*to = d.list[from:len(d.list):len(d.list)]
	return i, nil
}

// number stores the number at i, or nothing for null.
func (d *document) number(i int, to *float64) (int, *flaw) {
	if i >= len(d.text) || d.text[i] != '-' && d.text[i]-'0' > 9 {
		return d.null(i)
	}
	end, _, p := jsonscan.Number(d.text, i)
	if p != jsonscan.OK {
		return end, broken(p, end)
	}
	if n, fits := jsonscan.Int(d.text[i:end]); fits {
		*to = float64(n)
		return end, nil
	}
	f, err := strconv.ParseFloat(string(d.text[i:end]), 64)
	if err != nil {
		return end, broken(jsonscan.BadNumber, i)
	}
	*to = f
	return end, nil
}
