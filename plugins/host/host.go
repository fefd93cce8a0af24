package host

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/fair"
	"github.com/heddle-rt/heddle/plugins/guest"
	"github.com/heddle-rt/heddle/plugins/kv"
	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/plugins/pool"
	"github.com/heddle-rt/heddle/runtime/cell"
)

// Deps is what a host needs.
type Deps struct {
	Engine *guest.Engine
	Cells  cell.Store
	KV     *kv.Store
	Log    *slog.Logger
	Now    func() time.Time
	// Policy is what a tenant's plugins may do. It may change, and is asked each time.
	Policy func(tenant string) *Policy
	// Taken reports whether a plugin may not own an action.
	Taken func(action string) bool
	// Lookup answers questions of guests; nil: none are answered.
	Lookup func(ctx context.Context, tenant string, kind hostapi.Lookup, name string) ([]byte, hostapi.Status)
	// Dropped is told of a plugin that is removed, and drops what others keep of it. After
	// an error it is told again. nil: nobody is told.
	Dropped func(ctx context.Context, tenant, plugin string) error
	// Changed is told when this node has changed the plugins of a tenant, which others are to
	// Follow. It does not wait. nil: there are no others.
	Changed func(tenant string)
	// Fixtures runs those of a bundle; an error keeps it from being deployed. nil:
	// they are not run.
	Fixtures func(ctx context.Context, program *guest.Program, b *manifest.Bundle) error
}

// Host keeps the plugins of all tenants. It is safe for concurrent use.
type Host struct {
	cfg   Config
	deps  Deps
	table atomic.Pointer[table]

	turns    *Turns            // a tenant's is held by who builds for it, for as long as that takes
	changing sync.Mutex        // held by who changes what is in place, for as long as writing takes
	closed   bool              // guarded by changing
	versions map[string][]byte // by tenant, of what is kept of its plugins, as they stand here; likewise
	mu       sync.Mutex        // of what follows, and of Plugin.state: a moment
	tenants  map[string]map[string]*Plugin
	shared   map[string]*share // by tenant
	gone     map[string]bool   // tenants whose plugins were let go of
	wall     *Tenant           // stands in for the plugins of those

	shadows *fair.Queue[*shadowed]
	Crowd   *pool.Crowd // of the tenants whose plugins use too much
	Counters
}

// Counters count what the host has done.
type Counters struct {
	Deployed      atomic.Uint64
	Refused       atomic.Uint64 // deploys
	RolledBack    atomic.Uint64 // canaries, by themselves
	Compared      atomic.Uint64 // events that a shadow saw
	Differed      atomic.Uint64 // for which it decided otherwise
	ShadowsMissed atomic.Uint64 // events that it did not see, because too many waited
}

// table is what events look things up in. It never changes.
type table map[string]*Tenant

// Tenant is one tenant's plugins, in the order in which they are asked.
type Tenant struct {
	Plugins []*Plugin
	owners  map[string]*Plugin // by action
	share   *share
}

// Plugin is one of a tenant's.
type Plugin struct {
	Tenant, Name string
	Logs         Logs
	Metrics      Metrics
	Diffs        Diffs
	Requests     atomic.Int64 // HTTP requests to it that are under way

	host  *Host
	emits budget
	http  budget
	notes budget
	set   atomic.Pointer[set]
	state state  // written with both of Host's locks held, read with one
	late  bool   // there was not the time to build a version; likewise
	lost  bool   // the state that was kept can not be read, this one is a guess; likewise
	text  []byte // of the state, as it is kept; nil: it is not; guarded by Host.changing
}

// set is which versions are in place.
type set struct {
	live, canary, shadow *Version
	share                uint64 // of the canary, in 1/10,000
	trial                *trial // of the canary; swap sets it
}

// Bounds of the events that wait for shadows, and of what they hold, in bytes.
const (
	shadowQueue = 256
	shadowBytes = 16 << 20
)

// New makes a host without plugins; Load brings those that were deployed.
func New(cfg Config, deps Deps) *Host {
	h := &Host{
		cfg: cfg, deps: deps, versions: map[string][]byte{}, tenants: map[string]map[string]*Plugin{}, shared: map[string]*share{}, gone: map[string]bool{},
		turns: NewTurns(max(2, runtime.GOMAXPROCS(0))),
	}
	processors := runtime.GOMAXPROCS(0)
	h.Crowd = pool.NewCrowd(min(h.lanes(), max(1, processors/2)), processors, deps.Now)
	waiting := fair.Halves(shadowQueue, shadowTasks)
	waiting.Bytes, waiting.Heavy = shadowBytes, h.Heavy
	h.shadows = fair.New(waiting, h.miss)
	h.wall = h.newWall()
	h.table.Store(&table{})
	return h
}

// For is a tenant's plugins, nil if it has none. Of a tenant that had some and is gone it
// is one that refuses everything: what is still under way goes past no filter.
func (h *Host) For(tenant string) *Tenant { return (*h.table.Load())[tenant] }

// Owner is the plugin that owns an action, nil if none does.
func (t *Tenant) Owner(action string) *Plugin {
	if t == nil {
		return nil
	}
	return t.owners[action]
}

// Named finds a plugin by its name, nil if there is none.
func (t *Tenant) Named(name string) *Plugin {
	if t == nil {
		return nil
	}
	for _, p := range t.Plugins {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// Choose gives the version that is asked about an event of somebody, who gets the same
// one, on all nodes, as long as nothing is deployed. It is to be released. nil: the plugin has none.
func (p *Plugin) Choose(who string) *Version {
	for {
		s := p.set.Load()
		if s == nil || s.live == nil {
			return nil
		}
		v := s.live
		if s.canary != nil && p.hash(who)%10000 < s.share {
			v = s.canary
		}
		if v.hold() {
			return v
		}
	}
}

// Numbered is a version in place by its number, or else the one that Choose gives.
func (p *Plugin) Numbered(number int, who string) *Version {
	if s := p.set.Load(); s != nil {
		for _, v := range []*Version{s.live, s.canary} {
			if v != nil && v.Number == number && v.hold() {
				return v
			}
		}
	}
	return p.Choose(who)
}

// hash is FNV-1a over the plugin and somebody. It must be the same on all nodes.
func (p *Plugin) hash(who string) uint64 {
	h := uint64(14695981039346656037)
	for _, s := range [...]string{p.Name, who} {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * 1099511628211
		}
		h *= 1099511628211
	}
	return h ^ h>>32
}

// Action is the declaration of an action that the version owns, nil if it does not.
func (v *Version) Action(name string) *manifest.Action { return v.owned[name] }

// Owned is the declaration of an action that the plugin owns; nil: it does not.
func (p *Plugin) Owned(name string) *manifest.Action {
	if s := p.set.Load(); s != nil && s.live != nil {
		return s.live.owned[name]
	}
	return nil
}

// write changes what mu guards, with changing held.
func (h *Host) write(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}

// publish makes the table anew, with changing held.
func (h *Host) publish() {
	next := make(table, len(h.tenants))
	for tenant := range h.gone {
		next[tenant] = h.wall
	}
	for tenant, plugins := range h.tenants {
		if h.gone[tenant] { // it comes back, and not all of them are there
			continue
		}
		t := &Tenant{owners: map[string]*Plugin{}, share: h.share(tenant)}
		for _, name := range slices.Sorted(maps.Keys(plugins)) {
			p := plugins[name]
			s := p.set.Load()
			if s == nil || s.live == nil {
				continue
			}
			t.Plugins = append(t.Plugins, p)
			for action := range s.live.owned {
				if t.owners[action] == nil { // owns lets no two have it
					t.owners[action] = p
				}
			}
		}
		if len(t.Plugins) == 0 {
			continue
		}
		slices.SortFunc(t.Plugins, func(a, b *Plugin) int {
			return cmp.Or(cmp.Compare(a.set.Load().live.priority(), b.set.Load().live.priority()), cmp.Compare(a.Name, b.Name))
		})
		next[tenant] = t
	}
	h.table.Store(&next)
	h.Crowd.Tenants.Store(int64(len(next) - len(h.gone)))
}

// share is what all plugins of a tenant have together.
type share struct {
	slots  pool.Slots
	used   *pool.Share
	memory pool.Memory
	writes allowance
}

// share is a tenant's.
func (h *Host) share(tenant string) *share {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.shared[tenant]
	if s == nil {
		s = &share{slots: make(pool.Slots, h.lanes()), used: h.Crowd.Share()}
		h.shared[tenant] = s
	}
	return s
}

// add lists a plugin, with changing held.
func (h *Host) add(p *Plugin) {
	h.write(func() {
		if h.tenants[p.Tenant] == nil {
			h.tenants[p.Tenant] = map[string]*Plugin{}
		}
		h.tenants[p.Tenant][p.Name] = p
	})
}

// All lists the plugins of all tenants, by tenant and name.
func (h *Host) All() []*Plugin {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []*Plugin
	for _, tenant := range slices.Sorted(maps.Keys(h.tenants)) {
		for _, name := range slices.Sorted(maps.Keys(h.tenants[tenant])) {
			out = append(out, h.tenants[tenant][name])
		}
	}
	return out
}

// Versions are those in place, with what they are: live, canary, shadow. They are
// held, and to be released.
func (p *Plugin) Versions() map[string]*Version {
	out := map[string]*Version{}
	if s := p.set.Load(); s != nil {
		for as, v := range map[string]*Version{"live": s.live, "canary": s.canary, "shadow": s.shadow} {
			if v != nil && v.hold() {
				out[as] = v
			}
		}
	}
	return out
}

// Close ends all versions; nobody may ask any more.
func (h *Host) Close() {
	h.changing.Lock()
	defer h.changing.Unlock()
	h.closed = true
	for _, plugins := range h.tenants {
		for _, p := range plugins {
			p.swap(&set{})
		}
	}
	h.table.Store(&table{})
}

// swap puts other versions in place, and lets go of those that are not among them.
func (p *Plugin) swap(next *set) {
	next.trial = trialOf(p.set.Load(), next)
	was := p.set.Swap(next)
	p.Diffs.follow(next.shadow)
	if was == nil {
		return
	}
	kept := []*Version{next.live, next.canary, next.shadow}
	var left []*Version
	for _, v := range []*Version{was.live, was.canary, was.shadow} {
		if v != nil && !slices.Contains(kept, v) && !slices.Contains(left, v) {
			left = append(left, v)
		}
	}
	for _, v := range left {
		v.Release()
	}
}
