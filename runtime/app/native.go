package app

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/heddle-rt/heddle/plugins/native"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/observe"
)

// natives are the node's native plugins, and what becomes of moderators' verdicts.
type natives struct {
	*native.Plugins
	app      *App
	verdicts map[string]*verdicts // by plugin
	hard     context.Context      // of verdicts: ends when the time for what waits is over
}

// natives makes them; no program is started before its part of the node runs.
func (a *App) natives(cfg Config) (n *natives, err error) {
	n = &natives{app: a, verdicts: map[string]*verdicts{}, hard: context.Background()}
	for i := range cfg.Native {
		if c := &cfg.Native[i]; c.Kind == native.KindModerator {
			n.verdicts[c.Name] = &verdicts{}
		}
	}
	n.Plugins, err = native.New(cfg.Native, native.Deps{
		Log: a.log, Now: a.now, Verdict: n.judged,
		Tenant: func(name string) bool { return a.verifier.serves(name) },
	})
	return n, err
}

// run runs those to whom the committer, sessions and sockets hand something: it outlives
// all of these.
func (n *natives) run(ctx context.Context) error {
	return n.Run(ctx, native.KindAuthenticator, native.KindNotifier, native.KindSink)
}

// moderate runs moderators. The committer outlives them: what they think of the last
// messages is carried out while clients are gone already.
func (n *natives) moderate(ctx context.Context) error {
	hard, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(n.Ending(native.KindModerator), cancel) })()
	n.hard = hard
	return n.Run(ctx, native.KindModerator)
}

// ending is how long run and moderate may take to end, one after the other.
func (n *natives) ending() time.Duration {
	return n.Ending(native.KindModerator) + n.Ending(native.KindAuthenticator, native.KindNotifier, native.KindSink)
}

// publish shows what was committed to moderators and sinks. It waits for nobody but
// sinks with overflow: block, and once for all of them and all records: what is committed
// behind these waits as well, of whatever tenant.
func (n *natives) publish(records []event.Record) {
	if len(n.Moderators)+len(n.Sinks) == 0 {
		return
	}
	for i := range records {
		for _, m := range n.Moderators {
			m.Observe(&records[i])
		}
	}
	var waited time.Duration
	for i := range records {
		for _, s := range n.Sinks {
			s.Put(context.Background(), &records[i], &waited)
		}
	}
}

// checks are what /readyz asks. A node whose authenticator is away lets nobody in who
// needs it: others should. What the other kinds get waits, and clients miss nothing.
func (n *natives) checks() []observe.Check {
	if len(n.Authenticators) == 0 {
		return nil
	}
	return []observe.Check{{Name: "native", Probe: func(context.Context) error { return n.Check(native.KindAuthenticator) }}}
}

// ServeHTTP lists the plugins, their state and what they did, for operators: GET /native.
func (n *natives) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	type plugin struct {
		Name     string `json:"name"`
		Kind     string `json:"kind"`
		State    string `json:"state"`
		Failure  string `json:"failure,omitempty"` // the last
		Restarts uint64 `json:"restarts"`
		Waiting  int    `json:"waiting"`
		Open     int    `json:"open"`
		Answered uint64 `json:"answered"`
		Dropped  uint64 `json:"dropped"`
		Failed   uint64 `json:"failed"`
	}
	list := []plugin{}
	for _, st := range n.Stats() {
		list = append(list, plugin{
			st.Name, st.Kind, st.State.String(), st.Failure, st.Restarts, st.Waiting, st.Open, st.Answered, st.Dropped, st.Failed,
		})
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"node": n.app.cfg.Node, "plugins": list}) // the client has gone away
}

// checkNative reports what must be true of native plugins and tenants together.
func (c *Config) checkNative(report func(path, problem string)) {
	native.CheckAll(c.Native, func(path, problem string) { report("native"+path, problem) })
	for i := range c.Native {
		p := &c.Native[i]
		if p.Kind == native.KindNotifier && (p.Name == notifierWebhook || p.Name == notifierLog) {
			report(fmt.Sprintf("native[%d].name", i), fmt.Sprintf("%q is a notifier of the node's own", p.Name))
		}
		for j, name := range p.Tenants {
			if _, there := c.Tenants[name]; !there {
				report(fmt.Sprintf("native[%d].tenants[%d]", i, j), fmt.Sprintf("there is no tenant %q", name))
			}
		}
	}
}

// authenticated reports whether one of the authenticators is for a tenant.
func authenticated(plugins []native.Config, tenant string) bool {
	return slices.ContainsFunc(plugins, func(p native.Config) bool {
		return p.Kind == native.KindAuthenticator && (len(p.Tenants) == 0 || slices.Contains(p.Tenants, tenant))
	})
}
