package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/fixture"
	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/runtime/api"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// turnWait is how long a deploy waits for others.
const turnWait = 30 * time.Second

// apiPlugins lets the developers of tenants reach their plugins.
type apiPlugins struct {
	a     *App
	turns *host.Turns // of those that hold bundles
}

// deploysAtOnce bounds the memory of bundles that are unpacked.
const deploysAtOnce = 4

func newAPIPlugins(a *App) apiPlugins { return apiPlugins{a, host.NewTurns(deploysAtOnce)} }

// policy is nil for a tenant that the node does not serve any more.
func (p apiPlugins) policy(tenant string) *host.Policy {
	if t, ok := (*p.a.plugins.policies.Load())[tenant]; ok {
		return &t
	}
	return nil
}

// MaxBundle leaves room for fixtures beside the largest module.
func (p apiPlugins) MaxBundle(tenant string) int64 {
	policy := p.policy(tenant)
	if policy == nil {
		return 0
	}
	return min(manifest.MaxBundle, int64(policy.Limits.Module)+bundleOverhead)
}

// begin waits for the tenant's turn, and then end is to be called. Builds take all that
// a core has, and those that wait hold their bundles.
func (p apiPlugins) begin(ctx context.Context, tenant string) (end func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, turnWait, &fault.Error{Kind: fault.Overloaded, Msg: "the node is busy with other deploys", After: 5 * time.Second})
	defer cancel()
	ctx, leave := context.WithCancelCause(ctx)
	defer leave(nil)
	go func() { // ends with ctx
		select {
		case <-p.a.leaving:
			leave(fault.New(fault.Draining, "", ""))
		case <-ctx.Done():
		}
	}()
	if end, err = p.turns.Take(ctx, tenant); err != nil {
		if why := (*fault.Error)(nil); errors.As(context.Cause(ctx), &why) {
			return nil, why
		}
		return nil, fault.Wrap("app.plugins", fault.Timeout, err)
	}
	select {
	case <-p.a.leaving: // its parts may be gone soon
		end()
		return nil, fault.New(fault.Draining, "", "")
	default:
		return end, nil
	}
}

// Deploy unpacks the bundle and puts it in place.
func (p apiPlugins) Deploy(ctx context.Context, tenant string, d api.Deploy) (api.Deployed, error) {
	end, err := p.begin(ctx, tenant)
	if err != nil {
		return api.Deployed{}, err
	}
	defer end()
	policy := p.policy(tenant)
	if policy == nil {
		return api.Deployed{}, fault.New(fault.NotFound, "tenant", "this node does not serve the tenant")
	}
	b, err := manifest.Unpack(d.Bundle, int64(policy.Limits.Module))
	if err != nil {
		p.a.plugins.host.Refused.Add(1)
		return api.Deployed{}, fault.New(fault.Invalid, "bundle", err.Error())
	}
	done, err := p.a.plugins.host.Deploy(ctx, host.Request{Tenant: tenant, By: d.By, Bundle: b, As: d.As, Share: d.Share})
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = fault.New(fault.Timeout, "bundle", "it took too long to build the plugin and to run its fixtures")
	}
	return deployed(b.Manifest.Name, &done), err
}

func deployed(plugin string, d *host.Done) api.Deployed {
	return api.Deployed{
		Plugin: plugin, PluginVersion: api.PluginVersion(d.Meta), Live: d.Live, Was: d.Was, Unchanged: d.Unchanged, Share: d.Share, ShareWas: d.ShareWas, Ended: d.Ended,
	}
}

// Switch has another version be live.
func (p apiPlugins) Switch(ctx context.Context, tenant, plugin string, to api.Switch) (api.Deployed, error) {
	end, err := p.begin(ctx, tenant)
	if err != nil {
		return api.Deployed{}, err
	}
	defer end()
	var done host.Done
	switch h := p.a.plugins.host; {
	case to.Promote:
		done, err = h.Promote(ctx, tenant, plugin)
	case to.Stop:
		done, err = h.Stop(ctx, tenant, plugin)
	default:
		done, err = h.Switch(ctx, tenant, plugin, to.Number)
	}
	return deployed(plugin, &done), err
}

// Remove takes a plugin away, and what it has set to happen later.
func (p apiPlugins) Remove(ctx context.Context, tenant, plugin string) error {
	end, err := p.begin(ctx, tenant)
	if err != nil {
		return err
	}
	defer end()
	return p.a.plugins.host.Remove(ctx, tenant, plugin)
}

// List leaves out those of which the first version is being built.
func (p apiPlugins) List(tenant string) (out []api.Plugin) {
	for _, s := range p.a.plugins.host.List(tenant) {
		if s.Last > 0 {
			out = append(out, pluginOf(&s))
		}
	}
	return out
}

func pluginOf(s *host.Status) api.Plugin {
	out := api.Plugin{
		Plugin: s.Plugin, Last: s.Last, Live: s.Live, Previous: s.Previous, Canary: s.Canary, Share: s.Share, Shadow: s.Shadow, Why: s.Why,
		Versions: make([]api.PluginVersion, len(s.Versions)), Failed: s.Failed, CannotRun: s.CannotRun,
	}
	for i := range s.Versions {
		out.Versions[i] = api.PluginVersion(s.Versions[i])
	}
	return out
}

// Plugin adds how the versions that are in place do.
func (p apiPlugins) Plugin(tenant, plugin string) (api.Plugin, error) {
	s, err := p.a.plugins.host.Status(tenant, plugin)
	if err != nil {
		return api.Plugin{}, err
	}
	if s.Last == 0 {
		return api.Plugin{}, fault.New(fault.NotFound, "plugin", "the first version is being built")
	}
	out := pluginOf(&s)
	out.Stats = map[string]api.PluginStats{}
	if found := p.a.plugins.host.Find(tenant, plugin); found != nil {
		for as, v := range found.Versions() {
			out.Stats[as] = statsOf(v)
			v.Release()
		}
	}
	return out, nil
}

func statsOf(v *host.Version) api.PluginStats {
	took, events := v.Pool.Took.Summary(), v.Pool.Events.Load()
	out := api.PluginStats{
		Number: v.Number, Events: events, Failed: v.Pool.Failed.Counts(), P50: milliseconds(took.Quantile(0.5)), P99: milliseconds(took.Quantile(0.99)),
		Fuel: float64(v.Pool.Fuel.Load()) / float64(max(1, events)), Instances: v.Pool.Restarts.Load(),
	}
	if out.Failed == nil {
		out.Failed = map[string]uint64{}
	}
	return out
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// Bundle is one as it was deployed.
func (p apiPlugins) Bundle(ctx context.Context, tenant, plugin string, number int) ([]byte, error) {
	return p.a.plugins.host.Bundle(ctx, tenant, plugin, number)
}

func (p apiPlugins) find(tenant, plugin string) (*host.Plugin, error) {
	if found := p.a.plugins.host.Find(tenant, plugin); found != nil {
		return found, nil
	}
	return nil, fault.New(fault.NotFound, "plugin", fmt.Sprintf("there is no plugin %q", plugin))
}

// Lines are there from the moment on at which the first version is built.
func (p apiPlugins) Lines(tenant, plugin string, after uint64) ([]api.PluginLine, <-chan struct{}, error) {
	found, err := p.find(tenant, plugin)
	if err != nil {
		return nil, nil, err
	}
	list, more := found.Logs.After(after)
	out := make([]api.PluginLine, len(list))
	for i := range list {
		out[i] = api.PluginLine(list[i])
	}
	return out, more, nil
}

// Diffs are put in words.
func (p apiPlugins) Diffs(tenant, plugin string) ([]api.PluginDiff, error) {
	found, err := p.find(tenant, plugin)
	if err != nil {
		return nil, err
	}
	list := found.Diffs.List()
	out := make([]api.PluginDiff, len(list))
	for i := range list {
		d := &list[i]
		out[i] = api.PluginDiff{Time: d.Time, Action: d.Action, Room: d.Room, User: d.User, ID: d.ID, LiveFailed: d.LiveFailed, ShadowFailed: d.ShadowFailed}
		if out[i].Live, err = inWords(d.Live); err != nil {
			return nil, err
		}
		if out[i].Shadow, err = inWords(d.Shadow); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func inWords(wanted []hostapi.Action) (json.RawMessage, error) {
	return json.Marshal(fixture.DescribeAll(wanted))
}
