package hostapi

import (
	"encoding/binary"
	"errors"
	"math"
)

// errRecord is a record that no host writes.
var errRecord = errors.New("hostapi: no record")

// ReadRecord reads what Put has written, as a guest would, and returns what is
// behind it: for tools that show batches, and for tests.
func ReadRecord(b []byte) (r Record, rest []byte, err error) {
	le := binary.LittleEndian
	if len(b) < HeaderSize {
		return r, nil, errRecord
	}
	size := int(le.Uint32(b))
	if size < HeaderSize || size > len(b) || size%8 != 0 || int(le.Uint16(b[4:])) < HeaderSize {
		return r, nil, errRecord
	}
	b, rest = b[:size], b[size:]
	var refs [references][]byte
	for i := range refs {
		from, n := uint64(le.Uint32(b[atReferences+8*i:])), uint64(le.Uint32(b[atReferences+8*i+4:]))
		if from+n > uint64(size) {
			return r, nil, errRecord
		}
		refs[i] = b[from : from+n]
	}
	r = Record{
		Hook: Hook(b[atHook]), Codec: Codec(b[atCodec]), Flags: le.Uint32(b[atFlags:]), Attempt: le.Uint32(b[atAttempt:]),
		Sequence: le.Uint64(b[atSequence:]), Time: int64(le.Uint64(b[atTime:])), Connection: le.Uint64(b[atConnection:]),
		Tenant: string(refs[0]), User: string(refs[1]), Device: string(refs[2]), Room: string(refs[3]), Action: string(refs[4]), ID: string(refs[5]),
		Whole: int(le.Uint32(b[atWhole:])), Payload: refs[7],
	}
	for attrs := refs[6]; len(attrs) > 0; {
		a, behind, err := readAttribute(attrs)
		if err != nil {
			return r, nil, err
		}
		r.Attributes, attrs = append(r.Attributes, a), behind
	}
	if len(r.Attributes) != int(le.Uint32(b[atAttributes:])) {
		return r, nil, errRecord
	}
	return r, rest, nil
}

func readAttribute(b []byte) (a Attribute, rest []byte, err error) {
	le := binary.LittleEndian
	if len(b) < attrHeader {
		return a, nil, errRecord
	}
	size, name, value := int(le.Uint32(b)), int(le.Uint16(b[6:])), le.Uint64(b[8:])
	if size < attrHeader+name || size > len(b) || size%8 != 0 {
		return a, nil, errRecord
	}
	a.Type, a.Name = AttrType(b[4]), string(b[attrHeader:attrHeader+name])
	switch a.Type {
	case AttrBool, AttrInt:
		a.Int = int64(value)
	case AttrFloat:
		a.Float = math.Float64frombits(value)
	case AttrString, AttrJSON:
		if value > uint64(size-attrHeader-name) {
			return a, nil, errRecord
		}
		a.Text = b[attrHeader+name : attrHeader+name+int(value)]
	}
	return a, b[size:], nil
}
