// Package frame holds one outbound WebSocket message, encoded once and shared by
// every connection that it goes to. A leaf: dialects build frames, sockets write
// them, nobody changes them.
package frame

import (
	"encoding/binary"
	"sync/atomic"
)

// Class decides what happens to a frame when a client is slow.
type Class uint8

const (
	// Control frames (replies, session events) are kept; too many close the
	// connection.
	Control Class = iota
	// Durable frames are kept; too many close the connection, and the client
	// resumes from its position.
	Durable
	// Ephemeral frames are merged by key or dropped first.
	Ephemeral
)

// Room for the longest unmasked header of RFC 6455 section 5.2.
const maxHeader = 10

// Frame is one final, unmasked WebSocket data message. Its bytes never change.
type Frame struct {
	buf      []byte // header right-aligned in the first maxHeader bytes, then the payload
	start    uint8  // where the header begins
	binary   bool
	class    Class
	key      string
	mark     Mark
	until    int64  // Unix milliseconds; 0: it may be sent at any time
	instead  *Frame // what is sent later
	parts    []*Frame
	deflated atomic.Pointer[[]byte]
}

// Mark names a durable event to a dialect whose clients tell by one word how far
// they have come: a hash of room and epoch, and the offset. The zero Mark is none.
type Mark struct {
	Room   uint64
	Offset uint64
}

// Begin returns a buffer to append a payload of about n bytes to; Finish takes it.
func Begin(n int) []byte { return make([]byte, maxHeader, maxHeader+n) }

// Finish makes a Frame of a buffer that came from Begin. Of two Ephemeral frames
// with the same key that wait in one queue, the newer replaces the older; an
// empty key merges with nothing.
func Finish(buf []byte, isBinary bool, class Class, key string) *Frame {
	op := byte(0x81)
	if isBinary {
		op = 0x82
	}
	f := &Frame{buf: buf, binary: isBinary, class: class, key: key}
	f.start = uint8(putHeader(buf, op))
	return f
}

// nothing stands for a frame that is not sent at all.
var nothing = &Frame{}

// Join makes one Frame of messages that are to follow each other without another one
// between them. It is queued, merged and dropped like its first.
func Join(parts ...*Frame) *Frame {
	n := 0
	for _, p := range parts {
		n += p.Size()
	}
	first := parts[0]
	f := &Frame{buf: make([]byte, 0, n), binary: first.binary, class: first.class, key: first.key, mark: first.mark, parts: parts}
	for _, p := range parts {
		f.buf = append(f.buf, p.Wire()...)
	}
	return f
}

// Parts are the messages of a Frame that Join has made, nil of any other.
func (f *Frame) Parts() []*Frame { return f.parts }

// Marked gives f its Mark, before it is shared, and returns it.
func (f *Frame) Marked(m Mark) *Frame {
	f.mark = m
	return f
}

// Mark is what Marked gave.
func (f *Frame) Mark() Mark { return f.mark }

// Until bounds the time, in Unix milliseconds, at which f may be sent: later,
// instead is sent in its place, or nothing if that is nil. It is called before f
// is shared, and returns f.
func (f *Frame) Until(ms int64, instead *Frame) *Frame {
	if instead == nil {
		instead = nothing
	}
	f.until, f.instead = ms, instead
	return f
}

// Dated tells whether Until was called.
func (f *Frame) Dated() bool { return f.until != 0 }

// At is what to send at a time in Unix milliseconds.
func (f *Frame) At(now int64) *Frame {
	if f.until != 0 && now >= f.until {
		return f.instead
	}
	return f
}

// putHeader writes the header so that it ends where the payload begins.
func putHeader(buf []byte, op byte) int {
	switch n := len(buf) - maxHeader; {
	case n < 126:
		buf[8], buf[9] = op, byte(n)
		return 8
	case n < 1<<16:
		buf[6], buf[7] = op, 126
		binary.BigEndian.PutUint16(buf[8:], uint16(n))
		return 6
	default:
		buf[0], buf[1] = op, 127
		binary.BigEndian.PutUint64(buf[2:], uint64(n))
		return 0
	}
}

// Wire is the frame with its header, uncompressed.
func (f *Frame) Wire() []byte { return f.buf[f.start:] }

// Payload is the message alone, for transports without WebSocket frames. What Join
// has made has none, but its Parts.
func (f *Frame) Payload() []byte { return f.buf[maxHeader:] }

// Size is the number of bytes of Wire.
func (f *Frame) Size() int { return len(f.buf) - int(f.start) }

// Binary tells a binary message from a text one.
func (f *Frame) Binary() bool { return f.binary }

// Class says what may be done with the frame in a full queue.
func (f *Frame) Class() Class { return f.class }

// Key is what Ephemeral frames merge by.
func (f *Frame) Key() string { return f.key }

// Deflated is the frame compressed by RFC 7692 without context, made once by
// the first caller's deflate and shared by all others. deflate gets the payload
// and returns its compressed form, or nil to send it as it is.
func (f *Frame) Deflated(deflate func(payload []byte) []byte) []byte {
	if p := f.deflated.Load(); p != nil {
		return *p
	}
	wire := f.Wire()
	if len(wire) == 0 {
		return nil
	}
	if f.parts != nil {
		wire = nil
		for _, p := range f.parts {
			wire = append(wire, p.Deflated(deflate)...)
		}
	} else if z := deflate(f.Payload()); z != nil {
		buf := append(Begin(len(z)), z...)
		op := byte(0xc1) // FIN and RSV1
		if f.binary {
			op = 0xc2
		}
		wire = buf[putHeader(buf, op):]
	}
	f.deflated.CompareAndSwap(nil, &wire)
	return *f.deflated.Load()
}
