package history

import (
	"maps"
	"slices"
	"time"
)

// checkPresence: who is said to be there was there lately, and who was there for long is
// said to be.
func (c *checker) checkPresence() {
	for i := range c.Looks {
		l := &c.Looks[i]
		from := l.At - c.Bounds.Presence
		if from < 0 || c.troubled(from, l.At) {
			continue
		}
		least, most := c.devices(from, l.At)
		users := maps.Clone(most)
		maps.Copy(users, l.Devices)
		for _, u := range slices.Sorted(maps.Keys(users)) {
			if n := l.Devices[u]; n < least[u] || n > most[u] {
				c.report("P7", "%s was told at %v that %s has %d devices; since %v there were at least %d and at most %d: %v",
					l.By, l.At, u, n, from, least[u], most[u], c.lives(u, from, l.At))
			}
		}
	}
}

// devices are, by user, how many had a connection all of a time, and at some time of it.
func (c *checker) devices(from, to time.Duration) (least, most map[string]int) {
	type device struct{ user, name string }
	least, most, seen := map[string]int{}, map[string]int{}, map[device]bool{}
	for i := range c.Lives {
		f := &c.Lives[i]
		if f.From >= to || f.To != 0 && f.To <= from {
			continue
		}
		if d := (device{f.User, f.Device}); !seen[d] {
			seen[d] = true
			most[f.User]++
		}
		if f.From <= from && (f.To == 0 || f.To >= to) {
			least[f.User]++
		}
	}
	return least, most
}

// lives are a user's of some time.
func (c *checker) lives(user string, from, to time.Duration) (list []Life) {
	for _, f := range c.Lives {
		if f.User == user && f.From <= to && (f.To == 0 || f.To >= from) {
			list = append(list, f)
		}
	}
	return list
}

func (c *checker) troubled(from, to time.Duration) bool {
	return slices.ContainsFunc(c.Trouble, func(s Span) bool { return s.From < to && s.To > from })
}

// checkTyping: who is said to type has typed lately.
func (c *checker) checkTyping() {
	type who struct{ room, user string }
	typed := map[who][]time.Duration{}
	for _, k := range c.Typed {
		typed[who{k.Room, k.User}] = append(typed[who{k.Room, k.User}], k.At)
	}
	for _, k := range c.Typing {
		from := k.At - c.Bounds.Presence
		if from < 0 || c.troubled(from, k.At) {
			continue
		}
		if !slices.ContainsFunc(typed[who{k.Room, k.User}], func(at time.Duration) bool { return at >= from && at <= k.At }) {
			c.report("P7", "%s was said to type in %s at %v, and has not since %v", k.User, k.Room, k.At, from)
		}
	}
}
