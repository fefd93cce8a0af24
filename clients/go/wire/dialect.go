package wire

import (
	"errors"
	"fmt"
)

// ErrMalformed is wrapped by every error about a frame that cannot be read.
var ErrMalformed = errors.New("wire: malformed frame")

// MaxBatch is how many envelopes one frame may hold.
const MaxBatch = 64

// Dialect is an encoding of the protocol. The zero Dialect is JSON.
type Dialect uint8

// The dialects.
const (
	JSON Dialect = iota
	MessagePack
)

// ParseDialect reads "json" or "msgpack"; "" is JSON.
func ParseDialect(s string) (Dialect, error) {
	switch s {
	case "", "json":
		return JSON, nil
	case "msgpack":
		return MessagePack, nil
	}
	return JSON, fmt.Errorf("wire: no dialect %q: json or msgpack", s)
}

func (d Dialect) String() string {
	if d == MessagePack {
		return "msgpack"
	}
	return "json"
}

// Subprotocol is the WebSocket subprotocol that selects the dialect.
func (d Dialect) Subprotocol() string { return "heddle.v1." + d.String() }

// Binary tells whether frames are binary messages; else they are text.
func (d Dialect) Binary() bool { return d == MessagePack }

// Append encodes one envelope behind dst. Data must be valid JSON. Fields that
// are empty are left out.
func (d Dialect) Append(dst []byte, e *Envelope) ([]byte, error) {
	if d == MessagePack {
		return appendMsgpack(dst, e)
	}
	return appendJSON(dst, e)
}

// Batch appends a frame that holds envelopes encoded by Append: one stands
// alone, more become an array.
func (d Dialect) Batch(dst []byte, envelopes [][]byte) []byte {
	if len(envelopes) == 1 {
		return append(dst, envelopes[0]...)
	}
	if d == MessagePack {
		return batchMsgpack(dst, envelopes)
	}
	return batchJSON(dst, envelopes)
}

// Decode calls each with every envelope of a frame, in order, and stops at the
// first error, which it returns. The view is valid during the call only. An
// error of the frame itself wraps ErrMalformed.
func (d Dialect) Decode(frame []byte, each func(v *View) error) error {
	if d == MessagePack {
		return decodeMsgpack(frame, each)
	}
	return decodeJSON(frame, each)
}
