package host

import (
	"slices"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// state is what is kept of a plugin.
type state struct {
	Last     int     `json:"last"` // number of the newest version
	Live     int     `json:"live"`
	Previous int     `json:"previous"` // that was live before
	Canary   int     `json:"canary,omitempty"`
	Share    float64 `json:"share,omitempty"`
	Shadow   int     `json:"shadow,omitempty"`
	Why      string  `json:"why,omitempty"`    // the last canary was taken back
	Folder   string  `json:"folder,omitempty"` // digest of the bundle that came last from the node's folder
	Versions []Meta  `json:"versions"`         // oldest first
}

// Status is a plugin for those who look.
type Status struct {
	Plugin string `json:"plugin"`
	state
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
			s.Previous, s.Live = s.Live, number
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

// trim forgets the oldest versions that are not in place, but for so many, and
// returns their numbers.
func (s *state) trim(keep int) (gone []int) {
	for i := 0; len(s.Versions) > keep && i < len(s.Versions); {
		n := s.Versions[i].Number
		if n == s.Live || n == s.Previous || n == s.Canary || n == s.Shadow {
			i++
			continue
		}
		gone = append(gone, n)
		s.Versions = slices.Delete(s.Versions, i, i+1)
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
	st := Status{p.Name, p.state}
	st.Versions = slices.Clone(st.Versions)
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
