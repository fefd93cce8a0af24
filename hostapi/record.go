package hostapi

import (
	"encoding/binary"
	"math"
)

// HeaderSize is that of this version's records.
const HeaderSize = 112

const (
	atHook       = 6
	atCodec      = 7
	atFlags      = 8
	atAttempt    = 12
	atSequence   = 16
	atTime       = 24
	atConnection = 32
	atWhole      = 40
	atAttributes = 44
	atReferences = 48
	references   = 8
)

// Record is one event for a guest. Strings and bytes are copied into the arena.
type Record struct {
	Hook       Hook
	Codec      Codec
	Flags      uint32
	Attempt    uint32
	Sequence   uint64
	Time       int64 // Unix milliseconds
	Connection uint64
	Tenant     string
	User       string
	Device     string
	Room       string
	Action     string
	ID         string
	Attributes []Attribute
	Payload    []byte // all of it, or its beginning
	Whole      int    // bytes of the payload, whole
}

// AttrType is the type of an attribute's value.
type AttrType uint8

const (
	AttrNone   AttrType = iota // the event does not have it
	AttrBool                   // 0 or 1
	AttrInt                    // i64
	AttrFloat                  // f64
	AttrString                 // UTF-8
	AttrJSON                   // an object or array
)

// Attribute is a typed value beside the payload.
type Attribute struct {
	Name  string
	Type  AttrType
	Int   int64   // of AttrBool and AttrInt
	Float float64 // of AttrFloat
	Text  []byte  // of AttrString and AttrJSON
}

const attrHeader = 16

func (a *Attribute) size() int { return align(attrHeader + len(a.Name) + len(a.Text)) }

func align(n int) int { return (n + 7) &^ 7 }

// Size is how many bytes the record takes in an arena.
func (r *Record) Size() int {
	n := HeaderSize
	for _, s := range r.texts() {
		n += len(s)
	}
	n = align(n)
	for i := range r.Attributes {
		n += r.Attributes[i].size()
	}
	return n + align(len(r.Payload))
}

func (r *Record) texts() [6]string {
	return [...]string{r.Tenant, r.User, r.Device, r.Room, r.Action, r.ID}
}

// Put writes the record at the beginning of b, which has Size bytes, and says how
// many these are. What b held before does not show.
func (r *Record) Put(b []byte) int {
	le := binary.LittleEndian
	at, ref := HeaderSize, atReferences
	for _, s := range r.texts() {
		le.PutUint32(b[ref:], uint32(at))
		le.PutUint32(b[ref+4:], uint32(len(s)))
		at += copy(b[at:], s)
		ref += 8
	}
	at = pad(b, at)
	le.PutUint32(b[ref:], uint32(at))
	from := at
	for i := range r.Attributes {
		at += r.Attributes[i].put(b[at:])
	}
	le.PutUint32(b[ref+4:], uint32(at-from))
	le.PutUint32(b[ref+8:], uint32(at))
	le.PutUint32(b[ref+12:], uint32(len(r.Payload)))
	at = pad(b, at+copy(b[at:], r.Payload))

	le.PutUint32(b, uint32(at))
	le.PutUint16(b[4:], HeaderSize)
	b[atHook], b[atCodec] = byte(r.Hook), byte(r.Codec)
	le.PutUint32(b[atFlags:], r.Flags)
	le.PutUint32(b[atAttempt:], r.Attempt)
	le.PutUint64(b[atSequence:], r.Sequence)
	le.PutUint64(b[atTime:], uint64(r.Time))
	le.PutUint64(b[atConnection:], r.Connection)
	le.PutUint32(b[atWhole:], uint32(r.Whole))
	le.PutUint32(b[atAttributes:], uint32(len(r.Attributes)))
	return at
}

func (a *Attribute) put(b []byte) int {
	le := binary.LittleEndian
	size := a.size()
	value := uint64(a.Int)
	switch a.Type {
	case AttrFloat:
		value = math.Float64bits(a.Float)
	case AttrString, AttrJSON:
		value = uint64(len(a.Text))
	}
	le.PutUint32(b, uint32(size))
	b[4], b[5] = byte(a.Type), 0
	le.PutUint16(b[6:], uint16(len(a.Name)))
	le.PutUint64(b[8:], value)
	at := attrHeader + copy(b[attrHeader:], a.Name)
	at += copy(b[at:], a.Text)
	pad(b, at)
	return size
}

// pad writes zeros up to the next multiple of 8, and returns that.
func pad(b []byte, at int) int {
	end := align(at)
	clear(b[at:end])
	return end
}
