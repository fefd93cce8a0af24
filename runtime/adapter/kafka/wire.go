package kafka

import (
	"encoding/binary"
	"errors"

	"github.com/heddle-rt/heddle/runtime/adapter/codec"
	"github.com/heddle-rt/heddle/runtime/event"
)

// Records of the topic begin with these two bytes, a version, and what they are. What
// begins otherwise is not Heddle's, and skipped by all who read.
const (
	magic0, magic1 = 'h', 'd'

	kindTerm  = 't' // begins a term
	kindEvent = 'e' // holds an event

	headerBytes = 4
)

// A message is one record of the topic, without the event that it may hold.
type message struct {
	kind byte
	term uint64 // of an event
	seq  uint64 // of an event: its place in its term, from 1
	node string // of a term: who has begun it
	rest []byte // of an event: what parse reads
}

// appendTerm encodes the beginning of a term.
func appendTerm(b []byte, node string) []byte {
	return codec.AppendText(append(b, magic0, magic1, codec.Version, kindTerm), node)
}

// appendEvent encodes an event.
func appendEvent(b []byte, term, seq uint64, r *event.Record) []byte {
	b = append(b, magic0, magic1, codec.Version, kindEvent)
	b = binary.AppendUvarint(b, term)
	b = binary.AppendUvarint(b, seq)
	b = codec.AppendText(codec.AppendText(b, r.Tenant), r.Room)
	b = binary.AppendUvarint(b, r.Offset)
	return codec.AppendRecord(b, r)
}

var errForeign = errors.New("a record that Heddle has not written")

// ErrNewer is of a record that this version of Heddle does not understand.
var ErrNewer = errors.New("a record of a newer version of Heddle")

// parse reads what all records have; that of an event only as far as it tells whether
// the event counts.
func parse(value []byte) (m message, err error) {
	switch {
	case len(value) < headerBytes || value[0] != magic0 || value[1] != magic1:
		return m, errForeign
	case value[2] > codec.Version:
		return m, ErrNewer
	}
	m.kind = value[3]
	rest := value[headerBytes:]
	switch m.kind {
	case kindTerm:
		d := codec.Bare(rest)
		m.node = d.Text()
		return m, d.Done()
	case kindEvent:
		for _, n := range [...]*uint64{&m.term, &m.seq} {
			v, size := binary.Uvarint(rest)
			if size <= 0 {
				return m, codec.ErrCorrupt
			}
			*n, rest = v, rest[size:]
		}
		m.rest = rest
		return m, nil
	}
	return m, errForeign
}

// event reads the event.
func (m *message) event() (r event.Record, err error) {
	d := codec.Bare(m.rest)
	r.Tenant, r.Room, r.Offset = d.Text(), d.Text(), d.Uvarint()
	d.Record(&r)
	return r, d.Done()
}
