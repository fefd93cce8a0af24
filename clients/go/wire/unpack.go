package wire

import (
	"fmt"

	"github.com/tinylib/msgp/msgp"
)

func decodeMsgpack(frame []byte, each func(v *View) error) error {
	n := uint32(1)
	if msgp.NextType(frame) == msgp.ArrayType {
		var err error
		if n, frame, err = msgp.ReadArrayHeaderBytes(frame); err != nil {
			return malformed(err)
		}
	}
	for range n {
		v := View{dialect: MessagePack}
		rest, err := maps(frame, v.msgpackMember)
		if err != nil {
			return malformed(err)
		}
		frame = rest
		if err := each(&v); err != nil {
			return err
		}
	}
	return nil
}

func malformed(err error) error { return fmt.Errorf("%w: %w", ErrMalformed, err) }

// maps calls f with each key of a map and the bytes that begin with its value;
// f returns the bytes behind it.
func maps(b []byte, f func(key, b []byte) ([]byte, error)) ([]byte, error) {
	if msgp.IsNil(b) {
		return b[1:], nil
	}
	n, b, err := msgp.ReadMapHeaderBytes(b)
	if err != nil {
		return nil, err
	}
	for range n {
		var key []byte
		if key, b, err = msgp.ReadMapKeyZC(b); err != nil {
			return nil, err
		}
		if b, err = f(key, b); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (v *View) msgpackMember(key, b []byte) (rest []byte, err error) {
	switch string(key) {
	case "type":
		v.Type, rest, err = packedText(b)
	case "id":
		v.ID, rest, err = packedText(b)
	case "tenant_id":
		v.Tenant, rest, err = packedText(b)
	case "timestamp":
		v.Timestamp, rest, err = packedInt(b)
	case "room":
		v.Room, rest, err = packedText(b)
	case "from":
		rest, err = maps(b, v.msgpackFrom)
	case "epoch":
		v.Epoch, rest, err = packedText(b)
	case "offset":
		var n int64
		n, rest, err = packedInt(b)
		v.Offset = uint64(n)
	case "ref":
		v.Ref, rest, err = packedText(b)
	case "expires_at":
		v.Expires, rest, err = packedInt(b)
	case "payload":
		rest, err = maps(b, v.msgpackPayload)
	default:
		rest, err = msgp.Skip(b)
	}
	return rest, err
}

func (v *View) msgpackFrom(key, b []byte) (rest []byte, err error) {
	switch string(key) {
	case "user":
		v.User, rest, err = packedText(b)
	case "device":
		v.Device, rest, err = packedText(b)
	default:
		rest, err = msgp.Skip(b)
	}
	return rest, err
}

func (v *View) msgpackPayload(key, b []byte) (rest []byte, err error) {
	switch {
	case string(key) == "action":
		v.Action, rest, err = packedText(b)
	case string(key) == "data" && !msgp.IsNil(b):
		if rest, err = msgp.Skip(b); err == nil {
			v.Data = b[:len(b)-len(rest)]
		}
	default:
		rest, err = msgp.Skip(b)
	}
	return rest, err
}

func packedText(b []byte) (s, rest []byte, err error) {
	if msgp.IsNil(b) {
		return nil, b[1:], nil
	}
	return msgp.ReadStringZC(b)
}

// packedInt reads an integer that is not negative, whatever its width.
func packedInt(b []byte) (n int64, rest []byte, err error) {
	if msgp.IsNil(b) {
		return 0, b[1:], nil
	}
	if n, rest, err = msgp.ReadInt64Bytes(b); err == nil && n < 0 {
		err = fmt.Errorf("negative integer %d", n)
	}
	return n, rest, err
}
