package driver

import (
	"bytes"
	"strconv"

	"github.com/heddle-rt/heddle/bench/internal/load"
)

// heddleSocketIO is Heddle's protocol as a client of Socket.IO speaks it, over
// WebSocket alone: emit(action, data, ack), and deliveries as (data, meta). The token
// is in the auth of CONNECT. servers/socketio answers to the same, and lets everybody
// in.
type heddleSocketIO struct{ heddle }

// Handshake names no subprotocol: Engine.IO has none.
func (h *heddleSocketIO) Handshake(c *load.Conn) load.Handshake { return socketIO{}.Handshake(c) }

func (h *heddleSocketIO) Opened(*load.Conn) {} // the server speaks first

func (h *heddleSocketIO) Frame(c *load.Conn, p []byte) {
	switch {
	case bytes.HasPrefix(p, []byte(`42["message:send",`)):
		c.Deliver(p)
	case bytes.HasPrefix(p, []byte(`43`)): // ack
		switch {
		case !bytes.HasPrefix(bytes.TrimLeft(p, "0123456789"), []byte(`[{"ok":true`)):
			c.Fail(string(p[:min(len(p), 500)]))
		case c.Step == 2:
			c.Step++
			c.Joined()
		default:
			c.Ack()
		}
	case len(p) == 1 && p[0] == '2': // ping
		c.Send(load.AppendFrame(nil, load.OpText, []byte("3")))
	case bytes.HasPrefix(p, []byte(`0{`)) && c.Step == 0: // open
		c.Step++
		c.Send(load.AppendFrame(nil, load.OpText, []byte(`40{"token":"`+h.tokens[c.Number]+`"}`)))
	case bytes.HasPrefix(p, []byte(`40{`)) && c.Step == 1: // connected
		c.Step++
		c.Send(load.AppendFrame(nil, load.OpText, []byte(`42`+strconv.Itoa(joinID)+`["room:join",{"room":"`+heddleRooms+c.Room+`"}]`)))
	case !bytes.HasPrefix(p, []byte(`42["`)),
		bytes.HasPrefix(p, []byte(`42["error"`)), bytes.HasPrefix(p, []byte(`42["session:drain"`)), bytes.HasPrefix(p, []byte(`42["session:closed"`)):
		c.Fail("unexpected: " + string(p[:min(len(p), 500)]))
	}
	// What is left are events that are no message, such as session:open.
}

// Publish asks for an ack, as a client that wants to know does. It names no id, as such
// a client does, so every frame is a new message to the server.
func (h *heddleSocketIO) Publish(dst []byte, c *load.Conn, id uint32, body []byte) []byte {
	p := strconv.AppendUint(append(make([]byte, 0, 384), "42"...), uint64(id), 10)
	p = append(p, `["message:send",{"room":"`+heddleRooms...)
	p = append(p, c.Room...)
	p = append(p, `","body":`...)
	p = append(p, body...)
	if !h.durable {
		p = append(p, `,"ephemeral":true`...)
	}
	return load.AppendFrame(dst, load.OpText, append(p, `}]`...))
}
