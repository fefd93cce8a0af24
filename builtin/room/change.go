package room

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// change is what a room:update asks for.
type change struct {
	name, meta  []byte // raw JSON; nil if not asked for
	add, remove []string
	roles       map[string]string // by user
}

// changeOf reads the payload, and refuses what contradicts itself.
func changeOf(ev *event.Event) (*change, error) {
	c := &change{name: ev.Arg("name"), meta: ev.Arg("meta")}
	// Validated before, and null where they were not sent.
	for name, to := range map[string]any{"add": &c.add, "remove": &c.remove, "roles": &c.roles} {
		if raw := ev.Arg(name); raw != nil {
			_ = json.Unmarshal(raw, to)
		}
	}
	switch {
	case c.name == nil && c.meta == nil && len(c.add)+len(c.remove)+len(c.roles) == 0:
		return nil, fault.New(fault.Invalid, "payload.data", "one of name, meta, add, remove and roles is needed")
	case c.meta != nil && c.meta[0] != '{' && c.meta[0] != 'n':
		return nil, fault.New(fault.Invalid, "data.meta", "must be an object or null")
	}
	for i, user := range c.remove {
		if slices.Contains(c.add, user) {
			return nil, fault.New(fault.Invalid, element("remove", i), "is in add as well")
		}
		if _, given := c.roles[user]; given {
			return nil, fault.New(fault.Invalid, element("remove", i), "is in roles as well")
		}
	}
	if n := len(c.users()); n > maxNamed {
		return nil, fault.New(fault.TooLarge, "payload.data", fmt.Sprintf("at most %d users in one event, not %d", maxNamed, n))
	}
	return c, nil
}

// users are all who are named, each once and in order.
func (c *change) users() []string {
	all := slices.Concat(c.add, c.remove, slices.Collect(maps.Keys(c.roles)))
	slices.Sort(all)
	return slices.Compact(all)
}

func element(list string, i int) string { return fmt.Sprintf("data.%s[%d]", list, i) }

// once is a list in order, each element once.
func once(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}
