package directory

import (
	"encoding/binary"
	"time"

	"github.com/heddle-rt/heddle/runtime/adapter/codec"
	"github.com/heddle-rt/heddle/runtime/session"
)

// What a change is.
const (
	opened = 'o'
	closed = 'c'
	joined = 'j'
	left   = 'l'
	used   = 'u'
)

// change is one change of a node's sessions.
type change struct {
	kind  byte
	key   uint64 // of the session
	place session.Place
	age   time.Duration // since its client did something
	room  string
}

// append writes a change.
func (c *change) append(b []byte) []byte {
	b = binary.AppendUvarint(append(b, c.kind), c.key)
	switch c.kind {
	case opened:
		b = appendPlace(b, &c.place)
		b = appendAge(b, c.age)
	case used:
		b = appendAge(b, c.age)
	case joined, left:
		b = codec.AppendText(b, c.room)
	}
	return b
}

func readChange(d *codec.Decoder) (c change) {
	c.kind, c.key = d.Byte(), d.Uvarint()
	switch c.kind {
	case opened:
		c.place, c.age = readPlace(d), readAge(d)
	case used:
		c.age = readAge(d)
	case joined, left:
		c.room = d.Text()
	}
	return c
}

// appendPlace writes what a place holds beside its node.
func appendPlace(b []byte, p *session.Place) []byte {
	for _, s := range [...]string{p.Tenant, p.User, p.Device, p.Session} {
		b = codec.AppendText(b, s)
	}
	return binary.AppendUvarint(binary.AppendVarint(b, p.Opened), p.Generation)
}

func readPlace(d *codec.Decoder) session.Place {
	return session.Place{Tenant: d.Text(), User: d.Text(), Device: d.Text(), Session: d.Text(), Opened: d.Varint(), Generation: d.Uvarint()}
}

// Ages need no clocks that agree. Milliseconds are exact enough.
func appendAge(b []byte, age time.Duration) []byte {
	return binary.AppendUvarint(b, uint64(max(age, 0).Milliseconds()))
}

func readAge(d *codec.Decoder) time.Duration { return time.Duration(d.Uvarint()) * time.Millisecond }

// message is a broadcast.
type message struct {
	node, incarnation string
	before            uint64 // number of the last change before those that it has
	sum               uint64 // over all sessions, behind these
	changes           []change
	notes             []string
}

// last is the number of its last change.
func (m *message) last() uint64 { return m.before + uint64(len(m.changes)) }

func readMessage(b []byte) (m message, err error) {
	d := codec.Decode(b)
	m.node, m.incarnation, m.before, m.sum = d.Text(), d.Text(), d.Uvarint(), d.Uvarint()
	m.changes = make([]change, d.Count())
	for i := range m.changes {
		m.changes[i] = readChange(d)
	}
	for range d.Count() {
		m.notes = append(m.notes, d.Text())
	}
	return m, d.Done()
}

// pending is a message that is being made.
type pending struct {
	changes, notes     []byte
	changeNum, noteNum int
}

func (p *pending) change(c *change) {
	p.changes = c.append(p.changes)
	p.changeNum++
}

func (p *pending) note(b []byte) {
	p.notes = codec.AppendBytes(p.notes, b)
	p.noteNum++
}

func (p *pending) bytes() int { return len(p.changes) + len(p.notes) }

// message writes it; number is that of its last change.
func (p *pending) message(node, incarnation string, number, sum uint64) []byte {
	b := append(make([]byte, 0, 96+len(node)+p.bytes()), codec.Version)
	b = codec.AppendText(codec.AppendText(b, node), incarnation)
	b = binary.AppendUvarint(binary.AppendUvarint(b, number-uint64(p.changeNum)), sum)
	b = append(binary.AppendUvarint(b, uint64(p.changeNum)), p.changes...)
	return append(binary.AppendUvarint(b, uint64(p.noteNum)), p.notes...)
}

// row is a session in a snapshot.
type row struct {
	key   uint64
	place session.Place
	age   time.Duration
	rooms []string
}

func (r *row) append(b []byte) []byte {
	b = appendAge(appendPlace(binary.AppendUvarint(b, r.key), &r.place), r.age)
	b = binary.AppendUvarint(b, uint64(len(r.rooms)))
	for _, room := range r.rooms {
		b = codec.AppendText(b, room)
	}
	return b
}

// page is a part of a snapshot: sessions in the order of their keys, as they were behind
// the change with that number.
type page struct {
	incarnation string
	number, sum uint64
	more        bool
	rows        []row
}

// head writes what stands before its rows.
func (p *page) head(b []byte) []byte {
	b = codec.AppendText(append(b, codec.Version), p.incarnation)
	b = binary.AppendUvarint(binary.AppendUvarint(b, p.number), p.sum)
	if p.more {
		return append(b, 1)
	}
	return append(b, 0)
}

func readPage(b []byte) (p page, err error) {
	d := codec.Decode(b)
	p.incarnation, p.number, p.sum, p.more = d.Text(), d.Uvarint(), d.Uvarint(), d.Byte() != 0
	p.rows = make([]row, d.Count())
	for i := range p.rows {
		r := &p.rows[i]
		r.key, r.place, r.age = d.Uvarint(), readPlace(d), readAge(d)
		r.rooms = make([]string, d.Count())
		for j := range r.rooms {
			r.rooms[j] = d.Text()
		}
	}
	return p, d.Done()
}
