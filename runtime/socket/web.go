package socket

import (
	"container/list"
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// How long a kept-alive HTTP connection may be idle, if nobody else needs its place.
const webIdle = time.Minute

// web is the HTTP server for everything that is no WebSocket. Its connections
// come from the front, with the first request's head read.
type web struct {
	server *http.Server
	in     chan net.Conn
	over   chan struct{}
	once   sync.Once
	places chan struct{}
	grace  time.Duration
	log    *slog.Logger

	mu    sync.Mutex
	waits list.List // connections without a request, by the time since when: of *prefixed
}

func newWeb(cfg Config, h http.Handler, log *slog.Logger) *web {
	w := &web{
		server: &http.Server{
			Handler:           h,
			ReadHeaderTimeout: cfg.Handshake.Timeout,
			IdleTimeout:       webIdle,
			MaxHeaderBytes:    int(cfg.Handshake.MaxHeaderBytes),
			ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		},
		in:     make(chan net.Conn),
		over:   make(chan struct{}),
		places: make(chan struct{}, cfg.MaxHTTP),
		grace:  cfg.CloseTimeout,
		log:    log,
	}
	w.server.ConnState = w.state
	return w
}

// reserve takes a place for c, which c's Close gives back. If there is none, the one
// that has had no request for the longest time gives up its own. It is false if all
// have one.
func (w *web) reserve(c *prefixed) bool {
	for {
		select {
		case w.places <- struct{}{}:
			c.leave = func() { <-w.places }
			return true
		default:
		}
		if idle := w.idle(); idle == nil {
			return false
		} else if err := idle.Close(); err != nil {
			w.log.Debug("a connection without a request did not close", "error", err)
		}
	}
}

// state follows which connections have a request.
func (w *web) state(nc net.Conn, now http.ConnState) {
	c, ok := nc.(*prefixed)
	if !ok {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.waits != nil {
		w.waits.Remove(c.waits)
		c.waits = nil
	}
	if now == http.StateIdle {
		c.waits = w.waits.PushBack(c)
	}
}

// idle takes out the one that has been without a request for longest; nil if all have one.
func (w *web) idle() *prefixed {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.waits.Front()
	if e == nil {
		return nil
	}
	c := w.waits.Remove(e).(*prefixed)
	c.waits = nil
	return c
}

// take hands over a connection that has its place. It is false if the server
// has ended.
func (w *web) take(c *prefixed) bool {
	select {
	case w.in <- c:
		return true
	case <-w.over:
		return false
	}
}

// run serves until ctx ends; then requests under way get the close timeout.
func (w *web) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { _ = w.Close() })
	defer stop()
	_ = w.server.Serve(w)
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.grace)
	defer cancel()
	if w.server.Shutdown(grace) != nil {
		_ = w.server.Close()
	}
}

// Accept, Close and Addr make web a net.Listener.
func (w *web) Accept() (net.Conn, error) {
	select {
	case c := <-w.in:
		return c, nil
	case <-w.over:
		return nil, net.ErrClosed
	}
}

func (w *web) Close() error {
	w.once.Do(func() { close(w.over) })
	return nil
}

func (w *web) Addr() net.Addr { return &net.TCPAddr{} }

// prefixed is a connection of which some bytes have been read already.
type prefixed struct {
	net.Conn
	first  []byte
	remote net.Addr // the client behind a PROXY protocol header, or nil
	leave  func()   // called once, on Close; may be nil
	once   sync.Once
	waits  *list.Element // guarded by web.mu; nil while it has a request
}

func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.first) > 0 {
		n := copy(b, p.first)
		p.first = p.first[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}

func (p *prefixed) RemoteAddr() net.Addr {
	if p.remote != nil {
		return p.remote
	}
	return p.Conn.RemoteAddr()
}

func (p *prefixed) Close() error {
	p.once.Do(func() {
		if p.leave != nil {
			p.leave()
		}
	})
	return p.Conn.Close()
}
