package native

import (
	"github.com/tinylib/msgp/msgp"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/jsonscan"
)

// MessagePack is the subprotocol heddle.v1.msgpack: the same maps with the same
// string keys. Its zero value is ready.
type MessagePack struct{}

// Name is the WebSocket subprotocol.
func (MessagePack) Name() string { return "heddle.v1.msgpack" }

// Binary says that frames are binary.
func (MessagePack) Binary() bool { return true }

// Index is the encoding's slot among the frames of one event.
func (MessagePack) Index() int { return 1 }

// Split is JSON.Split for MessagePack.
func (MessagePack) Split(frame []byte, limit int, fn func(raw []byte) error) error {
	if len(frame) == 0 || msgp.NextType(frame) != msgp.ArrayType {
		return fn(frame)
	}
	return splitArray(frame, min(limit, MaxBatch), fn)
}

// splitArray is apart from Split for the reason that splitBatch is.
func splitArray(b []byte, limit int, fn func(raw []byte) error) error {
	n, body, err := msgp.ReadArrayHeaderBytes(b)
	switch {
	case err != nil || n == 0:
		return malformed(0, "an empty batch")
	case int64(n) > int64(limit):
		return tooMany(limit)
	}
	var ends [MaxBatch]uint32
	rest := body
	for i := range n {
		if msgp.NextType(rest) != msgp.MapType {
			return malformed(len(b)-len(rest), "not a map")
		}
		var p jsonscan.Problem
		if rest, p = skip(rest, 0); p != jsonscan.OK {
			return unpackable(len(b)-len(rest), p)
		}
		ends[i] = uint32(len(body) - len(rest))
	}
	if len(rest) > 0 {
		return unpackable(len(b)-len(rest), jsonscan.Trailing)
	}
	from := uint32(0)
	for _, end := range ends[:n] {
		if err := fn(body[from:end]); err != nil {
			return err
		}
		from = end
	}
	return nil
}

// Decode is JSON.Decode for MessagePack. Data is transcoded to JSON: binary
// becomes a base64 string; extensions (timestamps too), NaN, infinities and keys
// that are not strings are Malformed.
func (MessagePack) Decode(raw []byte, env *event.Envelope) error {
	d := decoder{env: env, version: event.Version}
	return d.decodeMessagePack(raw)
}

// DecodeFull reads one envelope from a server: Decode with all fields.
func (MessagePack) DecodeFull(raw []byte, env *event.Envelope) error {
	d := decoder{env: env, version: event.Version, full: true}
	return d.decodeMessagePack(raw)
}

// Encode is JSON.Encode for MessagePack: Data is transcoded, and integers stay
// integers up to 64 bits; other numbers become float64. Data that is not JSON is
// written as an empty map.
func (MessagePack) Encode(env *event.Envelope, class frame.Class, key string) *frame.Frame {
	return frame.Finish(packEnvelope(frame.Begin(size(env)), env), true, class, key)
}

func packEnvelope(b []byte, e *event.Envelope) []byte {
	b = msgp.AppendMapHeader(b, packedFields(e))
	b = msgp.AppendInt(msgp.AppendString(b, "v"), event.Version)
	b = packString(b, "type", e.Type.String())
	b = packString(b, "id", e.ID)
	b = packString(b, "tenant_id", e.Tenant)
	b = packInteger(b, "timestamp", e.Timestamp)
	b = packString(b, "room", e.Room)
	if e.From.User != "" {
		n := count(true, e.From.Device != "")
		b = msgp.AppendMapHeader(msgp.AppendString(b, "from"), n)
		b = packString(b, "user", e.From.User)
		b = packString(b, "device", e.From.Device)
	}
	if e.Epoch != "" {
		b = packString(b, "epoch", e.Epoch)
		b = msgp.AppendUint64(msgp.AppendString(b, "offset"), e.Offset)
	}
	b = packString(b, "ref", e.Ref)
	b = packInteger(b, "expires_at", e.Expires)
	if bare(e) {
		return b
	}
	b = msgp.AppendMapHeader(msgp.AppendString(b, "payload"), 2)
	b = msgp.AppendString(msgp.AppendString(b, "action"), e.Action)
	b = msgp.AppendString(b, "data")
	if packed, ok := toMessagePack(b, e.Data); ok {
		return packed
	}
	return msgp.AppendMapHeader(b, 0)
}

func packedFields(e *event.Envelope) uint32 {
	const always = 1 // "v"
	n := always + count(e.Type.String() != "", e.ID != "", e.Tenant != "", e.Timestamp != 0, e.Room != "", e.From.User != "",
		e.Ref != "", e.Expires != 0, !bare(e))
	if e.Epoch != "" {
		n += 2
	}
	return n
}

func count(present ...bool) (n uint32) {
	for _, p := range present {
		if p {
			n++
		}
	}
	return n
}

func packString(b []byte, name, s string) []byte {
	if s == "" {
		return b
	}
	return msgp.AppendString(msgp.AppendString(b, name), s)
}

func packInteger(b []byte, name string, n int64) []byte {
	if n == 0 {
		return b
	}
	return msgp.AppendInt64(msgp.AppendString(b, name), n)
}
