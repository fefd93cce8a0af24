package driver

import "github.com/heddle-rt/heddle/bench/internal/load"

// raw is for servers that send each message to the whole room named in the
// URL. There is no acknowledgement: the sender's own copy stands for it.
type raw struct{}

func (raw) Handshake(c *load.Conn) load.Handshake { return load.Handshake{Path: "/ws?room=" + c.Room} }

func (raw) Opened(c *load.Conn) { c.Joined() }

func (raw) Frame(c *load.Conn, p []byte) {
	c.Deliver(p)
	c.Ack()
}

func (raw) Publish(dst []byte, _ *load.Conn, _ uint32, body []byte) []byte {
	return load.AppendFrame(dst, load.OpText, body)
}
