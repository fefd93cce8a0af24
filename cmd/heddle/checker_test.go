package main_test

import (
	"fmt"
	"unique"
)

// The checker judges a run from what clients wrote down, and from nothing else.
// Promises are those of the README: P1 nothing acked is lost, P2 one order, P3
// one event for an id, P4 a resume is whole or says why not.

// word is a string that occurs often.
type word = unique.Handle[string]

// stored is an event at its place in a room.
type stored struct {
	room, epoch, id word
	key             word // the sender's own id; "" if it is not a message
	offset          uint64
}

func (s stored) String() string {
	if s == (stored{}) {
		return "nothing"
	}
	return fmt.Sprintf("%s %s of %s at %s:%d", s.key.Value(), s.id.Value(), s.room.Value(), s.epoch.Value(), s.offset)
}

// position is a place in a room's stream.
type position struct {
	Epoch  string `json:"epoch"`
	Offset uint64 `json:"offset"`
}

// opened is what an answer to session:open or session:resume means.
type opened struct {
	resumed   bool
	recovered bool
	reason    string
	from      map[string]position // by room: events behind this follow
	lost      map[string]string   // rooms that are not replayed, and why
}

// entry is one line in a receiver's records: an answer or an event.
type entry struct {
	opened *opened
	event  stored
}

// receiver is what one session saw, in its order.
type receiver struct {
	name    string
	once    bool // it drops repeats by itself
	entries []entry
}

// records are those of a run that ended in silence: nothing was under way.
type records struct {
	sent      map[word]bool // keys
	acks      []stored      // what senders were told
	history   map[word][]stored
	receivers []*receiver
}

// violation is a broken promise.
type violation struct{ promise, what string }

func (v violation) String() string { return v.promise + ": " + v.what }

type checker struct {
	*records
	acked map[stored]bool
	found []violation
}

// check finds every broken promise, up to a bound.
func (r *records) check() []violation {
	c := &checker{records: r, acked: map[stored]bool{}}
	c.checkHistory()
	c.checkAcks()
	for _, rec := range r.receivers {
		c.checkReceiver(rec)
	}
	return c.found
}

func (c *checker) report(promise, format string, args ...any) {
	const most = 100
	if len(c.found) < most {
		c.found = append(c.found, violation{promise, fmt.Sprintf(format, args...)})
	}
}

// checkHistory: offsets are 1..n in one epoch, and each message stands there once.
func (c *checker) checkHistory() {
	places := map[word]stored{}
	for _, events := range c.history {
		for i, e := range events {
			if e.offset != uint64(i+1) {
				c.report("P2", "history has %v as number %d", e, i+1)
			}
			if e.epoch != events[0].epoch {
				c.report("P2", "history has %v, but began with %v", e, events[0])
			}
			if e.key.Value() == "" {
				continue
			}
			if first, twice := places[e.key]; twice {
				c.report("P3", "stored twice: %v and %v", first, e)
			}
			places[e.key] = e
			if !c.sent[e.key] {
				c.report("P3", "nobody sent %v", e)
			}
		}
	}
}

// at is what history holds at a place.
func (c *checker) at(room word, offset uint64) stored {
	if events := c.history[room]; offset > 0 && offset <= uint64(len(events)) {
		return events[offset-1]
	}
	return stored{}
}

// checkAcks: all acks of a message name one place, and it is there.
func (c *checker) checkAcks() {
	first := map[word]stored{}
	for _, a := range c.acks {
		if was, again := first[a.key]; again {
			if was != a {
				c.report("P3", "acked as %v, and again as %v", was, a)
			}
			continue
		}
		first[a.key] = a
		c.acked[a] = true
		if is := c.at(a.room, a.offset); is != a {
			c.report("P1", "acked %v, but history has %v there", a, is)
		}
	}
}

// track is how far a receiver is in a room.
type track struct {
	next  uint64 // what must come, on this connection
	start uint64 // what lies up to here was before its time
	seen  []bool // by offset
}

func (c *checker) checkReceiver(r *receiver) {
	tracks := map[word]*track{}
	for _, e := range r.entries {
		if e.opened != nil {
			c.checkOpened(r, tracks, e.opened)
		} else {
			c.checkEvent(r, tracks, e.event)
		}
	}
	for room, t := range tracks {
		for offset := t.start + 1; offset <= uint64(len(c.history[room])); offset++ {
			if t.seen[offset] {
				continue
			}
			if e := c.at(room, offset); c.acked[e] {
				c.report("P1", "%s was never given %v, which was acked", r.name, e)
			} else {
				c.report("P2", "%s was never given %v", r.name, e)
			}
		}
	}
}

func (c *checker) checkOpened(r *receiver, tracks map[word]*track, o *opened) {
	if o.resumed && !o.recovered && (o.reason == "" || (o.reason == "positions_lost" && len(o.lost) == 0)) {
		c.report("P4", "%s was not recovered, and not told why", r.name)
	}
	for name, at := range o.from {
		room := unique.Make(name)
		t := tracks[room]
		if t == nil || !o.resumed || o.lost[name] != "" {
			t = &track{start: at.Offset, seen: make([]bool, len(c.history[room])+1)}
			tracks[room] = t
		}
		t.next = at.Offset + 1
	}
	for room := range tracks {
		if _, there := o.from[room.Value()]; !there {
			c.report("P4", "%s came back without %s", r.name, room.Value())
		}
	}
}

func (c *checker) checkEvent(r *receiver, tracks map[word]*track, e stored) {
	t := tracks[e.room]
	if t == nil {
		c.report("P2", "%s was given %v, and is not in the room", r.name, e)
		return
	}
	if is := c.at(e.room, e.offset); is != e {
		c.report("P2", "%s was given %v, but history has %v there", r.name, e, is)
		return
	}
	switch {
	case e.offset > t.next:
		c.report("P2", "%s was given %v where %d was next", r.name, e, t.next)
	case e.offset < t.next && r.once:
		c.report("P2", "%s was given %v again, or too late: %d was next", r.name, e, t.next)
	}
	t.seen[e.offset] = true
	t.next = max(t.next, e.offset+1)
}
