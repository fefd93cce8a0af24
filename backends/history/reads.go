package history

import (
	"cmp"
	"slices"
	"time"
)

// answer is how far a room had come when somebody was told so.
type answer struct {
	at  time.Duration
	top Event
}

// checkReads: pages have no gap, and the newest one has all that was acked before it was
// asked for.
func (c *checker) checkReads() {
	tops := c.tops()
	for i := range c.Reads {
		r := &c.Reads[i]
		c.checkPage(r)
		if !r.Newest {
			continue
		}
		list := tops[r.Room]
		n, _ := slices.BinarySearchFunc(list, r.Asked, func(a answer, at time.Duration) int { return cmp.Compare(a.at, at) })
		if n == 0 {
			continue
		}
		before := list[n-1]
		var newest Event
		if len(r.Events) > 0 {
			newest = r.Events[len(r.Events)-1]
		}
		if newest.Offset < before.top.Offset {
			c.report("P5", "%s asked for the newest of %s at %v and got %v, but at %v was acked: %v", r.By, r.Room, r.Asked, newest, before.at, before.top)
		}
	}
}

func (c *checker) checkPage(r *Read) {
	for i, e := range r.Events {
		c.agree("a page for "+r.By, e)
		if e.Key != "" && e.Expires > 0 && r.Answered > e.Expires+c.Bounds.Expiry {
			c.report("P6", "%s read %v at %v, which ended at %v", r.By, e, r.Answered, e.Expires)
		}
		if i > 0 && e.Offset != r.Events[i-1].Offset+1 {
			c.report("P5", "a page for %s at %v has %v behind %v", r.By, r.Asked, e, r.Events[i-1])
		}
	}
}

// tops are, by room, the furthest acks, in the order of time.
func (c *checker) tops() map[string][]answer {
	tops := map[string][]answer{}
	for i := range c.Sends {
		if s := &c.Sends[i]; s.Answered > 0 {
			tops[s.Room] = append(tops[s.Room], answer{s.Answered, s.Ack})
		}
	}
	for room, list := range tops {
		slices.SortStableFunc(list, func(a, b answer) int { return cmp.Compare(a.at, b.at) })
		for i := 1; i < len(list); i++ {
			if list[i].top.Offset < list[i-1].top.Offset {
				list[i].top = list[i-1].top
			}
		}
		tops[room] = list
	}
	return tops
}
