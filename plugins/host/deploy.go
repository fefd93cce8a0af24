package host

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// How a version is deployed.
const (
	Live   = "live"
	Canary = "canary"
	Shadow = "shadow"
)

// Request is a deploy.
type Request struct {
	Tenant string
	By     string // who asks, for the list
	Bundle *manifest.Bundle
	As     string  // Live, Canary or Shadow
	Share  float64 // of a canary, 0 to 1
	Folder bool    // it lies in a folder of the node's
}

// Deploy puts a version in place, and returns when it is there and kept. What is in its
// place already makes no new version; nor does the bundle that has come last from the
// node's folder if it comes from there again, also if its plugin was removed since. The
// error is a *fault.Error whose text the developer reads.
func (h *Host) Deploy(ctx context.Context, r Request) (Done, error) {
	done, err := h.deploy(ctx, r)
	if err != nil {
		h.Refused.Add(1)
		return done, err
	}
	if done.Unchanged {
		return done, nil
	}
	h.Deployed.Add(1)
	h.deps.Log.Info("a plugin was deployed", "tenant", r.Tenant, "plugin", r.Bundle.Manifest.Name, "number", done.Number, "version", done.Version, "as", r.As, "by", r.By)
	return done, nil
}

func (h *Host) deploy(ctx context.Context, r Request) (Done, error) {
	if r.As == Canary && (r.Share <= 0 || r.Share > 1) {
		return Done{}, fault.New(fault.Invalid, "share", "a canary is asked about a share of the users, above 0 and at most 1")
	}
	policy, end, err := h.begin(ctx, r.Tenant)
	if err != nil {
		return Done{}, err
	}
	defer end()
	if r.Folder {
		if had, err := h.hadFromFolder(ctx, r.Tenant, r.Bundle.Manifest.Name, r.Bundle.Digest()); had || err != nil {
			return Done{Unchanged: true}, err
		}
	}
	p, err := h.plugin(ctx, r.Tenant, r.Bundle.Manifest.Name, policy)
	if err != nil {
		return Done{}, err
	}
	var there bool
	done, err := h.again(ctx, r.Tenant, policy, func() (done Done, err error) {
		done, there, err = h.already(ctx, p, r)
		return done, err
	})
	if !there && err == nil {
		done, err = h.bringNew(ctx, p, r, policy)
	}
	if err != nil {
		h.changing.Lock()
		defer h.changing.Unlock()
		if err = refused(err); h.forget(p) {
			err = p.explained(err)
		}
		return Done{}, err
	}
	return done, nil
}

// already answers a deploy of what is in its place, which makes no other version: at most
// a canary gets another share. there is false if it is to be built. The tenant's turn is
// held.
func (h *Host) already(ctx context.Context, p *Plugin, r Request) (done Done, there bool, err error) {
	h.changing.Lock()
	defer h.changing.Unlock()
	next := p.state
	number, _ := p.same(r)
	if number == 0 {
		return Done{}, false, nil
	}
	if r.As == Canary && number == next.Canary {
		next.Share = r.Share
	}
	if r.Folder {
		next.Folder = r.Bundle.Digest()
	}
	done = p.state.became(&next, *next.find(number))
	done.Unchanged = done.ShareWas == 0
	if done.Unchanged && next.Folder == p.state.Folder {
		return done, true, h.stays(p)
	}
	if err := h.stays(p); err != nil {
		return Done{}, true, err
	}
	if err := h.keep(ctx, p, &next, nil); err != nil {
		return Done{}, true, err
	}
	h.write(func() { p.state = next })
	h.install(p, nil)
	return done, true, nil
}

// same finds what a bundle is already as it is to be deployed, with changing held: the
// number of a version that runs, or of one in that place which can not be run; 0 for none.
// A canary that is the same as the live version would tell nothing; a shadow tells whether
// it decides the same way each time.
func (p *Plugin) same(r Request) (running, broken int) {
	in, digest := p.placed(), r.Bundle.Digest()
	for i, n := range map[string][]int{Live: {p.state.Live}, Canary: {p.state.Canary, p.state.Live}, Shadow: {p.state.Shadow}}[r.As] {
		switch m := p.state.find(n); {
		case m == nil || m.Digest != digest:
		case in[n] != nil && in[n].program != nil:
			return n, 0
		case i == 0:
			broken = n
		}
	}
	return 0, broken
}

// bringNew builds a version, keeps its bundle and puts it in place, with the tenant's turn
// held. If the same bundle stands there already and can not be run, it is that version
// that is tried again.
func (h *Host) bringNew(ctx context.Context, p *Plugin, r Request, policy *Policy) (done Done, err error) {
	packed, err := r.Bundle.Pack()
	if err != nil {
		return Done{}, fault.Wrap("host.keep", fault.Internal, err)
	}
	h.changing.Lock()
	_, number := p.same(r)
	again := number > 0
	if !again {
		number = p.state.Last + 1
	}
	_, err = h.plan(p, r, Meta{Number: number, Digest: r.Bundle.Digest(), Stored: len(packed)}) // what has no place is not built
	h.changing.Unlock()
	if err != nil {
		return Done{}, err
	}
	v, err := h.build(ctx, p, r.Bundle, policy)
	if err != nil {
		return Done{}, err
	}
	switch err = h.prove(ctx, v, r.Bundle); {
	case err != nil:
	case !again:
		number, err = h.keepNew(ctx, p, number, packed)
	case !h.isKept(ctx, p, number, v.Digest):
		err = h.keepAgain(ctx, p, number, packed)
	}
	if err == nil {
		v.Number, v.By, v.Deployed, v.Stored = number, r.By, h.deps.Now().UnixMilli(), len(packed)
		done, err = h.again(ctx, p.Tenant, policy, func() (Done, error) { return h.settle(ctx, p, v, r, policy) })
	}
	if err == nil && done.Number == number {
		return done, nil
	}
	if v.Release(); !again {
		_ = h.drop(ctx, p, number) // nobody looks for it
	}
	return done, err
}

// prove runs the fixtures of a version that is new: what was deployed once has passed
// them, and is not to be kept from running again by the time that they take.
func (h *Host) prove(ctx context.Context, v *Version, b *manifest.Bundle) error {
	if h.deps.Fixtures == nil {
		return nil
	}
	return h.deps.Fixtures(ctx, v.program, b)
}

// refused is why a bundle does not get its place: if the node is not at fault, then the
// bundle is.
func refused(err error) error {
	var f *fault.Error
	if errors.As(err, &f) {
		return err
	}
	return fault.New(fault.Invalid, "bundle", err.Error())
}

// settle puts a version that was built in its place, unless another node has put the same
// there meanwhile.
func (h *Host) settle(ctx context.Context, p *Plugin, v *Version, r Request, policy *Policy) (Done, error) {
	h.changing.Lock()
	defer h.changing.Unlock()
	if err := h.stays(p); err != nil {
		return Done{}, err
	}
	if number, _ := p.same(r); number != 0 {
		return Done{Meta: *p.state.find(number), Live: p.state.Live, Unchanged: true}, nil
	}
	if p.state.Last == 0 {
		if err := h.another(p.Tenant, policy); err != nil {
			return Done{}, err
		}
	}
	if err := h.owns(p, v, "bundle"); err != nil {
		return Done{}, err
	}
	if kept := p.state.find(v.Number); kept != nil {
		v.Meta = *kept
	}
	m, err := h.plan(p, r, v.Meta)
	if err != nil {
		return Done{}, err
	}
	if err := h.keep(ctx, p, &m.next, m.old); err != nil {
		return Done{}, err
	}
	h.letGo(ctx, m.others)
	done := p.state.became(&m.next, v.Meta)
	h.write(func() { p.state = m.next })
	h.install(p, map[int]*Version{v.Number: v})
	return done, nil
}

// owns refuses an action that another plugin of the tenant owns, or would with its canary;
// with changing held.
func (h *Host) owns(p *Plugin, v *Version, field string) error {
	for _, other := range h.tenants[p.Tenant] {
		s := other.set.Load()
		if other == p || s == nil {
			continue
		}
		for _, its := range []*Version{s.live, s.canary} {
			for action := range v.owned {
				if its != nil && its.owned[action] != nil {
					return fault.New(fault.Conflict, field, fmt.Sprintf("the plugin %s owns the action %s", other.Name, action))
				}
			}
		}
	}
	return nil
}

// install puts into place what the state says, with changing held. built are versions that
// are new, by number; others that are needed are there already.
func (h *Host) install(p *Plugin, built map[int]*Version) {
	h.write(func() { p.lost = false })
	byNumber := p.placed()
	maps.Copy(byNumber, built)
	p.swap(&set{
		live: byNumber[p.state.Live], canary: byNumber[p.state.Canary], shadow: byNumber[p.state.Shadow], share: uint64(p.state.Share * 10000),
	})
	h.publish()
}

// placed are the versions in place by their numbers, with changing held.
func (p *Plugin) placed() map[int]*Version {
	out := map[int]*Version{}
	if s := p.set.Load(); s != nil {
		for _, v := range []*Version{s.live, s.canary, s.shadow} {
			if v != nil {
				out[v.Number] = v
			}
		}
	}
	return out
}
