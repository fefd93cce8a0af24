package plugins

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest"
	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/kv"
	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/plugins/pool"
	"github.com/heddle-rt/heddle/runtime/cell"
	"github.com/heddle-rt/heddle/runtime/config"
)

const tenant = "bench"

// defaults is a configuration without any file.
func defaults[T any]() (T, error) {
	r, err := config.Load[T](config.Options{})
	if err != nil {
		var zero T
		return zero, err
	}
	return *r.Value, nil
}

// newHost makes a host as a node has it, with its defaults.
func newHost(engine *guest.Engine, store cell.Store, change func(*host.Config)) (*host.Host, error) {
	cfg, err := defaults[host.Config]()
	if err != nil {
		return nil, err
	}
	policy, err := defaults[host.Policy]()
	if err != nil {
		return nil, err
	}
	policy.Limits.Start, policy.Limits.Timeout = time.Minute, 10*time.Second // a busy machine is not what is measured
	if change != nil {
		change(&cfg)
	}
	return host.New(cfg, host.Deps{
		Engine: engine, Cells: store, KV: kv.New(store, nil), Log: slog.New(slog.DiscardHandler), Now: time.Now,
		Policy: func(string) *host.Policy { return &policy },
		Taken:  func(string) bool { return false },
	}), nil
}

// bundle is a plugin that is asked about all actions.
func bundle(name, mode string, code []byte, more string) (*manifest.Bundle, error) {
	if !strings.Contains(more, "limits:") {
		more += "limits: {start: 30s, timeout: 1s}\n"
	}
	text := fmt.Appendf(nil, "name: %s\nversion: '1'\nmode: %s\nbindings: [{actions: ['*']}]\n%s", name, mode, more)
	m, err := manifest.Read(manifest.FileName, text)
	if err != nil {
		return nil, err
	}
	return &manifest.Bundle{Manifest: m, Text: text, Module: code}, nil
}

// plugin is one that events are brought to, as the stage of the route does it. It
// belongs to one goroutine.
type plugin struct {
	host         *host.Host
	tenant, name string
	job          pool.Job
}

// deployed puts a plugin into a host.
func deployed(ctx context.Context, h *host.Host, name, mode string, code []byte, more string) (*plugin, error) {
	b, err := bundle(name, mode, code, more)
	if err != nil {
		return nil, err
	}
	p := &plugin{host: h, tenant: tenant, name: name}
	return p, p.deploy(ctx, b)
}

// deploy makes another version live.
func (p *plugin) deploy(ctx context.Context, b *manifest.Bundle) error {
	if _, err := p.host.Deploy(ctx, host.Request{Tenant: p.tenant, By: "bench", Bundle: b, As: host.Live}); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	return nil
}

// ask brings an event to the plugin. What it wants done is in p.job.Actions.
func (p *plugin) ask(ctx context.Context, user, action string, payload []byte) error {
	j := &p.job
	v := p.host.For(p.tenant).Named(p.name).Choose(user)
	if v == nil {
		return fmt.Errorf("%s has no version", p.name)
	}
	defer v.Release()
	subject := host.Subject{Hook: hostapi.HookBefore, Action: action, Room: "conv:42", Receives: true}
	if !v.Wants(&subject) {
		return fmt.Errorf("%s does not want %s", p.name, action)
	}
	r := &j.Record
	*r = hostapi.Record{
		Hook: subject.Hook, Codec: hostapi.CodecJSON, Sequence: v.Next(), Time: time.Now().UnixMilli(), Tenant: p.tenant,
		User: user, Device: "phone", Room: subject.Room, Action: action, ID: "01JB000000000000", Attributes: r.Attributes[:0],
	}
	j.Full, j.Key = v.Shape.Fill(r, payload), hash(user)
	return v.Pool.Do(ctx, j)
}

// hash spreads users over instances, as the stage does: FNV-1a.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h ^ h>>32
}
