package socketio

import (
	"slices"
	"sync"
	"time"

	dialect "github.com/heddle-rt/heddle/runtime/dialect/socketio"
	"github.com/heddle-rt/heddle/runtime/engineio"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// client is what speaks over one connection.
type client struct {
	srv  *Server
	conn *engineio.Conn
	id   *event.Identity // of the handshake's token

	// Of the reading goroutine.
	partial *partial // a packet whose attachments are to come
	refused int      // CONNECT packets
	left    []string // namespaces that it was connected to

	mu       sync.Mutex
	channels []*channel
	deadline *time.Timer // for the first CONNECT
	over     bool
}

// maxRefused is how many CONNECT packets may be refused before the connection is closed.
const maxRefused = 16

// partial is a binary packet of which attachments are missing.
type partial struct {
	packet dialect.Packet
	bin    [][]byte
	size   int
}

func malformed(text string) error { return fault.New(fault.Malformed, "", text) }

// late closes a connection on which nobody has connected to a namespace.
func (c *client) late() { c.conn.CloseWith(fault.HandshakeTimeout, "no namespace was connected to") }

// frame takes one message; an error closes the connection.
func (c *client) frame(payload []byte, binary bool) error {
	size := len(payload)
	if c.partial != nil {
		size += c.partial.size
	}
	if size > c.srv.deps.MaxPacket {
		return fault.New(fault.TooLarge, "", "a packet is too large")
	}
	if binary {
		return c.attachment(payload)
	}
	if c.partial != nil {
		return malformed("a packet came before the attachments of the one before")
	}
	p, err := dialect.ParsePacket(payload)
	if err != nil {
		return malformed("not a packet of Socket.IO")
	}
	if p.Attachments > dialect.MaxAttachments {
		return fault.New(fault.TooLarge, "", "a packet has too many attachments")
	}
	if p.Type == dialect.BinaryEvent || p.Type == dialect.BinaryAck {
		p.Data = slices.Clone(p.Data)
		c.partial = &partial{packet: p, size: len(payload)}
		return c.whole()
	}
	return c.packet(&p)
}

// attachment adds one to the packet that it belongs to.
func (c *client) attachment(b []byte) error {
	if c.partial == nil {
		return malformed("an attachment came without its packet")
	}
	c.partial.bin = append(c.partial.bin, slices.Clone(b))
	c.partial.size += len(b)
	return c.whole()
}

// whole handles a binary packet when all of it is there.
func (c *client) whole() error {
	if len(c.partial.bin) < c.partial.packet.Attachments {
		return nil
	}
	p, bin := c.partial.packet, c.partial.bin
	c.partial = nil
	data, err := dialect.Attach(p.Data, bin)
	if err != nil {
		return malformed("placeholders and attachments do not fit each other")
	}
	p.Data, p.Type = data, p.Type-dialect.BinaryEvent+dialect.Event
	return c.packet(&p)
}

func (c *client) packet(p *dialect.Packet) error {
	if p.Type == dialect.Connect {
		return c.connect(p)
	}
	ch := c.channel(p.Namespace)
	switch {
	case ch != nil:
		return ch.packet(p)
	case !slices.Contains(c.left, p.Namespace): // otherwise they have crossed each other
		return malformed("a packet for a namespace that is not connected")
	}
	return nil
}

func (c *client) channel(name string) *channel {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ch := range c.channels {
		if ch.ns.Path() == name {
			return ch
		}
	}
	return nil
}

// connect opens the session of a namespace.
func (c *client) connect(p *dialect.Packet) error {
	ns := c.srv.spaces[p.Namespace]
	switch {
	case ns == nil:
		c.conn.Push(dialect.NewNamespace(p.Namespace, false, 0).Refusal("Invalid namespace", nil))
		return c.count()
	case c.channel(p.Namespace) != nil:
		return malformed("the namespace is connected already")
	}
	ch := &channel{client: c, ns: ns, dialect: ns.New()}
	ch.peer = c.srv.open(ch)
	if !c.add(ch) {
		ch.close()
		return nil
	}
	err := ch.packet(p)
	if err == nil && ch.peer.Opened() {
		c.srv.Connected.Add(1)
		if ch.dialect.Recovered {
			c.srv.Recovered.Add(1)
		}
		return nil
	}
	c.remove(ch)
	ch.close()
	if err != nil {
		return err
	}
	return c.count()
}

// count notes a CONNECT that was refused, and at last gives up.
func (c *client) count() error {
	c.srv.Refused.Add(1)
	if c.refused++; c.refused == maxRefused {
		return malformed("too many namespaces were refused")
	}
	return nil
}

func (c *client) all() []*channel {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.channels)
}

// add makes a channel one of the connection's, if that is not over.
func (c *client) add(ch *channel) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return false
	}
	c.deadline.Stop()
	c.channels = append(c.channels, ch)
	if name := ch.ns.Path(); !slices.Contains(c.left, name) {
		c.left = append(c.left, name)
	}
	return true
}

// remove takes a channel from the connection; false if it was not there any more.
func (c *client) remove(ch *channel) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.channels, ch)
	if i >= 0 {
		c.channels = slices.Delete(c.channels, i, i+1)
	}
	return i >= 0
}

// closed ends all channels with the connection.
func (c *client) closed() {
	c.mu.Lock()
	c.over = true
	all := c.channels
	c.channels = nil
	c.deadline.Stop()
	c.mu.Unlock()
	for _, ch := range all {
		ch.close()
	}
}
