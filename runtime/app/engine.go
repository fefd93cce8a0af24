package app

import (
	"context"
	"net/http"
	"net/netip"

	"golang.org/x/sync/errgroup"

	"github.com/heddle-rt/heddle/runtime/dialect/native"
	"github.com/heddle-rt/heddle/runtime/engineio"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/limit"
	"github.com/heddle-rt/heddle/runtime/observe"
	"github.com/heddle-rt/heddle/runtime/session"
	"github.com/heddle-rt/heddle/runtime/socket"
	"github.com/heddle-rt/heddle/runtime/socketio"
)

// engine is what comes over Engine.IO: clients of Socket.IO, and native ones that poll.
type engine struct {
	a        *App
	server   *engineio.Server
	upgrades socket.Handler
	socketio *socketio.Server // nil if such clients are not served
	paths    map[string]bool
}

// echoPath is where the test suite of Engine.IO expects its application.
const echoPath = "/engine.io/"

// newEngine makes the engine; the sockets are there already.
func (a *App) newEngine(cfg Config) (*engine, error) {
	e := &engine{a: a, paths: map[string]bool{}}
	points := e.points(cfg)
	for _, p := range points {
		for _, path := range p.Paths() {
			e.paths[path] = true
		}
	}
	var err error
	e.server, err = engineio.New(cfg.EngineIO, engineio.Deps{
		Endpoints: points, Node: cfg.Node, Sockets: a.server, Queue: cfg.Socket.Queue, CloseTimeout: cfg.Socket.CloseTimeout, Logger: a.log, Malformed: e.malformed,
	})
	if err != nil {
		return nil, err
	}
	e.upgrades = e.server.Upgrade()
	return e, nil
}

// points are what the engine serves.
func (e *engine) points(cfg Config) (points []engineio.Endpoint) {
	if cfg.EngineIO.Poll != "" {
		points = append(points, engineio.Endpoint{Path: cfg.EngineIO.Poll, Handler: poller{sockets{e.a}}, Bare: true})
	}
	if cfg.SocketIO.Path == "" {
		return points
	}
	deps := socketio.Deps{
		Admit: e.admit, Open: e.open, Closed: e.closed, MaxPacket: int(cfg.Socket.MaxFrameBytes), FirstIndex: native.Encodings, Suspect: e.suspect,
	}
	if cfg.SocketIO.Conformance {
		deps = socketio.Conformance(deps)
		points = append(points, engineio.Endpoint{Path: echoPath, Handler: socketio.Echo{}})
	}
	e.socketio = socketio.New(cfg.SocketIO, deps)
	return append(points, engineio.Endpoint{Path: cfg.SocketIO.Path, Handler: e.socketio})
}

// upgradePaths are the engine's paths for WebSockets.
func upgradePaths(cfg Config) (paths []string) {
	for _, p := range (&engine{}).points(cfg) {
		if !p.Bare {
			paths = append(paths, p.Paths()...)
		}
	}
	return paths
}

// run serves sockets and polls until ctx ends.
func (e *engine) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return e.a.server.Run(ctx) })
	g.Go(func() error { return e.server.Run(ctx) })
	err := g.Wait()
	if e.socketio != nil {
		e.socketio.Wait()
	}
	return err
}

// polled has requests of clients that poll go to the engine, and others to next. The
// engine is made after the sockets, and before they listen.
func polled(a *App, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.engine.paths[r.URL.Path] {
			a.engine.server.ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// admit is who the token of a handshake speaks for. A client shows its page neither
// status nor close code: a token that is no good is refused when it connects to a
// namespace, for want of a better one.
func (e *engine) admit(ctx context.Context, h *socket.Handshake) (*event.Identity, error) {
	h.TokenOffered = true
	v, err := sockets{e.a}.admit(ctx, h)
	if err != nil {
		return nil, err
	}
	return v.(admitted).id, nil
}

func (e *engine) malformed(ip netip.Addr) {
	e.a.suspects.Note(limit.Malformed, limit.Who{IP: ip})
}

// suspect counts what is no packet against who speaks over the connection, if that is
// known, as of native connections.
func (e *engine) suspect(ip netip.Addr, p socketio.Peer) {
	if s, ok := p.(*session.Session); ok {
		e.a.suspects.Frame(s)
		return
	}
	e.malformed(ip)
}

func (e *engine) open(conn session.Conn, d session.Dialect, id *event.Identity, transport string) socketio.Peer {
	return e.a.sessions.New(conn, d, id, transport)
}

func (e *engine) closed(p socketio.Peer) { e.a.leave(p.(*session.Session)) }

// leave ends a session's connection.
func (a *App) leave(s *session.Session) {
	s.Closed()
	a.quotas.Leave(s)
}

// poller is the native protocol over long-polling.
type poller struct{ sockets }

// Admit checks the handshake's token, if there is one.
func (p poller) Admit(ctx context.Context, h *socket.Handshake) (any, error) {
	return p.admit(ctx, h)
}

// Open makes the connection's session.
func (p poller) Open(c *engineio.Conn) error {
	from := c.Value().(admitted)
	if from.err != nil {
		return from.err
	}
	c.SetValue(p.a.sessions.New(c, native.JSON{}, from.id, c.Transport()))
	c.Stand(from.id != nil)
	return nil
}

// Frame hands a message to the session. A POST may be larger than the largest message.
func (p poller) Frame(c *engineio.Conn, payload []byte, binary bool) {
	if len(payload) > int(p.a.cfg.Socket.MaxFrameBytes) {
		c.CloseWith(fault.TooLarge, "")
		return
	}
	s := c.Value().(*session.Session)
	if s.Frame(payload, binary); s.Opened() {
		c.Stand(true)
	}
}

// Closed ends the session's connection.
func (p poller) Closed(c *engineio.Conn, _ error) {
	if s, ok := c.Value().(*session.Session); ok {
		p.a.leave(s)
	}
}

// engineMetrics shows what the engine counts.
func (a *App) engineMetrics(r *observe.Registry) {
	st := a.engine.server.Stats
	r.GaugeFunc("heddle_polling_open", "Connections over HTTP long-polling.", func() float64 { return float64(st().Polling) })
	r.CountersFunc("heddle_polling_refused_total", "Requests of clients that poll, and WebSockets of Engine.IO, that were refused, by reason.", []string{"reason"}, func(y yield) {
		for reason, n := range st().Refused {
			y(float64(n), reason)
		}
	})
	if a.engine.socketio == nil {
		return
	}
	c := &a.engine.socketio.Counters
	r.CountersFunc("heddle_socketio_connects_total", "CONNECT packets of clients of Socket.IO, by what became of them; recovered are also ok.", []string{"result"}, func(y yield) {
		y(float64(c.Connected.Load()), "ok")
		y(float64(c.Recovered.Load()), "recovered")
		y(float64(c.Refused.Load()), "refused")
	})
	r.CounterFunc("heddle_socketio_malformed_total", "Connections of Socket.IO closed because the client sent what is no packet.", func() float64 { return float64(c.Malformed.Load()) })
}
