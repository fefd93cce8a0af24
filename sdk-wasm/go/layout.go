package heddle

import "unsafe"

// What lies in the arenas, as Go's own structs: all numbers are little-endian and
// aligned, as WebAssembly's are, so that a field is one load. docs/PLUGINS.md has the
// bytes.

// reference is where something lies, from the beginning of what refers to it.
type reference struct{ from, size uint32 }

// record is the header of an event. A later version's is longer; what the
// references name lies behind it, wherever that is.
type record struct {
	size       uint32
	header     uint16
	hook       Hook
	codec      Codec
	flags      uint32
	attempt    uint32
	sequence   uint64
	time       int64
	connection uint64
	whole      uint32
	attributes uint32
	refs       [8]reference
}

// The references of a record.
const (
	refTenant = iota
	refUser
	refDevice
	refRoom
	refAction
	refID
	refAttributes
	refPayload
)

// Flags of a record.
const (
	flagDurable = 1 << iota
	flagPrefix
	flagServer
)

// attribute is the header of one; its name and its text follow.
type attribute struct {
	size  uint32
	kind  AttrType
	_     uint8
	name  uint16
	value uint64
}

// action is the header of what a plugin wants done.
type action struct {
	size   uint32
	kind   kind
	record uint16
	flags  uint32
	code   uint32
	number int64
	refs   [4]reference
}

const (
	attributeSize = int(unsafe.Sizeof(attribute{}))
	actionSize    = int(unsafe.Sizeof(action{}))
)

// text is what a reference of the record names.
func (r *record) text(ref int) string {
	at := r.refs[ref]
	return unsafe.String((*byte)(unsafe.Add(unsafe.Pointer(r), at.from)), at.size)
}

// text is n bytes of the attribute, from an offset behind its header on.
func (a *attribute) text(from uint16, n uint64) string {
	return unsafe.String((*byte)(unsafe.Add(unsafe.Pointer(a), attributeSize+int(from))), n)
}

// view is a string's bytes, which are not to be changed.
func view(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// str is the bytes as a string, good for as long as they do not change.
func str(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// align is n, or the next multiple of 8.
func align(n int) int { return (n + 7) &^ 7 }
