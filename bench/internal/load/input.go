package load

import (
	"bytes"
	"fmt"
	"strings"
)

// request is the opening handshake. Its key is the one of RFC 6455, section 1.3:
// servers do the same work for any.
func (c *Conn) request() []byte {
	h := c.loop.eng.Driver.Handshake(c)
	var b strings.Builder
	b.WriteString("GET " + h.Path + " HTTP/1.1\r\nHost: " + c.loop.eng.addr.String() +
		"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
	for _, line := range h.Header {
		b.WriteString(line + "\r\n")
	}
	b.WriteString("\r\n")
	return []byte(b.String())
}

// accepts checks the head of the server's answer.
func (c *Conn) accepts(head []byte) error {
	status, header, _ := strings.Cut(string(head), "\r\n")
	if !strings.HasPrefix(status, "HTTP/1.1 101") {
		return fmt.Errorf("handshake refused: %s", head)
	}
	want := c.loop.eng.Driver.Handshake(c).Protocol
	if want == "" {
		return nil
	}
	for line := range strings.SplitSeq(header, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		if strings.EqualFold(name, "Sec-WebSocket-Protocol") && strings.TrimSpace(value) == want {
			return nil
		}
	}
	return fmt.Errorf("handshake without the subprotocol %s: %s", want, head)
}

// upgraded takes the server's answer off p; ok is false while it is not whole, or
// when the connection has been closed.
func (c *Conn) upgraded(p []byte) (rest []byte, ok bool) {
	head, rest, whole := bytes.Cut(p, []byte("\r\n\r\n"))
	if !whole {
		c.rest = append(c.rest[:0], p...)
		return nil, false
	}
	if err := c.accepts(head); err != nil {
		// The body that may follow says why.
		c.close(strings.TrimSpace(err.Error() + "\n" + string(rest)))
		return nil, false
	}
	c.state = joining
	c.loop.eng.Driver.Opened(c)
	return rest, true
}

// input handles p, everything received and not yet handled.
func (c *Conn) input(p []byte) {
	if c.state == upgrading {
		var ok bool
		if p, ok = c.upgraded(p); !ok {
			return
		}
	}
	for c.state != closed {
		first, payload, rest, ok := nextFrame(p)
		if !ok {
			break
		}
		p = rest
		c.frame(first, payload)
	}
	switch {
	case c.state == closed:
		c.rest = nil
	case len(p) > 0:
		c.rest = append(c.rest[:0], p...)
	case cap(c.rest) > 4096:
		c.rest = nil
	default:
		c.rest = c.rest[:0]
	}
}

func (c *Conn) frame(first byte, payload []byte) {
	switch op := first & 0x0f; {
	case first&0x70 != 0:
		c.close("compressed frame")
	case first&0x80 == 0 || op == 0:
		c.close("fragmented message")
	case op <= OpBinary:
		c.loop.eng.Driver.Frame(c, payload)
	case op == opPing:
		c.Send(AppendFrame(nil, opPong, payload))
	case op == opClose:
		c.close(fmt.Sprintf("closed by server: %q", payload))
	}
}
