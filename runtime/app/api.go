package app

import (
	"context"
	"net/http"
	"strconv"

	"github.com/heddle-rt/heddle/builtin/presence"
	"github.com/heddle-rt/heddle/runtime/ack"
	"github.com/heddle-rt/heddle/runtime/api"
	"github.com/heddle-rt/heddle/runtime/authenticate"
	"github.com/heddle-rt/heddle/runtime/deadletter"
	"github.com/heddle-rt/heddle/runtime/dialect/native"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/observe"
	"github.com/heddle-rt/heddle/runtime/plugin"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/session"
)

// apiKeys are the keys of all tenants.
func apiKeys(tenants map[string]Tenant) map[string][]api.Key {
	out := make(map[string][]api.Key, len(tenants))
	for name, t := range tenants {
		out[name] = t.APIKeys
	}
	return out
}

// apiDeps is what the server API is made of. Parts that are nil are told to be
// missing.
type apiDeps struct {
	Keys       *api.Keyring
	Run        *api.Runner
	Rooms      *room.Rooms
	Actions    []event.Action
	Presence   api.Presence
	Disconnect api.Disconnector
	Revoke     api.Revoker
	Plugins    api.Plugins
}

// api makes the server API.
func (a *App) api(d apiDeps) (*api.API, error) {
	return api.New(api.Deps{
		Keys: d.Keys, Run: d.Run, Rooms: d.Rooms, Reader: a.stores.rooms, History: a.stores.rooms, Actions: d.Actions,
		Timeout: a.cfg.Timeout, Log: a.log, Now: a.now, Leaving: a.leaving,
		Sessions: apiSessions{a}, Presence: d.Presence, Disconnect: d.Disconnect, Revoke: d.Revoke, Plugins: d.Plugins,
	})
}

// web brings requests below the API's prefix to it, those for plugins to these, and all
// others to next, which may be nil.
func web(served *api.API, hooks, next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(api.Prefix, served)
	mux.Handle("POST "+plugin.RequestPath, hooks)
	mux.HandleFunc("/hooks/", func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "a plugin is reached by POST "+plugin.RequestPath, http.StatusNotFound)
	})
	if next != nil {
		mux.Handle("/", next)
	}
	return mux
}

// runner runs envelopes that come over no connection, once there is a pipeline.
func (a *App) runner(policy *room.Rooms) *api.Runner {
	return api.NewRunner(api.RunnerDeps{Route: a.pipeline, Rooms: policy, Reader: a.stores.rooms, Decode: native.JSON{}.Decode})
}

// apiSessions shows sessions to their tenants.
type apiSessions struct{ a *App }

func (s apiSessions) Connections(tenant string, q api.Query) (page []api.Connection, more bool, looked int) {
	list, more, looked := s.a.sessions.Page(session.Filter{Tenant: tenant, User: q.User, Device: q.Device, Session: q.Session, Limit: q.Limit}, q.After)
	page = make([]api.Connection, len(list))
	for i := range list {
		c := &list[i]
		page[i] = api.Connection{
			Session: c.Session, User: c.User, Device: c.Device, State: c.State, Node: c.Node, Transport: c.Transport, Remote: c.Remote,
			Agent: c.Agent, Opened: c.Opened.UnixMilli(), Rooms: c.Rooms, Attributes: c.Attributes,
		}
	}
	return page, more, looked
}

// apiPresence shows to a tenant's backend what others see of its users.
type apiPresence struct{ a *App }

func (p apiPresence) Presence(_ context.Context, tenant string, users []string) ([]api.Status, error) {
	return statuses(p.a.presence.Seen(tenant, users)), nil
}

func (p apiPresence) Present(_ context.Context, tenant, room, after string, limit int) (api.Presents, error) {
	in := p.a.presence.SeenIn(tenant, room, after, limit)
	return api.Presents{Users: statuses(in.Users), Next: in.Next, Online: in.Online, Away: in.Away, DND: in.DND}, nil
}

// statuses is nil for nil.
func statuses(seen []presence.Seen) []api.Status {
	if seen == nil {
		return nil
	}
	out := make([]api.Status, len(seen))
	for i := range seen {
		out[i] = api.Status(seen[i])
	}
	return out
}

// apiDisconnect ends connections for their tenant's backend.
type apiDisconnect struct{ a *App }

func (d apiDisconnect) Disconnect(ctx context.Context, tenant string, t api.Target) (int, error) {
	f := session.Filter{Tenant: tenant, User: t.User, Device: t.Device, Session: t.Session}
	if d.a.cluster != nil {
		return d.a.cluster.directory.Hangup(ctx, f, t.Reconnect)
	}
	return d.a.sessions.Hangup(ctx, f, t.Reconnect), nil
}

// deadLetters keeps events that fail, and knows those that are in the store.
func (a *App) deadLetters() *deadletter.Letters {
	return deadletter.New(deadletter.Deps{
		Committer: a.submit, Rows: a.stores.rooms, History: a.stores.rooms, Now: a.now, Log: a.log, Tenants: a.tenants,
	})
}

// replayer runs dead letters again, as from their senders.
type replayer struct{ run *api.Runner }

func (r replayer) Replay(ctx context.Context, n *deadletter.Letter) error {
	_, err := r.run.Run(ctx, api.Speaker{Tenant: n.Tenant, User: n.User, Device: n.Device}, n.Room, n.Envelope)
	return err
}

// noters are all told of events that were refused.
type noters []ack.Noter

func (all noters) Event(ev *event.Event, kind fault.Kind) {
	for _, n := range all {
		n.Event(ev, kind)
	}
}

// apiMetrics are those of the server API and of dead letters.
func apiMetrics(r *observe.Registry, served *api.API, dead *deadletter.Letters) {
	r.CountersFunc("heddle_api_requests_total", "Requests of the server API, by route and status; route none: what is no route.", []string{"route", "status"}, func(y yield) {
		for _, c := range served.Stats() {
			for status, n := range c.ByStatus {
				y(float64(n), c.Route, strconv.Itoa(status))
			}
		}
	})
	r.HistogramsFunc("heddle_api_request_seconds", "Time from a request of the server API to its answer, by route.", []string{"route"}, func(y summary) {
		for _, c := range served.Stats() {
			if c.Took.Count > 0 {
				y(c.Took, c.Route)
			}
		}
	})
	r.GaugesFunc("heddle_dead_letters", "Events that failed by a fault of the node's own, and wait for an operator.", []string{"tenant"}, func(y yield) {
		for tenant, n := range dead.Counts() {
			y(float64(n), tenant)
		}
	})
	r.CountersFunc("heddle_dead_letter_events_total", "What happened to dead letters: kept, dropped for newer ones, not taken by the store.", []string{"what"}, func(y yield) {
		y(float64(dead.Kept.Load()), "kept")
		y(float64(dead.Dropped.Load()), "dropped")
		y(float64(dead.Failed.Load()), "unstored")
	})
}

// apiRevoker hands what a tenant's backend revokes to those who keep it.
type apiRevoker struct{ a *App }

// Revoke refuses tokens from now on.
func (r apiRevoker) Revoke(ctx context.Context, tenant string, v api.Revocation) error {
	return r.a.revocations.Revoke(ctx, authenticate.Revocation{Tenant: tenant, Token: v.Token, User: v.User, Device: v.Device})
}
