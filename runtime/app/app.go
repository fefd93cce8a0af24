package app

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/heddle-rt/heddle/builtin"
	"github.com/heddle-rt/heddle/builtin/notification"
	"github.com/heddle-rt/heddle/builtin/presence"
	rooms "github.com/heddle-rt/heddle/builtin/room"
	"github.com/heddle-rt/heddle/builtin/typing"
	"github.com/heddle-rt/heddle/runtime/ack"
	"github.com/heddle-rt/heddle/runtime/api"
	"github.com/heddle-rt/heddle/runtime/authenticate"
	"github.com/heddle-rt/heddle/runtime/config"
	"github.com/heddle-rt/heddle/runtime/deadletter"
	"github.com/heddle-rt/heddle/runtime/deliver"
	"github.com/heddle-rt/heddle/runtime/dialect/native"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/limit"
	"github.com/heddle-rt/heddle/runtime/observe"
	"github.com/heddle-rt/heddle/runtime/pipeline"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/rule"
	"github.com/heddle-rt/heddle/runtime/sequence"
	"github.com/heddle-rt/heddle/runtime/session"
	"github.com/heddle-rt/heddle/runtime/socket"
)

// Deps is what the caller hands over.
type Deps struct {
	Log   *slog.Logger
	Level *slog.LevelVar // of Log, changed over the admin server; nil for none
	// HTTP answers requests that are not WebSocket handshakes; nil answers 404.
	HTTP http.Handler
	// Load reads the whole configuration again, from Files and whatever else the first
	// one came from; nil: the node keeps the one it has.
	Load  func() (*config.Result[Config], error)
	Files []string
	// Resolver finds the hosts that plugins send requests to; nil for the system's.
	Resolver *net.Resolver
	// Backends are those of a cluster, from Connect; nil for a node that is alone.
	Backends *Backends
}

// App is one node.
type App struct {
	cfg Config
	log *slog.Logger
	now func() time.Time

	resolver *net.Resolver

	stores      *stores
	verifier    *tokens
	revocations *authenticate.Revocations
	rooms       *room.Rooms
	reload      *reloader
	hub         *deliver.Hub
	committer   *sequence.Committer
	submit      sequence.Direct // to the committer, of whichever node
	publish     sequence.Publisher
	emit        deliver.Emitter // to the sessions, of all nodes
	cluster     *clustered      // nil for a node that is alone
	sessions    *session.Manager
	pipeline    *pipeline.Pipeline
	workers     *pipeline.Workers
	answers     *ack.Stage
	sequence    *sequence.Stage
	limits      *limit.Stage
	suspects    *limit.Suspects
	quotas      *limit.Quotas
	rules       *rule.Rules
	keys        *api.Keyring
	run         *api.Runner
	served      *api.API
	dead        *deadletter.Letters
	actions     []event.Action
	presence    *presence.Presence
	typing      *typing.Typing
	notify      *notification.Notifications
	webhook     *notification.Webhook
	plugins     *plugins
	native      *natives
	expirer     *rooms.Expirer
	server      *socket.Server
	engine      *engine
	admin       *observe.Admin
	fatal       chan error
	leaving     chan struct{} // closed when the node begins to drain
	ready       readiness
}

// New builds a node and opens its store; Listen and Run start it.
func New(cfg Config, deps Deps) (*App, error) {
	loaded := cfg
	cfg.name()
	a := &App{cfg: cfg, log: deps.Log.With("node", cfg.Node), now: time.Now, resolver: deps.Resolver, fatal: make(chan error, 1), leaving: make(chan struct{})}
	var err error
	if a.native, err = a.natives(cfg); err != nil {
		return nil, err
	}
	if a.verifier, err = newTokens(&cfg, a.native.Authenticators, authenticate.Deps{
		Logger: a.log, Revoked: func(id *event.Identity) bool { return a.revocations.Revoked(id) },
	}); err != nil {
		return nil, err
	}
	if deps.Backends != nil {
		a.stores, err = a.join(cfg, deps.Backends)
	} else {
		a.stores, err = a.alone(cfg)
	}
	if err != nil {
		return nil, err
	}
	a.actions, err = a.core(cfg)
	if err != nil {
		return nil, errors.Join(err, a.stores.close())
	}
	if err := a.edges(cfg, deps); err != nil {
		return nil, errors.Join(err, a.stores.close())
	}
	a.reload = newReloader(loaded, cfg.Reload.Watch, reloadDeps{
		Load: deps.Load, Files: deps.Files, Level: deps.Level, Verifier: a.verifier.Reloadable, Limits: a.limits, Rules: a.rules, Actions: a.actions,
		Rooms: a.rooms, Socket: a.server, Sessions: a.sessions, Log: a.log, Now: a.now,
		Others: []func(*Config) (func(), error){a.verifier.reload, a.reloadKeys, a.reloadRevocations, a.reloadWebhooks, a.reloadPlugins},
		Come:   a.plugins.come,
	})
	return a, nil
}

// core makes what lies between the sockets and the store.
func (a *App) core(cfg Config) (actions []event.Action, err error) {
	kept := a.stores.rooms
	policy := room.New(cfg.Rooms, kept)
	a.rooms = policy
	a.workers = pipeline.NewWorkers(cfg.Workers, a.log)
	a.hub = deliver.New(cfg.Deliver, deliver.Deps{
		History: kept, Log: a.log, Now: a.now,
		Observe: func(r *event.Record) { a.sessions.Observe(r); a.presence.Observe(r) },
	})
	committing := sequence.Deps{Log: a.stores.log, Publisher: publisher{a}, Space: a.stores.space, Logger: a.log}
	if a.cluster != nil {
		committing.Ownership = a.cluster.router
	}
	a.committer, err = sequence.New(cfg.Sequence, committing)
	if err != nil {
		return nil, err
	}
	a.submit, a.publish, a.emit = sequence.Direct{Submitter: a.committer}, a.hub, a.hub
	if a.cluster != nil {
		a.cluster.serve()
	}
	a.revocations = authenticate.NewRevocations(authenticate.RevocationsDeps{
		Committer: a.submit, Rows: kept, Tenants: a.tenants, Now: a.now, Log: a.log,
		Life: func(tenant string) time.Duration { return a.verifier.Current().Life(tenant) },
		Disconnect: func(tenant, user string, revoked func(*event.Identity) bool, reason string) {
			a.sessions.Disconnect(tenant, user, revoked, reason)
		},
	})
	a.presence = presence.New(cfg.Presence, presence.Deps{
		Emit: a.hub, Rooms: policy, Notes: kept, Now: a.now, Clock: func() int64 { return a.pipeline.Now() },
		Mode: func(name string) string { t, _ := policy.Type(name); return t.PresenceMode() },
	})
	a.notify = a.notifications(cfg, policy)
	a.typing = typing.New(cfg.Typing, typing.Deps{Emit: a.hub, Tell: a.cluster.tell(), Now: a.now})
	a.expirer = rooms.NewExpirer(rooms.ExpirerDeps{
		Rooms: policy, Reader: kept, History: kept, Notes: kept, Committer: a.submit,
		Tenants: a.tenants, Now: a.now, Log: a.log,
	})
	actions = append(session.Actions(), builtin.All(builtin.Deps{
		Rooms: policy, Reader: kept, History: kept, Notes: kept, JSON: native.JSON{}, Typing: a.typing, Devices: devices{a}, Presence: a.presence,
	})...)
	if err := a.guard(cfg, actions); err != nil {
		return nil, err
	}
	a.dead = a.deadLetters()
	if a.plugins, err = a.newPlugins(cfg, actions); err != nil {
		return nil, err
	}
	route := a.route(actions)
	a.pipeline = pipeline.New(pipeline.Deps{Log: a.log, Second: a.sequence.Second, Timeout: cfg.Timeout}, a.workers, route...)
	a.run = a.runner(policy)
	with := session.Deps{
		Route: a.pipeline, Workers: a.workers, Hub: a.hub, Rooms: policy, Reader: kept, History: kept, Store: a.stores.sessions,
		Log: a.log, Now: a.now, Node: cfg.Node, Suspects: a.suspects, Left: a.left, Disconnected: a.disconnected, Locate: a.cluster.locate(),
		Tokens: a.verifier, Revoked: a.revocations.Revoked, Presence: a.presence,
		Limits: session.Limits{Heartbeat: cfg.Socket.Heartbeat.Interval, MaxFrameBytes: int(cfg.Socket.MaxFrameBytes)},
	}
	if a.cluster != nil {
		a.cluster.who()
		with.Announce, with.Others, a.quotas.Elsewhere = a.cluster.directory, a.cluster.directory, a.cluster.directory.Count
	}
	a.sessions = session.NewManager(cfg.Session, with)
	return actions, nil
}

// guard makes what keeps tenants and their users within bounds.
func (a *App) guard(cfg Config, actions []event.Action) (err error) {
	rules, tenants := guarded(cfg.Tenants)
	if a.rules, err = rule.New(rules, rule.Deps{Actions: actions, Now: a.now}); err != nil {
		return err
	}
	a.suspects = limit.NewSuspects(cfg.Limit.Score, limit.SuspectsDeps{Log: a.log, Now: a.now})
	a.quotas = limit.NewQuotas(nil, a.stores.usage)
	a.limits = limit.New(cfg.Limit)
	a.limits.Suspects, a.limits.Quotas = a.suspects, a.quotas
	return a.limits.Reload(cfg.Limit, tenants)
}

// tenants lists those that the node serves at present.
func (a *App) tenants() []string {
	if a.reload == nil { // not yet
		return slices.Sorted(maps.Keys(a.cfg.Tenants))
	}
	return a.reload.tenants()
}

// reloadKeys makes ready the API keys of another configuration.
func (a *App) reloadKeys(next *Config) (func(), error) {
	keys := apiKeys(next.Tenants)
	if _, err := api.NewKeyring(keys); err != nil {
		return nil, err
	}
	return func() { _ = a.keys.Reload(keys) }, nil // it was just made of the same
}

// reloadRevocations reads what was revoked of tenants that come or come back.
func (a *App) reloadRevocations(*Config) (func(), error) {
	return func() {
		if err := a.revocations.Load(context.Background()); err != nil {
			a.log.Error("what was revoked could not be read; tokens are checked without it until the next reload", "error", err)
		}
	}, nil
}

// devices reaches sessions, which are made after the handlers.
type devices struct{ a *App }

func (d devices) Direct(env *event.Envelope, user, device string) int {
	return d.a.sessions.Direct(env, user, device)
}

// resume goes on with an event whose durable effects are on disk, or refused.
func (a *App) resume(ev *event.Event, err error) {
	a.pipeline.Continue(context.Background(), ev, err)
}

// edges makes the listeners.
func (a *App) edges(cfg Config, deps Deps) (err error) {
	if a.keys, err = api.NewKeyring(apiKeys(cfg.Tenants)); err != nil {
		return err
	}
	if a.cluster != nil {
		a.cluster.budgets()
	}
	a.served, err = a.api(apiDeps{
		Keys: a.keys, Run: a.run, Rooms: a.rooms, Actions: a.actions, Presence: apiPresence{a}, Disconnect: apiDisconnect{a}, Revoke: apiRevoker{a},
		Plugins: newAPIPlugins(a),
	})
	if err != nil {
		return err
	}
	carrier, at := sockets{a}, cfg.Socket
	at.Paths = slices.Concat(at.Paths, upgradePaths(cfg))
	a.server, err = socket.New(at, socket.Deps{
		Handler: carrier, HTTP: polled(a, web(a.served, a.plugins.service, deps.HTTP)), Logger: a.log,
		Subprotocols: []string{native.JSON{}.Name(), native.MessagePack{}.Name()},
		OnQuality:    carrier.quality, Relieve: func(bytes int64) { a.engine.server.Relieve(bytes) },
	})
	if err != nil {
		return err
	}
	if a.engine, err = a.newEngine(cfg); err != nil {
		return err
	}
	a.admin, err = observe.New(cfg.Admin, observe.Deps{
		Registry: a.metrics(cfg.Metrics), Log: a.log, Level: deps.Level, Checks: a.checks(),
	})
	if err != nil {
		return err
	}
	if a.cluster != nil && a.cluster.worker != nil {
		workerRoutes(a.admin, a.cluster.worker)
	}
	for pattern, h := range a.dead.Routes(replayer{a.run}) {
		a.admin.Handle(pattern, h)
	}
	a.admin.Handle("GET /connections", http.HandlerFunc(a.connections))
	a.admin.Handle("GET /native", a.native)
	return nil
}

// Listen binds the addresses, so that a caller knows them before Run.
func (a *App) Listen() error {
	if err := a.server.Listen(); err != nil {
		return err
	}
	return a.admin.Listen()
}

// Reload has the configuration read again, soon; the log says what came of it. It
// does not block.
func (a *App) Reload() { a.reload.ask() }

// Addr is where clients connect; AdminAddr where operators look.
func (a *App) Addr() net.Addr      { return a.server.Addr() }
func (a *App) AdminAddr() net.Addr { return a.admin.Addr() }
