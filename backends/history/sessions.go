package history

// track is how far a session is in a room.
type track struct {
	next  uint64 // what must come on this connection
	start uint64 // what lies up to here was before its time
	seen  map[uint64]bool
}

// checkSession: it got all that followed its positions, in order.
func (c *checker) checkSession(s *Session) {
	tracks := map[string]*track{}
	for i := range s.Steps {
		if st := &s.Steps[i]; st.Opened != nil {
			c.checkOpened(s, tracks, st)
		} else {
			c.checkSeen(s, tracks, st)
		}
	}
	if s.Gone {
		return
	}
	for room, t := range tracks {
		for _, e := range c.stream[room] {
			if e.Offset <= t.start || t.seen[e.Offset] {
				continue
			}
			if at, acked := c.acked[e.place()]; acked {
				c.report("P1", "%s was never given %v, which was acked at %v", s.Name, e, at)
			} else {
				c.report("P2", "%s was never given %v", s.Name, e)
			}
		}
	}
}

func (c *checker) checkOpened(s *Session, tracks map[string]*track, st *Step) {
	o := st.Opened
	if o.Resumed && !o.Recovered && (o.Reason == "" || o.Reason == "positions_lost" && len(o.Lost) == 0) {
		c.report("P4", "%s was not recovered at %v, and not told why", s.Name, st.At)
	}
	for room, why := range o.Lost {
		// Its rooms keep everything, and live as long as the run.
		c.report("P1", "%s was told at %v that %s is lost: %s", s.Name, st.At, room, why)
	}
	for room, at := range o.From {
		t := tracks[room]
		if t == nil || !o.Resumed || o.Lost[room] != "" {
			t = &track{start: at.Offset, seen: map[uint64]bool{}}
			tracks[room] = t
		}
		t.next = at.Offset + 1
	}
	for room := range tracks {
		if _, there := o.From[room]; !there {
			c.report("P4", "%s came back at %v without %s", s.Name, st.At, room)
			delete(tracks, room)
		}
	}
}

func (c *checker) checkSeen(s *Session, tracks map[string]*track, st *Step) {
	e := st.Seen
	c.agree(s.Name, e)
	if e.Key != "" && e.Expires > 0 && st.At > e.Expires+c.Bounds.Expiry {
		c.report("P6", "%s was shown %v at %v, which ended at %v", s.Name, e, st.At, e.Expires)
	}
	t := tracks[e.Room]
	switch {
	case t == nil:
		c.report("P2", "%s was given %v at %v, and is not in the room", s.Name, e, st.At)
		return
	case c.at(e.place()) == Event{}:
		c.report("P2", "%s was given %v at %v, which is not in history", s.Name, e, st.At)
		return
	case e.Offset > t.next:
		c.report("P2", "%s was given %v at %v, where %d was next", s.Name, e, st.At, t.next)
	}
	t.seen[e.Offset] = true
	t.next = max(t.next, e.Offset+1)
}
