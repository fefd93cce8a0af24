package load

// Drop cuts the connection, as a network would; the server learns of it at once, and
// it does not count as lost. It is called in the connection's loop.
func (c *Conn) Drop() {
	if c.state == closed {
		return
	}
	if c.state == ready {
		c.loop.eng.joined.Add(-1)
	}
	c.release()
}

// Redial queues a connection that was dropped to be opened anew, under its number.
// It is called in the connection's loop.
func (c *Conn) Redial() {
	if c.state != closed {
		return
	}
	c.mu.Lock()
	c.state, c.fd, c.out = dialing, -1, nil
	c.mu.Unlock()
	c.rest = nil
	c.loop.pending = append(c.loop.pending, c)
}

// ReadAt is when what the connection's loop handles now was read.
func (c *Conn) ReadAt() int64 { return c.loop.now }
