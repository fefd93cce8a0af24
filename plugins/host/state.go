package host

import (
	"slices"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// state is what is kept of a plugin.
type state struct {
	Last     int     `json:"last"` // number of the newest version
	Live     int     `json:"live"`
	Previous int     `json:"previous"` // that a rollback makes live: the last one that was, and is another than the live one
	Canary   int     `json:"canary,omitempty"`
	Share    float64 `json:"share,omitempty"`
	Shadow   int     `json:"shadow,omitempty"`
	Why      string  `json:"why,omitempty"`    // the last canary was taken back
	Folder   string  `json:"folder,omitempty"` // digest of the bundle that came last from the node's folder
	Lived    []int   `json:"lived,omitempty"`  // numbers of those that were live and are kept, the last one last
	Versions []Meta  `json:"versions"`         // oldest first
}

// Status is a plugin for those who look.
type Status struct {
	Plugin string `json:"plugin"`
	state
	Failed    uint64            `json:"failed"`               // events on which the live version has failed on this node, since it is in place here
	CannotRun map[string]string `json:"cannot_run,omitempty"` // why versions in place can not, by live, canary and shadow
}

// Done is what a change has come to.
type Done struct {
	Meta                     // that was deployed, or is live now
	Live      int            // number of the version that is live now
	Was       int            // of the one that was before, if it is another
	Unchanged bool           // all of it was so before
	Share     float64        // of the version that was deployed, if it is the canary
	ShareWas  float64        // what it was, if that is all that has changed
	Ended     map[string]int // numbers of canary and shadow that were ended by it
}

// became is what a change from one state to another has come to for those who asked.
func (s *state) became(next *state, m Meta) Done {
	d := Done{Meta: m, Live: next.Live}
	if s.Live != next.Live {
		d.Was = s.Live
	}
	if next.Canary == m.Number {
		d.Share = next.Share
		if s.Canary == m.Number && s.Share != next.Share {
			d.ShareWas = s.Share
		}
	}
	for as, number := range map[string]int{Canary: s.Canary, Shadow: s.Shadow} {
		if number == 0 || number == next.Live || number == next.Canary || number == next.Shadow {
			continue
		}
		if d.Ended == nil {
			d.Ended = map[string]int{}
		}
		d.Ended[as] = number
	}
	return d
}

func (s *state) find(number int) *Meta {
	for i := range s.Versions {
		if s.Versions[i].Number == number {
			return &s.Versions[i]
		}
	}
	return nil
}

// place decides what a version is.
func (s *state) place(number int, as string, share float64) error {
	switch as {
	case Live:
		if s.Live != number {
			s.Lived = slices.DeleteFunc(append(slices.Clone(s.Lived), s.Live), func(n int) bool { return n == 0 || n == number })
			s.Live = number
			s.Previous = s.before()
		}
		s.Canary, s.Share, s.Shadow = 0, 0, 0
	case Canary, Shadow:
		if s.Live == 0 {
			return fault.New(fault.Conflict, "as", "the first version of a plugin can only be live: there is nothing to compare it with")
		}
		if as == Canary {
			s.Canary, s.Share, s.Why = number, share, ""
		} else {
			s.Shadow = number
		}
	default:
		return fault.New(fault.Invalid, "as", "want live, canary or shadow")
	}
	return nil
}

// before is the last version that was live and is another than the one that is: a
// rollback to the same bundle would change nothing. 0: there is none.
func (s *state) before() int {
	live := s.find(s.Live)
	for _, n := range slices.Backward(s.Lived) {
		if m := s.find(n); m != nil && (live == nil || m.Digest != live.Digest) {
			return n
		}
	}
	return 0
}

// holds reports whether a version is in place, or is the one to roll back to.
func (s *state) holds(n int) bool {
	return n == s.Live || n == s.Previous || n == s.Canary || n == s.Shadow
}

// forget leaves a version out.
func (s *state) forget(number int) {
	s.Versions = slices.DeleteFunc(slices.Clone(s.Versions), func(m Meta) bool { return m.Number == number })
	s.Lived = slices.DeleteFunc(slices.Clone(s.Lived), func(n int) bool { return n == number })
}

// trim forgets the oldest versions that are not in place, but for so many, and
// returns their numbers.
func (s *state) trim(keep int) (gone []int) {
	for _, m := range slices.Clone(s.Versions) {
		if len(s.Versions) > keep && !s.holds(m.Number) {
			gone = append(gone, m.Number)
			s.forget(m.Number)
		}
	}
	return gone
}

// Status is what there is of a plugin.
func (h *Host) Status(tenant, name string) (Status, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.tenants[tenant][name]
	if p == nil {
		return Status{}, notThere(name)
	}
	return p.status(), nil
}

func (p *Plugin) status() Status {
	st := Status{Plugin: p.Name, state: p.state}
	st.Versions, st.Lived, st.Folder = slices.Clone(st.Versions), nil, ""
	s := p.set.Load()
	if s == nil {
		return st
	}
	for as, v := range map[string]*Version{Live: s.live, Canary: s.canary, Shadow: s.shadow} {
		switch {
		case v == nil:
			continue
		case v.why != "":
			if st.CannotRun == nil {
				st.CannotRun = map[string]string{}
			}
			st.CannotRun[as] = v.why
		}
		if as == Live {
			for _, n := range v.Pool.Failed.Counts() {
				st.Failed += n
			}
		}
	}
	return st
}

// List is what there is of a tenant's plugins, by name.
func (h *Host) List(tenant string) []Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := []Status{}
	for _, p := range h.tenants[tenant] {
		out = append(out, p.status())
	}
	slices.SortFunc(out, func(a, b Status) int {
		if a.Plugin < b.Plugin {
			return -1
		}
		return 1
	})
	return out
}

// Find is a plugin with its logs, nil if there is none.
func (h *Host) Find(tenant, name string) *Plugin {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.tenants[tenant][name]
}
