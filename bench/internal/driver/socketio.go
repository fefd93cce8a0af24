package driver

import (
	"bytes"
	"strconv"

	"github.com/heddle-rt/heddle/bench/internal/load"
)

// socketIO is Engine.IO 4 and Socket.IO 5 over WebSocket alone. The client
// asks to join with one event and publishes with another; both are acked.
type socketIO struct{}

const joinID = 1

func (socketIO) Handshake(*load.Conn) load.Handshake {
	return load.Handshake{Path: "/socket.io/?EIO=4&transport=websocket"}
}

func (socketIO) Opened(*load.Conn) {} // the server speaks first

func (socketIO) Frame(c *load.Conn, p []byte) {
	switch {
	case bytes.HasPrefix(p, []byte("42")): // event
		c.Deliver(p)
	case bytes.HasPrefix(p, []byte("43")): // ack
		if c.Step == 2 {
			c.Step++
			c.Joined()
		} else {
			c.Ack()
		}
	case len(p) == 1 && p[0] == '2': // ping
		c.Send(load.AppendFrame(nil, load.OpText, []byte("3")))
	case bytes.HasPrefix(p, []byte("0{")) && c.Step == 0: // open
		c.Step++
		c.Send(load.AppendFrame(nil, load.OpText, []byte("40")))
	case bytes.HasPrefix(p, []byte("40")) && c.Step == 1: // connected
		c.Step++
		c.Send(load.AppendFrame(nil, load.OpText, []byte(`42`+strconv.Itoa(joinID)+`["join","`+c.Room+`"]`)))
	default:
		c.Fail("unexpected: " + string(p))
	}
}

func (socketIO) Publish(dst []byte, _ *load.Conn, id uint32, body []byte) []byte {
	p := strconv.AppendUint(append(make([]byte, 0, 256), "42"...), uint64(id), 10)
	p = append(p, `["msg",`...)
	p = append(p, body...)
	return load.AppendFrame(dst, load.OpText, append(p, ']'))
}
