package app

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/runtime/authenticate"
	"github.com/heddle-rt/heddle/runtime/config"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/limit"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/rule"
)

// ReloadConfig says when the configuration is read again.
type ReloadConfig struct {
	Watch time.Duration `yaml:"watch" default:"5s" min:"0s" max:"1h" doc:"How often the configuration's files are looked at; one that has changed, and is the same at the next look, is taken over. 0s: only SIGHUP has them read again."`
}

// reloadDeps are the parts that are told of another configuration.
type reloadDeps struct {
	// Load reads the whole configuration, from where the first one came; nil: there
	// will be no other.
	Load     func() (*config.Result[Config], error)
	Files    []string // that it reads
	Level    *slog.LevelVar
	Verifier *authenticate.Reloadable
	Limits   *limit.Stage
	Rules    *rule.Rules
	Actions  []event.Action
	Rooms    *room.Rooms
	Socket   interface{ Reload() error } // reads the certificate again
	Sessions openSessions
	// Come makes ready what has to be there before the users of tenants that come, or come
	// back, are let in; nil: nothing. If it fails, all is as before but for the certificate.
	Come func(ctx context.Context, next *Config) error
	// Others take part, too. Each makes ready what it needs; swap puts that in force,
	// and cannot fail.
	Others []func(next *Config) (swap func(), err error)
	Log    *slog.Logger
	Now    func() time.Time
}

// openSessions are those that the new configuration concerns, too.
type openSessions interface {
	// Readmit asks anew what sessions may do in rooms of these types.
	Readmit(ctx context.Context, changed func(roomType string) bool)
	// Disconnect closes the sessions of a tenant that are revoked.
	Disconnect(tenant, user string, revoked func(*event.Identity) bool, reason string)
}

// reloader puts another configuration in force while the node runs: all that can
// change at once, or nothing.
type reloader struct {
	reloadDeps
	asked   chan struct{} // holds one: a wish while another waits is the same wish
	watched watched
	inForce atomic.Pointer[Config] // written by Run
	late    lateSessions

	done, refused atomic.Uint64
	last          atomic.Int64 // Unix milliseconds of when the one in force was read
}

// lateSessions were about to be opened by what was in force before, when a
// configuration was put in force: they are looked after once more.
type lateSessions struct {
	due     <-chan time.Time // nil: there are none
	tenants map[string]bool  // that are gone
	types   map[string]bool  // that have changed
}

// newReloader begins with the configuration that the parts were made with.
func newReloader(cfg Config, watch time.Duration, d reloadDeps) *reloader {
	r := &reloader{reloadDeps: d, asked: make(chan struct{}, 1), watched: watched{files: d.Files, every: watch}}
	r.inForce.Store(&cfg)
	r.last.Store(d.Now().UnixMilli())
	r.watched.loaded()
	return r
}

// ask has the configuration read again, soon. It does not block.
func (r *reloader) ask() {
	select {
	case r.asked <- struct{}{}:
	default:
	}
}

// tenants are the names of those in force.
func (r *reloader) tenants() []string {
	return slices.Sorted(maps.Keys(r.inForce.Load().Tenants))
}

// run reloads when it is asked or a file changes, until ctx ends.
func (r *reloader) run(ctx context.Context) error {
	if r.Load == nil {
		<-ctx.Done()
		return nil
	}
	var tick <-chan time.Time
	if r.watched.every > 0 {
		t := time.NewTicker(r.watched.every)
		defer t.Stop()
		tick = t.C
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.asked:
			r.reload(ctx, "signal")
		case <-tick:
			if r.watched.changed() {
				r.reload(ctx, "file")
			}
		case <-r.late.due:
			r.apply(ctx, r.late.tenants, r.late.types)
			r.late = lateSessions{}
		}
	}
}

// reload reads the configuration and puts it in force, or says why not.
func (r *reloader) reload(ctx context.Context, cause string) {
	r.watched.loaded() // what changes from now on is seen
	read, err := r.Load()
	var swap func()
	if err == nil {
		swap, err = r.prepare(read.Value)
	}
	if err == nil && r.Come != nil {
		err = r.Come(ctx, read.Value)
	}
	if err != nil {
		r.refused.Add(1)
		r.Log.Error("the configuration was not reloaded, the one before stays in force", "cause", cause, "faults", explain(read, err))
		return
	}
	was, next := r.inForce.Load(), read.Value
	is := *was
	is.Tenants, is.Limit, is.Rooms, is.Log.Level = next.Tenants, next.Limit, next.Rooms, next.Log.Level
	r.inForce.Store(&is)
	swap()
	if r.Level != nil && was.Log.Level != is.Log.Level { // one that an operator has set stays otherwise
		r.Level.Set(is.Log.Level)
	}
	r.follow(ctx, was, &is)
	r.done.Add(1)
	r.last.Store(r.Now().UnixMilli())
	changed, ignored := differences(was, &is), differences(&is, next)
	r.Log.Info("the configuration was reloaded", "cause", cause, "changed", few(changed))
	if len(ignored) > 0 {
		r.Log.Warn("options were changed that cannot change while the node runs: they need a restart", "options", few(ignored))
	}
	for _, w := range read.Warnings {
		r.Log.Warn("the configuration has something in doubt", "what", w.Error())
	}
}

// prepare makes everything that the configuration needs, without putting any of it
// in force but the certificate, which comes last here: it is the same whatever becomes of
// the rest.
func (r *reloader) prepare(next *Config) (swap func(), err error) {
	verifier, err := r.Verifier.Prepare(authConfigs(next.Tenants))
	if err != nil {
		return nil, err
	}
	rules, tenants := guarded(next.Tenants)
	if _, err := rule.New(rules, rule.Deps{Actions: r.Actions, Now: r.Now}); err != nil {
		return nil, err
	}
	if err := limit.New(next.Limit).Reload(next.Limit, tenants); err != nil {
		return nil, err
	}
	swaps := []func(){verifier, func() { r.Rooms.Reload(next.Rooms) }}
	for _, prepare := range r.Others {
		other, err := prepare(next)
		if err != nil {
			return nil, err
		}
		swaps = append(swaps, other)
	}
	if r.inForce.Load().Socket.TLS == next.Socket.TLS { // other files need a restart
		if err := r.Socket.Reload(); err != nil {
			return nil, err
		}
	}
	return func() {
		for _, swap := range swaps {
			swap()
		}
		if err := r.Rules.Reload(rules); err != nil {
			r.Log.Error("rules that were good are not", "error", err)
		}
		if err := r.Limits.Reload(next.Limit, tenants); err != nil {
			r.Log.Error("limits that were good are not", "error", err)
		}
	}, nil
}

// guarded is what tenants are held to.
func guarded(all map[string]Tenant) (map[string][]rule.Config, map[string]limit.Tenant) {
	rules, tenants := map[string][]rule.Config{}, map[string]limit.Tenant{}
	for name, t := range all {
		rules[name], tenants[name] = t.Rules, limit.Tenant{Limit: t.Limit, Quota: t.Quota}
	}
	return rules, tenants
}

// follow has open sessions follow the change, and those that are being opened a
// request's deadline later.
func (r *reloader) follow(ctx context.Context, was, is *Config) {
	gone, types := r.late.tenants, r.late.types
	if gone == nil {
		gone, types = map[string]bool{}, map[string]bool{}
	}
	for name := range was.Tenants {
		if _, stays := is.Tenants[name]; !stays {
			gone[name] = true
		}
	}
	for name := range is.Tenants {
		delete(gone, name) // it has come back
	}
	for _, one := range [...]map[string]room.TypeConfig{was.Rooms, is.Rooms} {
		for name := range one {
			before, had := was.Rooms[name]
			after, has := is.Rooms[name]
			if had != has || !reflect.DeepEqual(before, after) {
				types[name] = true
			}
		}
	}
	if len(gone)+len(types) == 0 {
		return
	}
	r.apply(ctx, gone, types)
	r.late = lateSessions{due: time.After(is.Timeout), tenants: gone, types: types}
}

func (r *reloader) apply(ctx context.Context, gone, types map[string]bool) {
	for name := range gone {
		r.Sessions.Disconnect(name, "", func(*event.Identity) bool { return true }, "the tenant is not served any more")
	}
	if len(types) > 0 {
		r.Sessions.Readmit(ctx, func(roomType string) bool { return types[roomType] })
	}
}

// watched looks for changes of files.
type watched struct {
	files      []string
	every      time.Duration // 0: never
	read, seen []stamp       // of the files when they were read last, and at the last look
}

// stamp changes with a file. The zero stamp is that of one that is not there.
type stamp struct {
	modified time.Time
	size     int64
}

func (w *watched) look() []stamp {
	out := make([]stamp, len(w.files))
	for i, name := range w.files {
		if info, err := os.Stat(name); err == nil {
			out[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return out
}

// loaded is called before the files are read.
func (w *watched) loaded() {
	w.read = w.look()
	w.seen = w.read
}

// changed reports whether the files are other than those that were read, and the
// same as at the last look: half a file must not be taken for a whole one.
func (w *watched) changed() bool {
	now := w.look()
	still := slices.Equal(now, w.seen)
	w.seen = now
	return still && !slices.Equal(now, w.read)
}

// few bounds a list for the log.
func few(paths []string) []string {
	const most = 30
	if len(paths) > most {
		return append(slices.Clone(paths[:most]), fmt.Sprintf("and %d more", len(paths)-most))
	}
	return paths
}
