package socket

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lxzan/gws"

	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/observe"
)

// Server accepts connections and holds them.
type Server struct {
	cfg       Config
	deps      Deps
	log       *slog.Logger
	start     time.Time
	trusted   []netip.Prefix
	origins   origins
	upgraders map[string]*gws.Upgrader // by the subprotocol that they select
	flushers  []*flusher
	load      *load
	wheel     *wheel
	guard     *guard
	web       *web
	cert      *certificate // nil without TLS
	deflate   func([]byte) []byte

	buffers  sync.Pool // *[]byte of read_buffer, for reading and for writing slowly
	heads    sync.Pool // *head
	backlogs sync.Pool // *backlog

	mu       sync.Mutex
	listener net.Listener
	stopped  atomic.Bool // no new connections

	ids   atomic.Uint64
	held  atomic.Int64   // bytes that wait elsewhere
	live  atomic.Int64   // places taken, WebSockets and handshakes that may become one
	conns sync.WaitGroup // handshakes and connections
	group sync.WaitGroup // flushers and the other goroutines, and who waits for a socket

	count counters

	rtt, jitter observe.Histogram
	missed      atomic.Uint64 // heartbeats
}

// New checks the configuration and starts nothing.
func New(cfg Config, deps Deps) (*Server, error) {
	if err := cfg.check(&deps); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, deps: deps, log: deps.Logger, start: time.Now()}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if s.trusted, err = prefixes(cfg.Proxies.Trusted); err != nil {
		return nil, err
	}
	if s.origins, err = parseOrigins(cfg.Origins); err != nil {
		return nil, err
	}
	if cfg.TLS.Cert != "" {
		if s.cert, err = newCertificate(cfg.TLS); err != nil {
			return nil, err
		}
	}
	if cfg.Compression.Enabled {
		if s.deflate, err = newDeflate(cfg.Compression); err != nil {
			return nil, err
		}
	}
	s.upgraders = upgraders(&cfg, deps.Subprotocols)
	s.load = newLoad()
	for range runtime.GOMAXPROCS(0) {
		s.flushers = append(s.flushers, newFlusher(s.load))
	}
	s.wheel = newWheel(cfg.Heartbeat.Interval)
	s.guard = newGuard(cfg.Handshake)
	s.web = newWeb(cfg, s.before(deps.HTTP), s.log)
	s.buffers.New = func() any { p := make([]byte, cfg.ReadBuffer); return &p }
	s.heads.New = newHead
	s.backlogs.New = newBacklog
	return s, nil
}

// before has requests to upgrade that the HTTP server meets handed back.
func (s *Server) before(h http.Handler) http.Handler {
	if h == nil {
		h = http.NotFoundHandler()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.isUpgrade(r) {
			s.handBack(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// Listen opens the port, so that Addr is known before Run, which otherwise does
// it.
func (s *Server) Listen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		return nil
	}
	// TCP's own keep-alive would do the heartbeat's work a second time.
	lc := net.ListenConfig{KeepAlive: -1}
	l, err := lc.Listen(context.Background(), "tcp", s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	s.listener = l
	return nil
}

// Addr is where the server listens; nil before Listen.
func (s *Server) Addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// Run serves until ctx ends. Then it closes every connection with Draining and
// returns when all have ended, or with an error if some handler did not return
// within twice the close timeout.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Listen(); err != nil {
		return err
	}
	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	for _, f := range s.flushers {
		s.group.Go(func() { f.run(inner) })
	}
	s.group.Go(func() { s.load.sample(inner, s.cfg.Queue, s.queued, s.relieve) })
	s.group.Go(func() { s.wheel.run(inner, s) })
	s.group.Go(func() { s.web.run(inner) })
	if s.cert != nil {
		s.group.Go(func() { s.cert.watch(inner, s.log) })
	}
	s.group.Go(func() { s.accept(ctx) })

	<-ctx.Done()
	s.StopAccepting()
	s.closePort()
	err := s.empty()
	stop()
	s.group.Wait()
	return err
}

// empty closes all connections and waits for them.
func (s *Server) empty() error {
	s.Each(func(c *Conn) bool { c.CloseWith(fault.Draining, ""); return true })
	over := make(chan struct{})
	go func() { s.conns.Wait(); close(over) }() // ends with the last connection
	for range 2 {
		select {
		case <-over:
			return nil
		case <-time.After(s.cfg.CloseTimeout):
			s.Each(func(c *Conn) bool { c.shut(net.ErrClosed); return true })
		}
	}
	return fmt.Errorf("socket: %d connections did not end", s.live.Load())
}

// StopAccepting refuses handshakes from now on; connections stay. To drain a node, call
// it, then CloseWith for Each connection. The port stays open until Run's context ends:
// clients that poll need it for their last polls, and others are told why they are
// refused.
func (s *Server) StopAccepting() { s.stopped.Store(true) }

// closePort has nobody connect any more.
func (s *Server) closePort() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		_ = s.listener.Close()
	}
}

// Each calls f for every open connection until it returns false. Connections
// that come or go meanwhile may be left out.
func (s *Server) Each(f func(*Conn) bool) { s.wheel.each(f) }

// Reload reads the certificate again, whatever its files' times say.
func (s *Server) Reload() error {
	if s.cert == nil {
		return nil
	}
	return s.cert.load()
}

// clock is the time since New, and never 0.
func (s *Server) clock() time.Duration { return time.Since(s.start) + 1 }

// leave gives up one connection's place.
func (s *Server) leave() {
	s.live.Add(-1)
	s.conns.Done()
}

// Hold counts n bytes more, or less, to what waits for clients on this node: for
// those of another transport, which Deps.Relieve is to give up if need be.
func (s *Server) Hold(n int64) {
	s.held.Add(n)
	s.load.stir()
}

// Shedding tells whether so much waits for clients on this node that ephemeral
// frames are to be dropped.
func (s *Server) Shedding() bool { return s.load.pressure.Load() >= pressureShed }

// queued is what waits for all connections.
func (s *Server) queued() int64 {
	n := s.held.Load()
	for _, f := range s.flushers {
		n += f.queued.Load()
	}
	return n
}

// relieve closes the connections that are furthest behind until no more than
// target bytes wait. Other transports give up their share.
func (s *Server) relieve(target int64) {
	queued := s.queued()
	excess := queued - target
	if held := s.held.Load(); held > 0 && s.deps.Relieve != nil {
		share := min(int64(float64(excess)*float64(held)/float64(queued)), excess)
		s.deps.Relieve(share)
		excess -= share
	}
	for _, c := range furthestBehind(s.Each, excess) {
		c.end(ending{kind: fault.SlowConsumer, text: "the node is short of memory", cut: true})
	}
}

func (s *Server) logPanic(doing string, p any) {
	s.count.panics.Add(1)
	s.log.Error("panic in a connection", "doing", doing, "panic", p, "stack", string(debug.Stack()))
}

// closed tells the handler.
func (s *Server) closed(c *Conn, cause error) {
	defer c.guard("closed")
	s.deps.Handler.Closed(c, cause)
}

// regraded tells whoever wants to know of quality.
func (s *Server) regraded(c *Conn, q Quality) {
	if s.deps.OnQuality != nil {
		defer c.guard("quality")
		s.deps.OnQuality(c, q)
	}
}
