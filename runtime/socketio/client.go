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
	parts    assembler
	rest     *time.Timer // for attachments that are missing
	refused  int         // CONNECT packets
	connects int         // and all of them that count at present
	counted  time.Time   // when there was last one less
	left     []string    // namespaces that it was connected to

	mu       sync.Mutex
	channels []*channel
	deadline *time.Timer // for a CONNECT, while there are no channels
	over     bool
}

// Of the CONNECT packets of a connection, so many may be refused, and so many may come
// at once; one more may each time that passes.
const (
	maxRefused   = 16
	maxConnects  = 32
	connectEvery = time.Second
)

func newClient(s *Server, conn *engineio.Conn, id *event.Identity) *client {
	c := &client{srv: s, conn: conn, id: id, parts: assembler{max: s.deps.MaxPacket}}
	c.deadline = time.AfterFunc(s.cfg.ConnectTimeout, c.late)
	return c
}

// late closes a connection on which nobody is connected to a namespace.
func (c *client) late() {
	if len(c.all()) == 0 {
		c.conn.CloseWith(fault.HandshakeTimeout, "no namespace was connected to")
	}
}

// incomplete closes a connection whose attachments do not come.
func (c *client) incomplete() {
	c.conn.CloseWith(fault.HandshakeTimeout, "the attachments of a packet did not come")
}

// frame takes one message; an error closes the connection.
func (c *client) frame(payload []byte, binary bool) error {
	had := c.parts.missing()
	p, whole, err := c.parts.add(payload, binary)
	switch {
	case err != nil:
		return err
	case !whole && !had:
		c.await()
	case whole && had:
		c.rest.Stop()
	}
	if !whole {
		return nil
	}
	return c.packet(&p)
}

// await gives the client its time for all attachments of one packet.
func (c *client) await() {
	if c.rest == nil {
		c.rest = time.AfterFunc(c.srv.cfg.ConnectTimeout, c.incomplete)
		return
	}
	c.rest.Reset(c.srv.cfg.ConnectTimeout)
}

func (c *client) packet(p *dialect.Packet) error {
	if p.Type == dialect.Connect {
		return c.connect(p)
	}
	ch := c.channel(p.Namespace)
	switch {
	case ch != nil && p.Type == dialect.Disconnect:
		return c.leave(ch, p)
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

// leave ends a channel that the client has left. Its session is asked to end for good; if
// it cannot, it is over all the same, but might be resumed.
func (c *client) leave(ch *channel, p *dialect.Packet) error {
	ch.over.Store(true) // the client hears no more of it
	err := ch.packet(p)
	if c.remove(ch) {
		ch.close()
	}
	return err
}

// connect opens the session of a namespace.
func (c *client) connect(p *dialect.Packet) error {
	if !c.may() {
		return fault.New(fault.RateLimited, "", "too many namespaces are connected to")
	}
	ns := c.srv.spaces[p.Namespace]
	switch {
	case ns == nil:
		c.conn.Push(dialect.NewNamespace(p.Namespace, false, 0).Refusal("Invalid namespace", nil))
		return c.count()
	case c.channel(p.Namespace) != nil:
		return malformed("the namespace is connected already")
	}
	ch := &channel{client: c, conn: c.conn, opened: time.Now(), ns: ns, dialect: ns.New()}
	id := c.id
	if dialect.Bears(p.Data) {
		id = nil // it is for this namespace, and may be newer
	}
	ch.peer = c.srv.open(ch, id)
	if !c.add(ch) {
		ch.close()
		return nil
	}
	err := ch.packet(p)
	if err == nil && ch.peer.Opened() {
		c.stands()
		c.srv.Connected.Add(1)
		if ch.dialect.Recovered {
			c.srv.Recovered.Add(1)
		}
		return nil
	}
	c.remove(ch)
	ch.close()
	switch {
	case err != nil:
		return err
	case ch.dialect.Later != "": // without its connection, the client tries again by itself
		c.srv.Refused.Add(1)
		return fault.New(fault.Overloaded, "", ch.dialect.Later)
	}
	return c.count()
}

// may counts a CONNECT, each of which makes a session.
func (c *client) may() bool {
	now := time.Now()
	for ; c.connects > 0 && now.Sub(c.counted) >= connectEvery; c.connects-- {
		c.counted = c.counted.Add(connectEvery)
	}
	if c.connects == 0 {
		c.counted = now
	}
	c.connects++
	return c.connects <= maxConnects
}

// count notes a CONNECT that was refused, and at last gives up.
func (c *client) count() error {
	c.srv.Refused.Add(1)
	if c.refused++; c.refused == maxRefused {
		return fault.New(fault.Invalid, "", "too many namespaces were refused")
	}
	return nil
}

func (c *client) all() []*channel {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.channels)
}

// opened is the peer of a channel whose session is open; nil if there is none.
func (c *client) opened() Peer {
	for _, ch := range c.all() {
		if ch.peer.Opened() {
			return ch.peer
		}
	}
	return nil
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

// remove takes a channel from the connection; false if it was not there any more. A
// client without channels has its time for another one.
func (c *client) remove(ch *channel) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.channels, ch)
	if i >= 0 {
		c.channels = slices.Delete(c.channels, i, i+1)
	}
	if len(c.channels) == 0 && !c.over {
		c.deadline.Reset(c.srv.cfg.ConnectTimeout)
		c.conn.Stand(false)
	}
	return i >= 0
}

// stands tells the connection that a namespace is connected, if it still is.
func (c *client) stands() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.channels) > 0 {
		c.conn.Stand(true)
	}
}

// closed ends all channels with the connection.
func (c *client) closed() {
	c.mu.Lock()
	c.over = true
	all := c.channels
	c.channels = nil
	c.deadline.Stop()
	c.mu.Unlock()
	if c.rest != nil {
		c.rest.Stop()
	}
	for _, ch := range all {
		ch.close()
	}
}
