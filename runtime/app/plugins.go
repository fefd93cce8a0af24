package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/fetch"
	"github.com/heddle-rt/heddle/plugins/fixture"
	"github.com/heddle-rt/heddle/plugins/guest"
	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/pool"
	"github.com/heddle-rt/heddle/plugins/timer"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/observe"
	"github.com/heddle-rt/heddle/runtime/plugin"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/session"
)

// PluginsConfig is the operator's part of plugins.
type PluginsConfig struct {
	Run  host.Config  `yaml:"run" doc:"How plugins are run."`
	HTTP fetch.Config `yaml:"http" doc:"Requests that plugins send."`

	Folder FolderConfig `yaml:"folder" doc:"Plugins that come with the configuration."`
}

// plugins is all that tenants' plugins need of a node.
type plugins struct {
	engine   *guest.Engine
	host     *host.Host
	service  *plugin.Service
	after    *plugin.After
	fetcher  *fetch.Fetcher
	timers   *timer.Timers
	folder   *pluginFolder
	policies atomic.Pointer[map[string]host.Policy]
	coming   atomic.Pointer[map[string]host.Policy] // of tenants whose plugins a reload brings: the host's alone
	log      *slog.Logger
	changed  chan struct{} // holds one if there are other policies
	loaded   chan struct{} // holds one if plugins were loaded, of which some may be late
}

// newPlugins makes it; nothing runs yet.
func (a *App) newPlugins(cfg Config, actions []event.Action) (*plugins, error) {
	p := &plugins{log: a.log, changed: make(chan struct{}, 1), loaded: make(chan struct{}, 1)}
	p.policies.Store(policies(cfg.Tenants))
	p.coming.Store(policies(nil))
	var err error
	if p.engine, err = guest.New(guest.Config{Cache: cfg.compiled(), Most: int64(cfg.Plugins.Run.CacheSize)}); err != nil {
		return nil, err
	}
	p.fetcher = fetch.New(cfg.Plugins.HTTP, fetch.Deps{
		Log: a.log, Resolver: a.resolver, Heavy: func(tenant string) bool { return p.host.Heavy(tenant) },
		Answer: func(ctx context.Context, r *fetch.Response) { p.service.Answered(ctx, r) },
	})
	a.stores.kv.Writes = p.writes
	timers, hosting := p.timerDeps(a), p.hostDeps(a)
	var nodes plugin.Nodes
	if a.cluster != nil {
		n := newPluginNodes(a.cluster, p)
		a.cluster.plugins = n
		timers.Nodes, hosting.Changed, nodes = n, n.tell, n
	}
	p.timers, p.host = timer.New(timers), host.New(cfg.Plugins.Run, hosting)
	p.service = plugin.New(plugin.Deps{
		Host: p.host, Rooms: a.rooms, Outside: &plugin.Reach{Fetcher: p.fetcher, Timers: p.timers}, Actions: actions, Nodes: nodes,
		Stored: a.storedBefore, Emit: a.emitOfPlugin, Log: a.log, Now: a.now,
		Direct:  func(env *event.Envelope, user, device string) int { return a.sessions.Direct(env, user, device) },
		Workers: max(1, cfg.Workers/2), Aside: a.workers, Heavy: p.host.Heavy,
	})
	p.after = plugin.NewAfter(p.service)
	p.folder = newPluginFolder(pluginFolder{cfg: cfg.Plugins.Folder, host: p.host, most: p.largest, log: a.log})
	return p, nil
}

func (p *plugins) timerDeps(a *App) timer.Deps {
	return timer.Deps{
		Cells: a.stores.cells, Log: a.log, Now: a.now, Fire: func(ctx context.Context, f timer.Firing) error { return p.service.Fired(ctx, f) },
		There:  func(tenant, name string) bool { return p.host.Find(tenant, name) != nil },
		Rate:   func(tenant string) float64 { return p.host.TimersPerSecond(tenant) },
		Writes: p.writes,
		Heavy:  func(tenant string) bool { return p.host.Heavy(tenant) },
		Busy:   notAsked, GivenUp: p.givenUp,
	}
}

func (p *plugins) hostDeps(a *App) host.Deps {
	return host.Deps{
		Engine: p.engine, Cells: a.stores.cells, KV: a.stores.kv, Log: a.log, Now: a.now,
		Policy: p.policy,
		Taken:  func(action string) bool { return p.service.Taken(action) }, Lookup: a.lookup,
		Fixtures: fixture.RunOn(p.engine), Dropped: func(ctx context.Context, tenant, name string) error { return p.timers.Drop(ctx, tenant, name) },
	}
}

// writes takes bytes out of what a tenant's plugins may write.
func (p *plugins) writes(tenant string, bytes int64) bool { return p.host.Writes(tenant, bytes) }

// compiled is the folder of compiled code; empty: it stays in memory, as by default in a
// cluster, whose nodes need no disk.
func (c *Config) compiled() string {
	if c.Plugins.Run.Cache == "" && !c.Clustered() {
		return filepath.Join(c.Storage.Dir, "compiled")
	}
	return c.Plugins.Run.Cache
}

// policy is what a tenant's plugins may do, nil if the node does not serve it. Of one that
// comes it is there before anybody is let in, or deploys.
func (p *plugins) policy(tenant string) *host.Policy {
	coming := p.coming.Load() // first: who is taken out of it is in force by then
	if t, ok := (*p.policies.Load())[tenant]; ok {
		return &t
	}
	if t, ok := (*coming)[tenant]; ok {
		return &t
	}
	return nil
}

// largest is how many bytes a tenant's module may have; -1 if there is no such tenant.
func (p *plugins) largest(tenant string) int64 {
	policy, found := (*p.policies.Load())[tenant]
	if !found {
		return -1
	}
	return int64(policy.Limits.Module)
}

// left is told of each room that a session leaves.
func (a *App) left(s *session.Session, room string) {
	id := s.Identity()
	a.typing.Stop(id.Tenant, room, id.User)
	a.plugins.after.Left(s, room)
}

// disconnected is told of each connection that ends.
func (a *App) disconnected(s *session.Session) { a.plugins.after.Disconnected(s) }

func policies(tenants map[string]Tenant) *map[string]host.Policy {
	out := make(map[string]host.Policy, len(tenants))
	for name, t := range tenants {
		out[name] = t.Plugins
	}
	return &out
}

// tenants are those that there are policies of.
func (p *plugins) tenants() []string { return slices.Sorted(maps.Keys(*p.policies.Load())) }

// load brings what was deployed to the node's tenants.
func (p *plugins) load(ctx context.Context) error {
	defer signal(p.loaded)
	for _, tenant := range p.tenants() {
		if err := p.host.Load(ctx, tenant); err != nil {
			return err
		}
		for _, s := range p.host.List(tenant) {
			if err := p.timers.Load(ctx, tenant, s.Plugin); err != nil {
				return err
			}
		}
	}
	return nil
}

// finish builds what there was no time for when it was loaded, until ctx ends.
func (p *plugins) finish(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.loaded:
		}
		for _, tenant := range p.tenants() {
			if err := p.host.Finish(ctx, tenant); err != nil && ctx.Err() == nil {
				p.log.Error("plugins could not be started", "tenant", tenant, "error", err)
			}
		}
	}
}

// follow has the plugins be those of the tenants that there are, until ctx ends. A reload
// does not wait for that.
func (p *plugins) follow(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.changed:
		}
		p.host.Retire()
		p.timers.Unload(func(tenant, name string) bool { return p.host.Find(tenant, name) == nil })
		if err := p.load(ctx); err != nil && ctx.Err() == nil {
			p.log.Error("plugins of new tenants could not be loaded", "error", err)
		}
	}
}

// comeTime is how long a reload waits for the plugins of tenants that come. Those that are
// not built by then refuse their events until they are.
const comeTime = 10 * time.Second

// come has the plugins of tenants that come, or come back, stand before anybody is let in
// who would go past them, and before anything is deployed to them.
func (p *plugins) come(ctx context.Context, next *Config) error {
	was := p.policies.Load()
	both := maps.Clone(*was)
	maps.Copy(both, *policies(next.Tenants)) // those of tenants that go are let go of after their users
	p.coming.Store(&both)
	defer p.coming.Store(policies(nil))
	defer signal(p.loaded)
	within, cancel := context.WithTimeout(ctx, comeTime)
	defer cancel()
	for _, tenant := range slices.Sorted(maps.Keys(next.Tenants)) {
		if _, stays := (*was)[tenant]; stays {
			continue
		}
		err := p.host.Load(within, tenant)
		if err != nil && p.host.Stands(ctx, tenant) {
			err = nil
		}
		for _, s := range p.host.List(tenant) {
			err = cmp.Or(err, p.timers.Load(ctx, tenant, s.Plugin))
		}
		if err != nil {
			p.coming.Store(policies(nil))
			signal(p.changed) // those that were brought are let go of
			return fmt.Errorf("tenants.%s: its plugins can not be loaded: %w", tenant, err)
		}
	}
	p.policies.Store(&both)
	return nil
}

// notAsked reports whether an error says that a plugin was not asked at all.
func notAsked(err error) bool {
	f, ok := errors.AsType[*pool.Failure](err)
	return ok && (f.Reason == pool.ReasonBusy || f.Reason == pool.ReasonBroken)
}

func (p *plugins) givenUp(f timer.Firing, tries int, err error) {
	if found := p.host.Find(f.Tenant, f.Plugin); found != nil {
		found.Note("error", fmt.Sprintf("timer %.200q is given up: it has failed %d times, at last: %v", f.Name, tries, err))
	}
}

// reloadPlugins takes another configuration's policies.
func (a *App) reloadPlugins(next *Config) (func(), error) {
	list := policies(next.Tenants)
	return func() {
		a.plugins.policies.Store(list)
		signal(a.plugins.changed)
	}, nil
}

// signal has whoever waits look again; one that will look anyway sees the same.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// storedBefore reports whether an event was stored under its id.
func (a *App) storedBefore(ctx context.Context, ev *event.Event) bool {
	known, err := a.sequence.Known(ctx, ev)
	return err == nil && known // otherwise the committer finds out
}

// emitOfPlugin brings an event to its room that no other event brings along.
func (a *App) emitOfPlugin(ctx context.Context, e event.Effect) error {
	if e.Durable {
		return a.submit.Commit(ctx, e)
	}
	a.emit.Emit(&e.Envelope, e.Merge)
	return nil
}

// lookup answers questions of guests, as JSON.
func (a *App) lookup(ctx context.Context, tenant string, kind hostapi.Lookup, name string) ([]byte, hostapi.Status) {
	first, second, _ := strings.Cut(name, " ")
	var value any
	found, err := true, error(nil)
	switch kind {
	case hostapi.LookupRoom:
		var r room.Info
		if r, found, err = a.stores.rooms.Room(ctx, tenant, first); found && err == nil {
			value = roomOf(&r)
		}
	case hostapi.LookupMember:
		var m room.Member
		if m, found, err = a.stores.rooms.Member(ctx, tenant, first, second); found {
			value = map[string]any{"role": m.Role, "joined_at": m.Joined}
		}
	case hostapi.LookupMembers:
		value, err = a.membersOf(ctx, tenant, first, second)
	case hostapi.LookupPresence:
		st := a.presence.State(tenant, first)
		if st.Devices == nil || st.Status == statusOffline { // who is not seen is nowhere
			st.Devices = []string{}
		}
		value = map[string]any{"status": st.Status, "devices": st.Devices}
	default:
		return nil, hostapi.Invalid
	}
	switch {
	case err != nil:
		return nil, hostapi.Unavailable
	case !found:
		return nil, hostapi.NotFound
	}
	text, err := json.Marshal(value)
	if err != nil {
		return nil, hostapi.Unavailable
	}
	return text, hostapi.OK
}

func roomOf(r *room.Info) map[string]any {
	out := map[string]any{"name": r.Name, "creator": r.Creator, "created_at": r.Created}
	if r.Meta != nil {
		out["meta"] = json.RawMessage(r.Meta)
	}
	return out
}

// lookupMembers is how many members a guest is told of at once.
const lookupMembers = 100

func (a *App) membersOf(ctx context.Context, tenant, name, after string) (any, error) {
	list, err := a.stores.rooms.Members(ctx, tenant, name, after, lookupMembers)
	out := struct {
		Members []map[string]string `json:"members"`
		Next    string              `json:"next,omitempty"`
	}{Members: []map[string]string{}}
	for _, m := range list {
		out.Members = append(out.Members, map[string]string{"user": m.User, "role": m.Role})
	}
	if len(list) == lookupMembers {
		out.Next = list[len(list)-1].User
	}
	return out, err
}

// pluginMetrics are those of plugins, by tenant, plugin and version.
func (a *App) pluginMetrics(r *observe.Registry) {
	each := func(visit func(tenant, name, as string, v *host.Version)) {
		for _, p := range a.plugins.host.All() {
			for as, v := range p.Versions() {
				visit(p.Tenant, p.Name, as, v)
				v.Release()
			}
		}
	}
	labels := []string{"tenant", "plugin", "as"}
	for name, c := range map[string]struct {
		doc string
		of  func(*host.Version) float64
	}{
		"heddle_plugin_events_total":       {"Events that plugins were asked about.", func(v *host.Version) float64 { return float64(v.Pool.Events.Load()) }},
		"heddle_plugin_calls_total":        {"Calls of plugins, each with a batch of events.", func(v *host.Version) float64 { return float64(v.Pool.Batches.Load()) }},
		"heddle_plugin_fuel_total":         {"Fuel that plugins have used.", func(v *host.Version) float64 { return float64(v.Pool.Fuel.Load()) }},
		"heddle_plugin_instances_total":    {"Instances begun.", func(v *host.Version) float64 { return float64(v.Pool.Restarts.Load()) }},
		"heddle_plugin_logs_dropped_total": {"Lines of plugins' logs over their budget.", func(v *host.Version) float64 { return float64(v.Pool.Dropped.Load()) }},
		"heddle_plugin_reruns_total":       {"Calls that were run again because others changed what they had read.", func(v *host.Version) float64 { return float64(v.Pool.Stale.Load()) }},
		"heddle_plugin_breakers_total":     {"Times that a breaker opened.", func(v *host.Version) float64 { return float64(v.Pool.Opened.Load()) }},
		"heddle_plugin_host_calls_total":   {"Host functions called.", func(v *host.Version) float64 { return float64(v.Pool.HostCalls.Load()) }},
	} {
		r.CountersFunc(name, c.doc, labels, func(y yield) {
			each(func(tenant, plugin, as string, v *host.Version) { y(c.of(v), tenant, plugin, as) })
		})
	}
	r.CountersFunc("heddle_plugin_failures_total", "Events on which plugins failed, by reason.", append(labels, "reason"), func(y yield) {
		each(func(tenant, plugin, as string, v *host.Version) {
			for reason, n := range v.Pool.Failed.Counts() {
				y(float64(n), tenant, plugin, as, reason)
			}
		})
	})
	r.HistogramsFunc("heddle_plugin_event_seconds", "Time of events in plugins: that of their call, divided by the events in that.", labels, func(y summary) {
		each(func(tenant, plugin, as string, v *host.Version) {
			if s := v.Pool.Took.Summary(); s.Count > 0 {
				y(s, tenant, plugin, as)
			}
		})
	})
	r.CountersFunc("heddle_plugin_own_total", "Plugins' own counters, and sums of seconds.", []string{"tenant", "plugin", "name"}, func(y yield) { a.ownMetrics(y, 0, 2) })
	r.CountersFunc("heddle_plugin_own_observed_total", "How many values the sums of seconds are of.", []string{"tenant", "plugin", "name"}, func(y yield) {
		for _, p := range a.plugins.host.All() {
			for _, m := range p.Metrics.List() {
				if m.Kind == 2 {
					y(float64(m.Count), p.Tenant, p.Name, m.Name)
				}
			}
		}
	})
	r.GaugesFunc("heddle_plugin_own", "Plugins' own gauges.", []string{"tenant", "plugin", "name"}, func(y yield) { a.ownMetrics(y, 1) })
	f := &a.plugins.fetcher.Counters
	r.CountersFunc("heddle_plugin_requests_total", "HTTP requests of plugins, by what became of them.", []string{"result"}, func(y yield) {
		y(float64(f.Sent.Load()-f.Failed.Load()), "answered")
		y(float64(f.Failed.Load()), "failed")
		y(float64(f.Refused.Load()), "refused")
		y(float64(f.Dropped.Load()), "dropped")
	})
	a.hostMetrics(r)
	r.GaugeFunc("heddle_plugin_timers", "Timers of plugins that are set.", func() float64 { return float64(a.plugins.timers.Count()) })
}

func (a *App) ownMetrics(y yield, kinds ...int) {
	for _, p := range a.plugins.host.All() {
		for _, m := range p.Metrics.List() {
			for _, k := range kinds {
				if m.Kind == k {
					y(m.Value, p.Tenant, p.Name, m.Name)
				}
			}
		}
	}
}
