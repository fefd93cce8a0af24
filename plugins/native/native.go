package native

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/heddle-rt/heddle/builtin/notification"
	"github.com/heddle-rt/heddle/plugins/native/wire"
)

// Deps is what plugins work with; what is nil gets the usual default.
type Deps struct {
	Log *slog.Logger
	Now func() time.Time
	// Tenant reports whether there is such a tenant: an authenticator's answer is
	// refused for another. nil: Config.Tenants alone decide.
	Tenant func(name string) bool
	// Verdict takes what a moderator thinks. The moderator's answers wait meanwhile, and
	// what comes for it waits in its queue. nil: a line in the log.
	Verdict func(Verdict)
}

// Plugins are those of a node, by kind.
type Plugins struct {
	Authenticators []*Authenticator
	Notifiers      []*Notifier
	Sinks          []*Sink
	Moderators     []*Moderator

	all []running
}

// running is any of them.
type running interface {
	Run(ctx context.Context) error
	Stats() Stats
	config() *Config
}

// New makes plugins of configurations that Load has found good; an error names the
// plugin. No program is started before Run.
func New(configs []Config, deps Deps) (*Plugins, error) {
	var err error
	CheckAll(configs, func(path, problem string) { err = errors.Join(err, fmt.Errorf("native: %s: %s", path, problem)) })
	p := &Plugins{}
	deps = deps.filled()
	for _, cfg := range configs {
		cfg.Check(func(option, problem string) {
			err = errors.Join(err, fmt.Errorf("native: plugin %q: %s: %s", cfg.Name, option, problem))
		})
		switch cfg.Kind {
		case wire.KindAuthenticator:
			p.Authenticators = append(p.Authenticators, newAuthenticator(cfg, deps))
			p.all = append(p.all, p.Authenticators[len(p.Authenticators)-1])
		case wire.KindNotifier:
			p.Notifiers = append(p.Notifiers, newNotifier(cfg, deps))
			p.all = append(p.all, p.Notifiers[len(p.Notifiers)-1])
		case wire.KindSink:
			p.Sinks = append(p.Sinks, newSink(cfg, deps))
			p.all = append(p.all, p.Sinks[len(p.Sinks)-1])
		case wire.KindModerator:
			p.Moderators = append(p.Moderators, newModerator(cfg, deps))
			p.all = append(p.all, p.Moderators[len(p.Moderators)-1])
		default:
			err = errors.Join(err, fmt.Errorf("native: plugin %q: there is no kind %q", cfg.Name, cfg.Kind))
		}
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (d Deps) filled() Deps {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Tenant == nil {
		d.Tenant = func(string) bool { return true }
	}
	if log := d.Log; d.Verdict == nil {
		d.Verdict = func(v Verdict) {
			log.Info("moderator's verdict", "plugin", v.Plugin, "delete", v.Delete, "reason", v.Reason, "tenant", v.Record.Tenant, "room", v.Record.Room, "offset", v.Record.Offset)
		}
	}
	return d
}

// The kinds of plugins, as Config.Kind has them.
const (
	KindAuthenticator = wire.KindAuthenticator
	KindNotifier      = wire.KindNotifier
	KindSink          = wire.KindSink
	KindModerator     = wire.KindModerator
)

// of are the plugins of these kinds, all without any.
func (p *Plugins) of(kinds []string) (some []running) {
	for _, one := range p.all {
		if len(kinds) == 0 || slices.Contains(kinds, one.config().Kind) {
			some = append(some, one)
		}
	}
	return some
}

// Run runs the programs of these kinds, all without any, until ctx ends, and then returns
// nil. Whoever hands something to a plugin stops before. No kind may be run twice.
func (p *Plugins) Run(ctx context.Context, kinds ...string) error {
	var group errgroup.Group
	for _, one := range p.of(kinds) {
		group.Go(func() error { return one.Run(ctx) })
	}
	return group.Wait()
}

// Ending is how long Run may take to return once its ctx has ended, save for a Verdict
// that hangs; 0 if there is no plugin of these kinds.
func (p *Plugins) Ending(kinds ...string) (longest time.Duration) {
	for _, one := range p.of(kinds) {
		longest = max(longest, one.config().Stop+2*kindly)
	}
	return longest
}

// Stats reads all counters, in the order of the configuration.
func (p *Plugins) Stats() []Stats {
	out := make([]Stats, len(p.all))
	for i, one := range p.all {
		out[i] = one.Stats()
	}
	return out
}

// Check fails while a program of these kinds is not ready, of all without any, and says
// which and why.
func (p *Plugins) Check(kinds ...string) error {
	var err error
	for _, one := range p.of(kinds) {
		switch st := one.Stats(); {
		case st.State == Ready:
		case st.Failure == "":
			err = errors.Join(err, fmt.Errorf("%s %s is in state %s", st.Kind, st.Name, st.State))
		default:
			err = errors.Join(err, fmt.Errorf("%s %s is in state %s: %s", st.Kind, st.Name, st.State, st.Failure))
		}
	}
	return err
}

// Named are the notifiers as builtin/notification takes them.
func (p *Plugins) Named() []notification.Named {
	out := make([]notification.Named, len(p.Notifiers))
	for i, n := range p.Notifiers {
		out[i] = notification.Named{Name: n.cfg.Name, Notifier: n}
	}
	return out
}
