package driver

import (
	"encoding/binary"

	"github.com/heddle-rt/heddle/bench/internal/load"
)

const (
	connectID   = 1
	subscribeID = 2
)

// centrifugeProtobuf is the same protocol in length-delimited Protobuf; an
// empty message is a ping and its answer.
type centrifugeProtobuf struct{}

// Field numbers of Command and Reply.
const (
	fieldID        = 1
	fieldError     = 2 // Reply
	fieldPush      = 4 // Reply
	fieldConnect   = 4 // Command; Reply has it at 5
	fieldSubscribe = 5 // Command; Reply has it at 6
	fieldPublish   = 7 // Command; Reply has it at 8
)

func (centrifugeProtobuf) Handshake(*load.Conn) load.Handshake {
	return load.Handshake{Path: "/connection/websocket?format=protobuf"}
}

func (centrifugeProtobuf) Opened(c *load.Conn) {
	c.Send(load.AppendFrame(nil, load.OpBinary, command(connectID, fieldConnect, nil)))
}

func (centrifugeProtobuf) Frame(c *load.Conn, p []byte) {
	for len(p) > 0 {
		size, h := binary.Uvarint(p)
		if h <= 0 || len(p) < h+int(size) {
			c.Fail("bad protobuf frame")
			return
		}
		m := p[h : h+int(size)]
		p = p[h+int(size):]
		if len(m) == 0 {
			c.Send(load.AppendFrame(nil, load.OpBinary, []byte{0}))
			continue
		}
		if m[0] == tag(fieldPush) {
			c.Deliver(m)
			continue
		}
		id, h := binary.Uvarint(m[1:])
		switch rest := m[1+h:]; {
		case m[0] != fieldID<<3:
			c.Fail("reply without id")
		case len(rest) > 0 && rest[0] == tag(fieldError):
			c.Fail(string(rest))
		case id == connectID:
			c.Send(load.AppendFrame(nil, load.OpBinary, command(subscribeID, fieldSubscribe, field(nil, 1, []byte(c.Room)))))
		case id == subscribeID:
			c.Joined()
		default:
			c.Ack()
		}
	}
}

func (centrifugeProtobuf) Publish(dst []byte, c *load.Conn, id uint32, body []byte) []byte {
	req := field(make([]byte, 0, 256), 1, []byte(c.Room))
	return load.AppendFrame(dst, load.OpBinary, command(id, fieldPublish, field(req, 2, body)))
}

func tag(n int) byte { return byte(n<<3 | 2) }

func field(dst []byte, n int, p []byte) []byte {
	dst = append(dst, tag(n))
	dst = binary.AppendUvarint(dst, uint64(len(p)))
	return append(dst, p...)
}

// command is one length-delimited Command holding one request.
func command(id uint32, request int, p []byte) []byte {
	m := binary.AppendUvarint([]byte{fieldID << 3}, uint64(id))
	m = field(m, request, p)
	return append(binary.AppendUvarint(nil, uint64(len(m))), m...)
}
