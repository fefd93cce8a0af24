package host

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest"
	"github.com/heddle-rt/heddle/plugins/kv"
	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/plugins/pool"
	"github.com/heddle-rt/heddle/plugins/record"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// Meta is what is kept of a version beside its bundle.
type Meta struct {
	Number   int    `json:"number"` // counts the deploys of the plugin
	Version  string `json:"version"`
	Digest   string `json:"digest"`
	By       string `json:"by"`       // who deployed it
	Deployed int64  `json:"deployed"` // Unix milliseconds
	Size     int    `json:"size"`     // of the module, bytes
	Stored   int    `json:"stored"`   // of the bundle, as it is kept, bytes
	Captured bool   `json:"captured"` // instances begin from an image
	Took     string `json:"took"`     // to check, compile and start it
}

// Version is one that is ready to run.
type Version struct {
	Meta
	Manifest *manifest.Manifest
	Shape    *record.Shape
	Pool     *pool.Pool

	plugin  *Plugin
	program *guest.Program // nil: it can not be run
	why     string         // it can not
	owned   map[string]*manifest.Action
	refs    atomic.Int64 // those who use it, and 1 for as long as it is in place
	seq     atomic.Uint64
}

// build makes a version of a bundle. Nothing of it is in force yet.
func (h *Host) build(ctx context.Context, p *Plugin, b *manifest.Bundle, policy *Policy) (v *Version, err error) {
	began := time.Now()
	m := b.Manifest
	if err := policy.allow(m); err != nil {
		return nil, err
	}
	v = &Version{Manifest: m, Shape: record.Of(m), plugin: p, owned: map[string]*manifest.Action{}}
	v.Version, v.Digest, v.Size = m.Version, b.Digest(), len(b.Module)
	for i := range m.Actions {
		a := &m.Actions[i]
		if h.deps.Taken(a.Name) {
			return nil, fmt.Errorf("the action %s is a builtin's, or one of its nouns: choose another noun", a.Name)
		}
		v.owned[a.Name] = a
	}
	var store *kv.Part
	if m.Can(hostapi.CapKV) {
		if store, err = h.deps.KV.Open(ctx, p.Tenant, p.Name, int64(policy.Storage)); err != nil {
			return nil, fault.Wrap("host.build", fault.Internal, err)
		}
	}
	reach := &reach{plugin: p, number: func() int { return v.Number }}
	if v.program, err = h.deps.Engine.Compile(ctx, b.Module, plan(m, starting{reach}, h.deps.Now)); err != nil {
		return nil, err
	}
	v.Captured = v.program.Captured()
	s := h.share(p.Tenant)
	if s.memory.Limit(int64(policy.Memory)); !s.memory.Takes(v.program.Image()) {
		err := fmt.Errorf("the initialised plugin has %d bytes of memory, and the tenant's plugins have %d already; together they may have %d (memory in the tenant's policy): remove one, or keep less when it starts",
			v.program.Image(), s.memory.Held(), policy.Memory)
		return nil, errors.Join(err, v.program.Close())
	}
	v.Pool = pool.New(h.poolConfig(m, policy), pool.Deps{
		Program: v.program, Slots: s.slots, Share: s.used, Memory: &s.memory, KV: store, Reach: reach, Log: h.deps.Log, Now: h.deps.Now,
	})
	v.refs.Store(1)
	i, err := v.program.New(ctx)
	if err != nil {
		v.Release()
		return nil, err
	}
	i.Close()
	v.Took = time.Since(began).Round(time.Millisecond).String()
	return v, nil
}

// standIn is a version that was kept and cannot be built: it is bound to what it was
// bound to, and fails. If not even its manifest can be read, nobody knows what it was
// bound to, and it refuses all that others would receive.
func (h *Host) standIn(ctx context.Context, p *Plugin, number int, policy *Policy, why error) *Version {
	m := unread(p.Name)
	reading, cancel := apart(ctx, storeTime)
	defer cancel()
	if b, err := h.bundle(reading, p, number); err == nil {
		m = b.Manifest
	} else if why != errStarting { //nolint:errorlint // it is handed over as it is
		h.deps.Log.Error("the manifest of a plugin's version can not be read: the plugin refuses everything that others would receive, until another version is live or it is removed",
			"tenant", p.Tenant, "plugin", p.Name, "number", number, "error", err)
	}
	return h.refusing(p, m, number, policy, why)
}

// refusing is a version that is bound to what a manifest says, and fails.
func (h *Host) refusing(p *Plugin, m *manifest.Manifest, number int, policy *Policy, why error) *Version {
	v := &Version{Manifest: m, Shape: record.Of(m), plugin: p, owned: map[string]*manifest.Action{}, why: short(reason(why))}
	for i := range m.Actions {
		v.owned[m.Actions[i].Name] = &m.Actions[i]
	}
	h.mu.Lock()
	if v.Number = number; p.state.find(number) != nil {
		v.Meta = *p.state.find(number)
	}
	h.mu.Unlock()
	v.Pool = pool.New(h.poolConfig(m, policy), pool.Deps{
		Why: why.Error(), Reach: &reach{plugin: p, number: func() int { return number }}, Log: h.deps.Log, Now: h.deps.Now,
	})
	v.refs.Store(1)
	return v
}

// reason is why a version can not be run, for its developer.
func reason(err error) string {
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Msg != "" {
		return f.Msg
	}
	return err.Error()
}

// unread is in the place of a manifest that can not be read.
func unread(name string) *manifest.Manifest {
	return &manifest.Manifest{
		Name: name, Mode: manifest.Stateless, Failure: manifest.Closed, Bindings: []manifest.Binding{{Hooks: []string{hostapi.HookBefore.String()}}},
	}
}

// newWall makes what stands in for the plugins of tenants that are gone. It refuses all that
// plugins can refuse: it is not known any more what they were bound to.
func (h *Host) newWall() *Tenant {
	m := &manifest.Manifest{Name: "(gone)", Mode: manifest.Stateless, Failure: manifest.Closed, Bindings: []manifest.Binding{
		{Hooks: []string{hostapi.HookConnect.String(), hostapi.HookJoin.String()}}, {Hooks: []string{hostapi.HookBefore.String()}, Actions: []string{"*"}},
	}}
	p := &Plugin{Name: m.Name, host: h}
	p.set.Store(&set{live: h.refusing(p, m, 0, &Policy{}, errors.New("the tenant is not served any more"))})
	return &Tenant{Plugins: []*Plugin{p}}
}

func (h *Host) poolConfig(m *manifest.Manifest, policy *Policy) pool.Config {
	c := pool.Config{
		Lanes: h.lanes(), Queue: h.cfg.Queue, Keep: m.Mode != manifest.Stateless, OneUser: m.OneUser,
		Calls: m.Recycle.Calls, Memory: m.Recycle.Memory, LogsPerS: policy.Logs, BreakFor: h.cfg.BreakFor, BreakFrom: h.cfg.BreakFrom,
	}
	if c.Memory == 0 {
		c.Memory = m.Limits.Memory / 4 * 3
	}
	return c
}

func (h *Host) lanes() int {
	if h.cfg.Lanes > 0 {
		return h.cfg.Lanes
	}
	return max(1, runtime.GOMAXPROCS(0)/2)
}

// hold keeps the version from being closed; false if it is already.
func (v *Version) hold() bool {
	for {
		n := v.refs.Load()
		if n == 0 {
			return false
		}
		if v.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Release lets go of a version that was chosen.
func (v *Version) Release() {
	if v.refs.Add(-1) == 0 {
		v.Pool.Close()
		if v.program == nil {
			return
		}
		if err := v.program.Close(); err != nil {
			v.plugin.host.deps.Log.Error("a plugin's version could not be closed", "tenant", v.plugin.Tenant, "plugin", v.plugin.Name, "number", v.Number, "error", err)
		}
	}
}

// Plugin is the one that the version is of.
func (v *Version) Plugin() *Plugin { return v.plugin }

// Next numbers the events of the version on this node.
func (v *Version) Next() uint64 { return v.seq.Add(1) }

// Keyed reports whether the events of a room, or of a user, come to one instance, which
// remembers them.
func (v *Version) Keyed() bool {
	return v.Manifest.Mode == manifest.KeyedRoom || v.Manifest.Mode == manifest.KeyedUser
}

// Renew has the instances of keyed plugins begin anew, for other nodes may have had their
// rooms meanwhile.
func (h *Host) Renew() {
	for _, p := range h.All() {
		for _, v := range p.Versions() {
			if v.Keyed() {
				v.Pool.Renew()
			}
			v.Release()
		}
	}
}

// Subject is an event as bindings see it.
type Subject struct {
	Hook     hostapi.Hook
	Action   string
	Room     string
	Receives bool // others receive it: actions of rate class message
}

// Wants reports whether the version's bindings choose an event.
func (v *Version) Wants(s *Subject) bool {
	for i := range v.Manifest.Bindings {
		if wants(&v.Manifest.Bindings[i], s) {
			return true
		}
	}
	return false
}

func wants(b *manifest.Binding, s *Subject) bool {
	hooked := false
	for _, h := range b.Hooks {
		hooked = hooked || h == s.Hook.String()
	}
	if !hooked || !matches(b.Rooms, s.Room) || len(b.Spaces) > 0 && !slices.Contains(b.Spaces, namespace(s.Room)) {
		return false
	}
	switch s.Hook {
	case hostapi.HookBefore, hostapi.HookAfter:
		if len(b.Actions) == 0 {
			return s.Receives
		}
		return matches(b.Actions, s.Action)
	}
	return true
}

// namespace is what a room belongs to.
func namespace(room string) string {
	if _, feature, inside := strings.Cut(room, "/"); inside && manifest.IsNamespace("/"+feature) {
		return "/" + feature
	}
	return "/"
}

// matches reports whether one of the patterns is a name, or there are none.
func matches(patterns []string, name string) bool {
	for _, p := range patterns {
		if p == name {
			return true
		}
		if prefix, ok := strings.CutSuffix(p, "*"); ok && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return len(patterns) == 0
}

// priority is where in the route the version stands.
func (v *Version) priority() int {
	least := 1000
	for i := range v.Manifest.Bindings {
		least = min(least, v.Manifest.Bindings[i].Priority)
	}
	return least
}
