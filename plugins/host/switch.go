package host

import (
	"cmp"
	"context"
	"fmt"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// Switch makes another kept version live: number, or if that is 0 the last one that was
// live and is another than the one that is. Canary and shadow end.
func (h *Host) Switch(ctx context.Context, tenant, name string, number int) (Done, error) {
	return h.change(ctx, tenant, name, true, func(s *state) (int, error) {
		wanted := cmp.Or(number, s.Previous)
		if wanted == 0 {
			return 0, fault.New(fault.Conflict, "", "there is no version before this one that is another")
		}
		if s.find(wanted) == nil {
			return 0, notKept(wanted)
		}
		return wanted, s.place(wanted, Live, 0)
	})
}

// Promote makes the canary live.
func (h *Host) Promote(ctx context.Context, tenant, name string) (Done, error) {
	return h.change(ctx, tenant, name, true, func(s *state) (int, error) {
		if s.Canary == 0 {
			return 0, fault.New(fault.Conflict, "", "there is no canary")
		}
		number := s.Canary
		return number, s.place(number, Live, 0)
	})
}

// Stop ends the canary and the shadow.
func (h *Host) Stop(ctx context.Context, tenant, name string) (Done, error) {
	return h.change(ctx, tenant, name, false, func(s *state) (int, error) {
		if s.Live == 0 {
			return 0, fault.New(fault.Conflict, "", "there is no live version")
		}
		return s.Live, s.place(s.Live, Live, 0)
	})
}

// change makes another choice of kept versions. decide is asked again if a version has
// to be built first. One that stands in its place and can not be run is tried again if it
// has to run; if it has not, it is what is live, which has to be known.
func (h *Host) change(ctx context.Context, tenant, name string, runs bool, decide func(*state) (number int, err error)) (Done, error) {
	policy, end, err := h.begin(ctx, tenant)
	if err != nil {
		return Done{}, err
	}
	defer end()
	return h.again(ctx, tenant, policy, func() (Done, error) { return h.changeOnce(ctx, tenant, name, runs, decide) })
}

// changeOnce is change with the tenant's turn held.
func (h *Host) changeOnce(ctx context.Context, tenant, name string, runs bool, decide func(*state) (number int, err error)) (Done, error) {
	v, err := h.chosen(ctx, tenant, name, runs, decide)
	if err != nil {
		return Done{}, err
	}
	h.changing.Lock()
	defer h.changing.Unlock()
	p := v.plugin
	next := p.state
	number, err := decide(&next)
	if gone := h.stays(p); gone != nil {
		err = gone
	}
	if err == nil && number != v.Number {
		err = errMeanwhile
	}
	if err == nil && number != p.state.Live {
		err = h.owns(p, v, "number")
	}
	if err == nil {
		err = h.keep(ctx, p, &next, nil)
	}
	if err != nil {
		v.Release()
		return Done{}, err
	}
	there := p.placed()[number] == v
	done := p.state.became(&next, v.Meta)
	done.Unchanged = there && done.Was == 0 && len(done.Ended) == 0
	h.write(func() { p.state = next })
	h.install(p, map[int]*Version{v.Number: v})
	if there {
		v.Release() // it had its place before
	}
	if !done.Unchanged {
		h.deps.Log.Info("a plugin was switched", "tenant", tenant, "plugin", name, "number", number)
	}
	return done, nil
}

// errMeanwhile says that the plugin's versions are others by now.
var errMeanwhile = fault.New(fault.Conflict, "", "the plugin was changed meanwhile")

// chosen is the version that is wanted, held: one in place, or built of what is kept. The
// tenant's turn is held.
func (h *Host) chosen(ctx context.Context, tenant, name string, runs bool, decide func(*state) (number int, err error)) (*Version, error) {
	h.changing.Lock()
	p := h.tenants[tenant][name]
	if p == nil {
		h.changing.Unlock()
		return nil, notThere(name)
	}
	if p.lost && !runs {
		h.changing.Unlock()
		return nil, guessed()
	}
	next := p.state
	number, err := decide(&next)
	v := p.placed()[number]
	if v != nil && v.program == nil && runs {
		v = nil
	}
	if err == nil && v != nil {
		v.hold() // it has its place, and so can be held
	}
	h.changing.Unlock()
	if err != nil || v != nil {
		return v, err
	}
	return h.revive(ctx, p, number, &next)
}

// guessed refuses what would leave the live version of a plugin as it is whose state could
// not be read: that would make a truth of a guess.
func guessed() error {
	return fault.New(fault.Conflict, "", "what was kept of the plugin can not be read, and so not which version was live: deploy one live, or switch to one by its number")
}

func notThere(name string) error {
	return fault.New(fault.NotFound, "plugin", fmt.Sprintf("there is no plugin %q", name))
}

// revive builds a version of what is kept, with the tenant's turn held.
func (h *Host) revive(ctx context.Context, p *Plugin, number int, of *state) (*Version, error) {
	policy, err := h.served(p.Tenant)
	if err != nil {
		return nil, err
	}
	b, err := h.bundle(ctx, p, number)
	if err != nil {
		return nil, err
	}
	v, err := h.build(ctx, p, b, policy)
	if err != nil {
		return nil, fault.New(fault.Conflict, "number", reason(err))
	}
	if kept := of.find(number); kept != nil {
		v.Meta = *kept
	}
	return v, nil
}
