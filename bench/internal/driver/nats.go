package driver

import (
	"bytes"
	"strconv"

	"github.com/heddle-rt/heddle/bench/internal/load"
)

// nats is the NATS client protocol over WebSocket; a room is a subject. Frames
// carry a byte stream, so a message may continue in the next frame. There is
// no acknowledgement: the sender's own copy stands for it.
type nats struct{}

func (nats) Handshake(*load.Conn) load.Handshake {
	return load.Handshake{Path: "/"}
}

func (nats) Opened(*load.Conn) {} // the server speaks first

func (nats) Frame(c *load.Conn, p []byte) {
	if len(c.Part) > 0 {
		p = append(c.Part, p...)
	}
	for {
		line, rest, ok := bytes.Cut(p, []byte("\r\n"))
		if !ok {
			break
		}
		switch {
		case bytes.HasPrefix(line, []byte("MSG ")):
			n, err := strconv.Atoi(string(line[bytes.LastIndexByte(line, ' ')+1:]))
			if err != nil {
				c.Fail(string(line))
				return
			}
			if len(rest) < n+2 {
				ok = false
				break
			}
			c.Deliver(rest[:n])
			c.Ack()
			rest = rest[n+2:]
		case bytes.HasPrefix(line, []byte("INFO ")) && c.Step == 0:
			c.Step++
			c.Send(load.AppendFrame(nil, load.OpBinary, []byte(`CONNECT {"verbose":false,"pedantic":false}`+"\r\nSUB "+c.Room+" 1\r\nPING\r\n")))
		case bytes.Equal(line, []byte("PONG")):
			c.Joined()
		case bytes.Equal(line, []byte("PING")):
			c.Send(load.AppendFrame(nil, load.OpBinary, []byte("PONG\r\n")))
		case !bytes.HasPrefix(line, []byte("INFO ")):
			c.Fail(string(line))
		}
		if !ok {
			break
		}
		p = rest
	}
	c.Part = append(c.Part[:0], p...)
}

func (nats) Publish(dst []byte, c *load.Conn, _ uint32, body []byte) []byte {
	p := append(make([]byte, 0, 256), "PUB "...)
	p = append(p, c.Room...)
	p = append(p, ' ')
	p = strconv.AppendInt(p, int64(len(body)), 10)
	p = append(p, "\r\n"...)
	p = append(p, body...)
	return load.AppendFrame(dst, load.OpBinary, append(p, "\r\n"...))
}
