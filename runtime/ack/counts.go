package ack

import (
	"sync/atomic"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// counts holds one row an action, and one for events whose action is unknown.
// The rows are made at the start, so that counting neither locks nor allocates.
type counts struct {
	names []string
	rows  map[string]*row
	other *row
}

type row struct {
	done, repeat atomic.Uint64
	failed       []atomic.Uint64 // by kind
}

const unknown = "unknown"

func newCounts(actions []event.Action) counts {
	c := counts{rows: map[string]*row{}}
	add := func(name string) *row {
		r := &row{failed: make([]atomic.Uint64, len(fault.Kinds()))}
		c.rows[name], c.names = r, append(c.names, name)
		return r
	}
	for i := range actions {
		add(actions[i].Name)
	}
	c.other = add(unknown)
	return c
}

func (c *counts) row(ev *event.Event) *row {
	if ev.Spec == nil {
		return c.other
	}
	if r := c.rows[ev.Spec.Name]; r != nil {
		return r
	}
	return c.other
}

func (c *counts) done(ev *event.Event) {
	r := c.row(ev)
	r.done.Add(1)
	if ev.Repeat {
		r.repeat.Add(1)
	}
}

func (c *counts) refused(ev *event.Event, k fault.Kind) { c.row(ev).failed[k].Add(1) }

func (c *counts) read() []Counts {
	out := make([]Counts, 0, len(c.names))
	for _, name := range c.names {
		r := c.rows[name]
		n := Counts{Action: name, Done: r.done.Load(), Repeat: r.repeat.Load(), Failed: map[string]uint64{}}
		for k := range r.failed {
			if v := r.failed[k].Load(); v > 0 {
				n.Failed[fault.Kind(k).Code()] = v
			}
		}
		out = append(out, n)
	}
	return out
}
