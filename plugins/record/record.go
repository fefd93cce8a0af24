package record

import (
	"math"
	"strconv"
	"strings"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/runtime/jsonscan"
)

// Shape is what a manifest wants of payloads. It is safe for concurrent use.
type Shape struct {
	payload manifest.Payload
	names   []string
	paths   [][]step
}

// step is one name of a path, or an element's number.
type step struct {
	name  string
	index int // -1 if it is no number
}

// Of reads what a manifest says.
func Of(m *manifest.Manifest) *Shape {
	s := &Shape{payload: m.Payload}
	for _, a := range m.Attributes {
		var path []step
		for part := range strings.SplitSeq(a.Path, ".") {
			n, err := strconv.Atoi(part)
			if err != nil || n < 0 {
				n = -1
			}
			path = append(path, step{part, n})
		}
		s.names, s.paths = append(s.names, a.Name), append(s.paths, path)
	}
	return s
}

// Fill sets the payload of a record, and its attributes: those of the manifest first,
// then more. The record refers to data. full is the payload whole, for the guest to
// ask for.
func (s *Shape) Fill(r *hostapi.Record, data []byte, more ...hostapi.Attribute) (full []byte) {
	r.Whole, r.Payload = len(data), nil
	switch {
	case s.payload == manifest.Full || int(s.payload) >= len(data):
		r.Payload = data
	case s.payload > 0:
		r.Payload = data[:s.payload]
		r.Flags |= hostapi.FlagPrefix
	}
	if r.Payload == nil {
		r.Codec = hostapi.CodecNone
	}
	r.Attributes = r.Attributes[:0]
	for i := range s.paths {
		a := find(data, s.paths[i])
		a.Name = s.names[i]
		r.Attributes = append(r.Attributes, a)
	}
	r.Attributes = append(r.Attributes, more...)
	return data
}

// find is the value at a path; of type AttrNone if there is none.
func find(data []byte, path []step) hostapi.Attribute {
	at := jsonscan.Space(data, 0)
	for _, s := range path {
		var ok bool
		if at, ok = s.enter(data, at); !ok {
			return hostapi.Attribute{}
		}
	}
	return value(data, at)
}

// enter goes to the value of a member or element of the container at i.
func (s *step) enter(b []byte, i int) (int, bool) {
	if i >= len(b) {
		return i, false
	}
	switch b[i] {
	case '{':
		return s.member(b, i)
	case '[':
		return s.element(b, i)
	}
	return i, false
}

// member finds the last member of the name, as most readers of JSON do: a plugin must
// not be shown another value than who reads the payload.
func (s *step) member(b []byte, i int) (at int, found bool) {
	i, more := jsonscan.First(b, i, '}')
	for more {
		end, escaped, p := jsonscan.String(b, i)
		if p != jsonscan.OK {
			return i, false
		}
		name := b[i+1 : end-1]
		if i, p = jsonscan.Colon(b, end); p != jsonscan.OK {
			return i, false
		}
		if string(name) == s.name || escaped && string(jsonscan.AppendUnescaped(nil, name)) == s.name {
			at, found = i, true
		}
		if i, p = jsonscan.Value(b, i, 0); p != jsonscan.OK {
			return i, false
		}
		if i, more, p = jsonscan.Next(b, i, '}'); p != jsonscan.OK {
			return i, false
		}
	}
	return at, found
}

func (s *step) element(b []byte, i int) (int, bool) {
	i, more := jsonscan.First(b, i, ']')
	for n := 0; more && s.index >= 0; n++ {
		if n == s.index {
			return i, true
		}
		var p jsonscan.Problem
		if i, p = jsonscan.Value(b, i, 0); p != jsonscan.OK {
			return i, false
		}
		if i, more, p = jsonscan.Next(b, i, ']'); p != jsonscan.OK {
			return i, false
		}
	}
	return i, false
}

// value makes an attribute of the value that begins at i. Texts without escapes, which
// most are, refer to b.
func value(b []byte, i int) (a hostapi.Attribute) {
	if i < len(b) && b[i] == '"' {
		end, escaped, p := jsonscan.String(b, i)
		if p != jsonscan.OK {
			return a
		}
		if a.Type, a.Text = hostapi.AttrString, b[i+1:end-1:end-1]; escaped {
			a.Text = jsonscan.AppendUnescaped([]byte{}, a.Text)
		}
		return a
	}
	end, p := jsonscan.Value(b, i, 0)
	if p != jsonscan.OK {
		return a
	}
	switch raw := b[i:end]; raw[0] {
	case 't':
		a.Type, a.Int = hostapi.AttrBool, 1
	case 'f':
		a.Type = hostapi.AttrBool
	case '{', '[':
		a.Type, a.Text = hostapi.AttrJSON, raw
	case 'n':
	default:
		if n, ok := jsonscan.Int(raw); ok {
			a.Type, a.Int = hostapi.AttrInt, n
		} else if f, err := strconv.ParseFloat(string(raw), 64); err == nil && !math.IsInf(f, 0) {
			a.Type, a.Float = hostapi.AttrFloat, f
		}
	}
	return a
}
