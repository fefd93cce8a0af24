package engineio

import (
	"bytes"
	"encoding/base64"
	"unicode/utf8"

	"github.com/heddle-rt/heddle/runtime/frame"
)

const (
	separator  = 0x1e
	maxPackets = 4096 // in one payload
	// What buffers are made with, and the largest that are kept for others.
	bufferSize = 4 << 10
	maxBuffer  = 64 << 10
)

// packets calls do for each packet of a payload until that is false, or for none if
// the payload is not text or has too many. It is false if either is so.
func packets(payload []byte, do func(packet []byte) bool) bool {
	if !utf8.Valid(payload) || bytes.Count(payload, []byte{separator}) >= maxPackets {
		return false
	}
	for p := range bytes.SplitSeq(payload, []byte{separator}) {
		if !do(p) {
			return false
		}
	}
	return true
}

// encodedSize is what f and a separator need in a payload.
func encodedSize(f *frame.Frame, bare bool) (n int) {
	if parts := f.Parts(); parts != nil {
		for _, p := range parts {
			n += encodedSize(p, bare)
		}
		return n
	}
	if f.Size() == 0 { // what is sent instead of a frame whose time is over
		return 0
	}
	switch n = len(f.Payload()) + 1; {
	case f.Binary():
		return 2 + base64.StdEncoding.EncodedLen(n-1)
	case bare:
		return n + 1
	default:
		return n
	}
}

// appendFrame adds the packets of f to a payload.
func appendFrame(to []byte, f *frame.Frame, bare bool) []byte {
	if parts := f.Parts(); parts != nil {
		for _, p := range parts {
			to = appendFrame(to, p, bare)
		}
		return to
	}
	if len(to) > 0 {
		to = append(to, separator)
	}
	switch {
	case f.Binary():
		return base64.StdEncoding.AppendEncode(append(to, 'b'), f.Payload())
	case bare:
		return append(append(to, '4'), f.Payload()...)
	default:
		return append(to, f.Payload()...)
	}
}

// append adds a to an empty payload.
func (a *answer) append(to []byte, bare bool) []byte {
	if a.ping {
		to = append(to, '2')
	}
	for _, f := range a.frames {
		to = appendFrame(to, f, bare)
	}
	last := a.bye
	if a.noop {
		last = '6'
	}
	if last != 0 {
		if len(to) > 0 {
			to = append(to, separator)
		}
		to = append(to, last)
	}
	return append(to, a.farewell...)
}
