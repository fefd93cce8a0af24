package history

import (
	"fmt"
	"time"
)

// Violation is a broken promise.
type Violation struct{ Promise, What string }

func (v Violation) String() string { return v.Promise + ": " + v.What }

// most is how many violations of a promise are told; one fault breaks much.
const most = 20

type checker struct {
	*History
	found  []Violation
	count  map[string]int
	places map[place]Event  // what is at a position, as it was first written down
	ids    map[string]Event // where an event is, likewise
	stream map[string][]Event
	acked  map[place]time.Duration // when it was first answered so
}

type place struct {
	room string
	Position
}

func (e Event) place() place { return place{e.Room, e.Position} }

// Check finds what does not agree with the promises.
func Check(h *History) []Violation {
	c := &checker{
		History: h, count: map[string]int{}, places: map[place]Event{}, ids: map[string]Event{}, stream: map[string][]Event{},
		acked: map[place]time.Duration{},
	}
	c.checkStreams()
	c.checkSends()
	c.checkOrder()
	for _, s := range h.Sessions {
		c.checkSession(s)
	}
	c.checkReads()
	c.checkPresence()
	c.checkTyping()
	return c.found
}

func (c *checker) report(promise, format string, args ...any) {
	if c.count[promise]++; c.count[promise] <= most {
		c.found = append(c.found, Violation{promise, fmt.Sprintf(format, args...)})
	}
}

// agree holds an event against all that was written down before about its place, and
// about its id.
func (c *checker) agree(who string, e Event) {
	if first, known := c.places[e.place()]; !known {
		c.places[e.place()] = e
	} else if !first.is(e) {
		c.report("P2", "%s has %v, where others have %v", who, e, first)
		return
	} else if first.Key == "" {
		c.places[e.place()] = e
	}
	if first, known := c.ids[e.ID]; known && first.place() != e.place() {
		c.report("P2", "%s has %v, which others have at %s:%d (epoch %s)", who, e, first.Room, first.Offset, first.Epoch)
		return
	}
	c.ids[e.ID] = e
}

// checkStreams: in the end, each node has the same of each room, from the first offset on
// and without a gap.
func (c *checker) checkStreams() {
	for room, copies := range c.Final {
		for i, events := range copies {
			who := fmt.Sprintf("history, as read the %d. time,", i+1)
			for k, e := range events {
				if e.Offset != uint64(k+1) || e.Epoch != events[0].Epoch {
					c.report("P2", "%s has %v as number %d", who, e, k+1)
				}
				c.agree(who, e)
			}
			if first := copies[0]; len(events) != len(first) {
				c.report("P5", "%s has %d events of %s, and had %d at first", who, len(events), room, len(first))
			}
		}
		if len(copies) > 0 {
			c.stream[room] = copies[0]
		}
	}
}

// at is what history holds at a place in the end.
func (c *checker) at(p place) Event {
	if events := c.stream[p.room]; p.Offset > 0 && p.Offset <= uint64(len(events)) && events[p.Offset-1].Epoch == p.Epoch {
		return events[p.Offset-1]
	}
	return Event{}
}
