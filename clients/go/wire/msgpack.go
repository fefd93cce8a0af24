package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/tinylib/msgp/msgp"
)

func appendMsgpack(dst []byte, e *Envelope) ([]byte, error) {
	dst, size := open(dst)
	n := uint32(1)
	dst = msgp.AppendInt(msgp.AppendString(dst, "v"), 1)
	str := func(key, s string) {
		if s != "" {
			dst = msgp.AppendString(msgp.AppendString(dst, key), s)
			n++
		}
	}
	num := func(key string, v uint64) {
		if v != 0 {
			dst = msgp.AppendUint64(msgp.AppendString(dst, key), v)
			n++
		}
	}
	str("type", e.Type)
	str("id", e.ID)
	str("tenant_id", e.Tenant)
	num("timestamp", uint64(max(e.Timestamp, 0)))
	str("room", e.Room)
	if e.User != "" {
		dst = msgp.AppendMapHeader(msgp.AppendString(dst, "from"), 2)
		dst = msgp.AppendString(msgp.AppendString(dst, "user"), e.User)
		dst = msgp.AppendString(msgp.AppendString(dst, "device"), e.Device)
		n++
	}
	str("epoch", e.Epoch)
	num("offset", e.Offset)
	str("ref", e.Ref)
	num("expires_at", uint64(max(e.Expires, 0)))
	if e.Action != "" {
		var err error
		if dst, err = appendPayload(dst, e); err != nil {
			return nil, err
		}
		n++
	}
	binary.BigEndian.PutUint32(dst[size:], n)
	return dst, nil
}

func appendPayload(dst []byte, e *Envelope) ([]byte, error) {
	dst = msgp.AppendString(dst, "payload")
	if e.Data == nil {
		dst = msgp.AppendMapHeader(dst, 1)
		return msgp.AppendString(msgp.AppendString(dst, "action"), e.Action), nil
	}
	dst = msgp.AppendMapHeader(dst, 2)
	dst = msgp.AppendString(msgp.AppendString(dst, "action"), e.Action)
	return jsonToMsgpack(msgp.AppendString(dst, "data"), e.Data)
}

// open begins a map whose size is not known yet, and says where the size goes.
func open(dst []byte) ([]byte, int) {
	return append(dst, 0xdf, 0, 0, 0, 0), len(dst) + 1
}

func batchMsgpack(dst []byte, envelopes [][]byte) []byte {
	dst = msgp.AppendArrayHeader(dst, uint32(len(envelopes)))
	for _, e := range envelopes {
		dst = append(dst, e...)
	}
	return dst
}

// jsonToMsgpack appends a JSON value. Numbers become integers where they are
// written as such and fit, and floats otherwise.
func jsonToMsgpack(dst, value []byte) ([]byte, error) {
	dec := jsontext.NewDecoder(bytes.NewReader(value))
	type container struct{ size, count int } // where the size stands, and what it is
	var stack []container
	for {
		tok, err := dec.ReadToken()
		if err != nil {
			return nil, fmt.Errorf("wire: data is not JSON: %w", err)
		}
		switch tok.Kind() {
		case '{', '[':
			head := byte(0xdf)
			if tok.Kind() == '[' {
				head = 0xdd
			}
			stack = append(stack, container{size: len(dst) + 1})
			dst = append(dst, head, 0, 0, 0, 0)
		case '}', ']':
			top := len(stack) - 1
			binary.BigEndian.PutUint32(dst[stack[top].size:], uint32(stack[top].count))
			stack = stack[:top]
		case '"':
			dst = msgp.AppendString(dst, tok.String())
		case '0':
			dst = appendNumber(dst, tok)
		case 't', 'f':
			dst = msgp.AppendBool(dst, tok.Bool())
		case 'n':
			dst = msgp.AppendNil(dst)
		}
		if len(stack) == 0 {
			return dst, nil
		}
		kind, length := dec.StackIndex(dec.StackDepth())
		if kind == '{' {
			length /= 2
		}
		stack[len(stack)-1].count = int(length)
	}
}

func appendNumber(dst []byte, tok jsontext.Token) []byte {
	s := tok.String()
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return msgp.AppendInt64(dst, n)
	}
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return msgp.AppendUint64(dst, n)
	}
	f, _ := strconv.ParseFloat(s, 64) // out of range: the nearest infinity
	return msgp.AppendFloat64(dst, f)
}

func msgpackToJSON(data []byte) ([]byte, error) {
	var b bytes.Buffer
	if _, err := msgp.UnmarshalAsJSON(&b, data); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return b.Bytes(), nil
}
