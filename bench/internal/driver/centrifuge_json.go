package driver

import (
	"bytes"
	"strconv"

	"github.com/heddle-rt/heddle/bench/internal/load"
)

// centrifugeJSON is the bidirectional JSON protocol of Centrifuge: one or more
// JSON objects in a frame, separated by newlines; {} is a ping and its answer.
type centrifugeJSON struct{}

func (centrifugeJSON) Handshake(*load.Conn) load.Handshake {
	return load.Handshake{Path: "/connection/websocket"}
}

func (centrifugeJSON) Opened(c *load.Conn) {
	c.Send(load.AppendFrame(nil, load.OpText, []byte(`{"id":1,"connect":{}}`)))
}

func (centrifugeJSON) Frame(c *load.Conn, p []byte) {
	for len(p) > 0 {
		var m []byte
		m, p, _ = bytes.Cut(p, []byte{'\n'})
		switch {
		case bytes.HasPrefix(m, []byte(`{"push":`)):
			c.Deliver(m)
		case len(m) == 2:
			c.Send(load.AppendFrame(nil, load.OpText, m))
		case bytes.Contains(m, []byte(`"error":`)):
			c.Fail(string(m))
		case bytes.Contains(m, []byte(`"publish":`)):
			c.Ack()
		case bytes.Contains(m, []byte(`"connect":`)):
			c.Send(load.AppendFrame(nil, load.OpText, []byte(`{"id":2,"subscribe":{"channel":"`+c.Room+`"}}`)))
		case bytes.Contains(m, []byte(`"subscribe":`)):
			c.Joined()
		}
	}
}

func (centrifugeJSON) Publish(dst []byte, c *load.Conn, id uint32, body []byte) []byte {
	p := make([]byte, 0, 256)
	p = append(p, `{"id":`...)
	p = strconv.AppendUint(p, uint64(id), 10)
	p = append(p, `,"publish":{"channel":"`...)
	p = append(p, c.Room...)
	p = append(p, `","data":`...)
	p = append(p, body...)
	return load.AppendFrame(dst, load.OpText, append(p, "}}"...))
}
