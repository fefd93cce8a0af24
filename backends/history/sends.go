package history

// checkSends: what was acked is in history at its place, and an id is stored once.
func (c *checker) checkSends() {
	sent, first := map[string]bool{}, map[string]Event{}
	for i := range c.Sends {
		s := &c.Sends[i]
		sent[s.Key] = true
		if s.Answered == 0 {
			continue
		}
		a := s.Ack
		if was, again := first[s.Key]; again {
			if was.place() != a.place() || was.ID != a.ID {
				c.report("P3", "acked as %v, and again as %v", was, a)
			}
			continue
		}
		first[s.Key] = a
		c.acked[a.place()] = s.Answered
		if is := c.at(a.place()); !is.is(a) {
			c.report("P1", "acked at %v: %v, but history has %v there", s.Answered, a, is)
		}
	}
	for _, events := range c.stream {
		stored := map[string]Event{}
		for _, e := range events {
			if e.Key == "" {
				continue
			}
			if was, twice := stored[e.Key]; twice {
				c.report("P3", "stored twice: %v and %v", was, e)
			}
			stored[e.Key] = e
			if !sent[e.Key] {
				c.report("P3", "nobody has sent %v", e)
			}
		}
	}
}

// checkOrder: of two messages that a connection has sent to a room, the first one stands
// first. Those that were sent more than once have no place of their own in the order.
func (c *checker) checkOrder() {
	type way struct {
		conn int
		room string
	}
	times := map[string]int{}
	for i := range c.Sends {
		times[c.Sends[i].Key]++
	}
	last := map[way]*Send{}
	for i := range c.Sends {
		s := &c.Sends[i]
		if s.Answered == 0 || times[s.Key] > 1 {
			continue
		}
		w := way{s.Conn, s.Room}
		if before := last[w]; before != nil && before.Ack.Epoch == s.Ack.Epoch && before.Ack.Offset > s.Ack.Offset {
			c.report("P2", "connection %d sent %q at %v and %q at %v, which were stored the other way: %v, %v",
				s.Conn, before.Key, before.At, s.Key, s.At, before.Ack, s.Ack)
			continue
		}
		last[w] = s
	}
}
