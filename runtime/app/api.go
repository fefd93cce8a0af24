package app

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/heddle-rt/heddle/runtime/ack"
	"github.com/heddle-rt/heddle/runtime/api"
	"github.com/heddle-rt/heddle/runtime/authenticate"
	"github.com/heddle-rt/heddle/runtime/deadletter"
	"github.com/heddle-rt/heddle/runtime/dialect/native"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/observe"
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
}

// api makes the server API.
func (a *App) api(d apiDeps) (*api.API, error) {
	return api.New(api.Deps{
		Keys: d.Keys, Run: d.Run, Rooms: d.Rooms, Reader: a.store, History: a.store, Actions: d.Actions,
		Timeout: a.cfg.Timeout, Log: a.log, Now: a.now,
		Sessions: apiSessions{a}, Presence: d.Presence, Disconnect: d.Disconnect, Revoke: d.Revoke,
	})
}

// web brings requests below the API's prefix to it, and all others to next, which
// may be nil.
func web(served *api.API, next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(api.Prefix, served)
	if next != nil {
		mux.Handle("/", next)
	}
	return mux
}

// runner runs envelopes that come over no connection, once there is a pipeline.
func (a *App) runner(policy *room.Rooms) *api.Runner {
	return api.NewRunner(api.RunnerDeps{Route: a.pipeline, Rooms: policy, Reader: a.store, Decode: native.JSON{}.Decode})
}

// apiSessions shows sessions to their tenants.
type apiSessions struct{ a *App }

func (s apiSessions) Connections(tenant, user string, limit int) []api.Connection {
	list := s.a.sessions.Connections(session.Filter{Tenant: tenant, User: user, Limit: limit})
	out := make([]api.Connection, len(list))
	for i := range list {
		c := &list[i]
		out[i] = api.Connection{
			Session: c.Session, User: c.User, Device: c.Device, State: c.State, Node: c.Node, Transport: c.Transport, Remote: c.Remote,
			Agent: c.Agent, Opened: c.Opened.UnixMilli(), Rooms: c.Rooms, Attributes: c.Attributes,
		}
	}
	return out
}

// deadLetters keeps events that fail, and knows those that are in the store.
func (a *App) deadLetters(cfg Config) (*deadletter.Letters, error) {
	l := deadletter.New(deadletter.Deps{
		Committer: a.committer, Rows: a.store, History: a.store, Now: a.now, Log: a.log,
		Tenants: func() []string { return slices.Sorted(maps.Keys(cfg.Tenants)) },
	})
	return l, l.Load(context.Background())
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
	r.CountersFunc("heddle_api_requests_total", "Requests of the server API, by route and the hundred of their status.", []string{"route", "status"}, func(y yield) {
		for _, c := range served.Stats() {
			for status, n := range c.ByStatus {
				y(float64(n), c.Route, strconv.Itoa(status))
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
