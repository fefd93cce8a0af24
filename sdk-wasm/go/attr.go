package heddle

import (
	"math"
	"unsafe"
)

// AttrType is the type of an attribute's value.
type AttrType uint8

// The types of attributes.
const (
	AttrNone  AttrType = iota // the event does not have it
	AttrBool                  // true or false
	AttrInt                   // a whole number that fits into 64 bits
	AttrFloat                 // any other number
	AttrText                  // a string
	AttrJSON                  // an object or array
)

// String is the type's name.
func (t AttrType) String() string {
	switch t {
	case AttrNone:
		return "none"
	case AttrBool:
		return "bool"
	case AttrInt:
		return "int"
	case AttrFloat:
		return "float"
	case AttrText:
		return "text"
	case AttrJSON:
		return "json"
	}
	return "unknown"
}

// Attr is a typed value beside the payload: one that the manifest declares by a path
// into it, or that a plugin in front of this one has set. It is good for as long as
// its event. The zero Attr is one that is not there.
type Attr struct{ a *attribute }

// Attr is the attribute of that name; its type is AttrNone if the event does not
// have it.
func (e *Event) Attr(name string) Attr {
	at := e.attributes()
	for range e.r.attributes {
		a := (*attribute)(at)
		if int(a.name) == len(name) && a.text(0, uint64(a.name)) == name {
			return Attr{a}
		}
		at = unsafe.Add(at, a.size)
	}
	return Attr{}
}

// Attrs are all attributes, those that the manifest declares first and in its order,
// also where the event does not have them.
func (e *Event) Attrs() func(yield func(Attr) bool) {
	return func(yield func(Attr) bool) {
		at := e.attributes()
		for range e.r.attributes {
			a := (*attribute)(at)
			if !yield(Attr{a}) {
				return
			}
			at = unsafe.Add(at, a.size)
		}
	}
}

func (e *Event) attributes() unsafe.Pointer {
	return unsafe.Add(unsafe.Pointer(e.r), e.r.refs[refAttributes].from)
}

// Has reports whether the event has the attribute.
func (e *Event) Has(name string) bool { return e.Attr(name).Type() != AttrNone }

// Bool is the attribute's value; false also if it is not there, or no bool.
func (e *Event) Bool(name string) bool { return e.Attr(name).Bool() }

// Int is the attribute's value; 0 also if it is not there, or no int.
func (e *Event) Int(name string) int64 { return e.Attr(name).Int() }

// Float is the attribute's value, an int's too; 0 also if it is not there, or no number.
func (e *Event) Float(name string) float64 { return e.Attr(name).Float() }

// Text is the attribute's value; "" also if it is not there, or no text.
func (e *Event) Text(name string) string { return e.Attr(name).Text() }

// JSON is the attribute's value; nil if it is not there, or no object or array.
func (e *Event) JSON(name string) []byte { return e.Attr(name).JSON() }

// Name is the attribute's.
func (a Attr) Name() string {
	if a.a == nil {
		return ""
	}
	return a.a.text(0, uint64(a.a.name))
}

// Type is that of its value.
func (a Attr) Type() AttrType {
	if a.a == nil {
		return AttrNone
	}
	return a.a.kind
}

// Bool is the value of a bool, else false.
func (a Attr) Bool() bool { return a.Type() == AttrBool && a.a.value != 0 }

// Int is the value of an int, else 0.
func (a Attr) Int() int64 {
	if a.Type() != AttrInt {
		return 0
	}
	return int64(a.a.value)
}

// Float is the value of a number, else 0.
func (a Attr) Float() float64 {
	switch a.Type() {
	case AttrFloat:
		return math.Float64frombits(a.a.value)
	case AttrInt:
		return float64(int64(a.a.value))
	}
	return 0
}

// Text is the value of a text, else "".
func (a Attr) Text() string {
	if a.Type() != AttrText {
		return ""
	}
	return a.a.text(a.a.name, a.a.value)
}

// JSON is the value of an object or array, else nil. It is not to be changed.
func (a Attr) JSON() []byte {
	if a.Type() != AttrJSON {
		return nil
	}
	return view(a.a.text(a.a.name, a.a.value))
}
