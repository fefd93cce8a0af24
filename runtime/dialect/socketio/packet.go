package socketio

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The types of packets, as digits.
const (
	Connect      = '0'
	Disconnect   = '1'
	Event        = '2'
	Ack          = '3'
	ConnectError = '4'
	BinaryEvent  = '5'
	BinaryAck    = '6'
)

// Packet is one packet taken apart.
type Packet struct {
	Type        byte
	Namespace   string // "/" if it names none
	Attachments int    // that follow
	ID          string // digits, "" for none
	Data        []byte // JSON, or nothing; part of what was read
}

// maxID is how many digits an id may have: a JavaScript number holds them exactly.
const maxID = 15

// maxName bounds the name of a namespace.
const maxName = 128

// ErrPacket is a packet that is none.
var ErrPacket = errors.New("not a packet of Socket.IO")

// ParsePacket takes a packet apart. Its data is not looked at beyond its first byte.
func ParsePacket(b []byte) (p Packet, _ error) {
	if len(b) == 0 || b[0] < Connect || b[0] > BinaryAck || !utf8.Valid(b) {
		return p, ErrPacket
	}
	p.Type, b = b[0], b[1:]
	if p.Type == BinaryEvent || p.Type == BinaryAck {
		digits, rest, ok := bytes.Cut(b, []byte{'-'})
		n, err := strconv.Atoi(string(digits))
		if !ok || err != nil || n < 0 || digits[0] < '0' || len(digits) > 4 {
			return p, ErrPacket
		}
		p.Attachments, b = n, rest
	}
	p.Namespace = "/"
	if len(b) > 0 && b[0] == '/' {
		name, rest, _ := bytes.Cut(b, []byte{','})
		if len(name) > maxName {
			return p, ErrPacket
		}
		// What stands behind a question mark was a query once; it names nothing.
		p.Namespace, _, _ = strings.Cut(string(name), "?")
		b = rest
	}
	i := 0
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	if i > maxID {
		return p, ErrPacket
	}
	p.ID, p.Data = string(b[:i]), b[i:]
	return p, p.check()
}

// check looks whether the parts fit the type.
func (p *Packet) check() error {
	first := byte(0)
	if len(p.Data) > 0 {
		first = p.Data[0]
	}
	ok := false
	switch p.Type {
	case Connect:
		ok = (first == 0 || first == '{') && p.ID == ""
	case Disconnect:
		ok = first == 0 && p.ID == ""
	case Event, BinaryEvent:
		ok = first == '['
	case Ack, BinaryAck:
		ok = first == '[' && p.ID != ""
	}
	if !ok { // ConnectError among them: servers send it
		return ErrPacket
	}
	return nil
}
