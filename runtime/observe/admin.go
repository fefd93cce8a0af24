package observe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Deps is what the admin server shows.
type Deps struct {
	Registry *Registry
	Log      *slog.Logger
	Level    *slog.LevelVar // changed by PUT /loglevel; nil for none
	Version  string         // of /version; from the binary if empty
	Checks   []Check        // of /readyz; AddCheck adds more
}

// Admin is the admin server.
type Admin struct {
	cfg    Config
	deps   Deps
	mux    *http.ServeMux
	server *http.Server

	mu       sync.Mutex
	listener net.Listener
	probes   []*probe
}

// New checks the config; the server listens once Listen or Run is called.
func New(cfg Config, deps Deps) (*Admin, error) {
	var err error
	cfg.Check(func(path, problem string) { err = errors.Join(err, fmt.Errorf("observe: %s: %s", path, problem)) })
	if err != nil {
		return nil, err
	}
	a := &Admin{cfg: cfg, deps: deps, mux: http.NewServeMux()}
	for _, c := range deps.Checks {
		a.AddCheck(c)
	}
	a.routes()
	a.server = &http.Server{
		Handler:           a.guard(a.mux),
		ReadHeaderTimeout: 5 * time.Second, // no limit beyond: a profile runs as long as it was asked to
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(deps.Log.Handler(), slog.LevelWarn),
	}
	return a, nil
}

// Handle serves more, in the patterns of http.ServeMux; a pattern that is taken
// panics.
func (a *Admin) Handle(pattern string, h http.Handler) { a.mux.Handle(pattern, h) }

func (a *Admin) routes() {
	a.Handle("GET /metrics", promhttp.HandlerFor(a.deps.Registry.prom, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(a.deps.Log.Handler(), slog.LevelError),
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: 4,
	}))
	a.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, map[string]bool{"ok": true}) })
	a.mux.HandleFunc("GET /readyz", a.ready)
	a.mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"version": buildVersion(a.deps.Version), "go": runtime.Version()})
	})
	if a.deps.Level != nil {
		a.mux.HandleFunc("GET /loglevel", a.showLevel)
		a.mux.HandleFunc("PUT /loglevel", a.setLevel)
	}
	if a.cfg.Pprof {
		a.mux.HandleFunc("/debug/pprof/", pprof.Index)
		a.mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		a.mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		a.mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		a.mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
}

// guard keeps web pages out, which can make a browser on this machine ask
// loopback addresses: under a foreign name (DNS rebinding), or to change things.
func (a *Admin) guard(next http.Handler) http.Handler {
	return http.NewCrossOriginProtection().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = strings.Trim(r.Host, "[]")
		}
		if !a.cfg.Expose && !loopback(host) {
			http.Error(w, "this address answers to loopback names only", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	}))
}

func (a *Admin) showLevel(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]string{"level": a.deps.Level.Level().String()})
}

func (a *Admin) setLevel(w http.ResponseWriter, r *http.Request) {
	var body struct{ Level *slog.Level }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10)).Decode(&body); err != nil || body.Level == nil {
		answer(w, http.StatusBadRequest, map[string]string{"error": `want {"level":"DEBUG"}, INFO, WARN or ERROR`})
		return
	}
	if old := a.deps.Level.Level(); old != *body.Level {
		a.deps.Level.Set(*body.Level)
		a.deps.Log.Warn("log level changed", "from", old, "to", *body.Level)
	}
	a.showLevel(w, r)
}

// Listen takes the address, so that its port is known before Run.
func (a *Admin) Listen() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.listener != nil {
		return nil
	}
	l, err := net.Listen("tcp", a.cfg.Listen)
	if err != nil {
		return fmt.Errorf("admin server: %w", err)
	}
	a.listener = l
	return nil
}

// Addr is where the server listens; nil before Listen.
func (a *Admin) Addr() net.Addr {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.listener == nil {
		return nil
	}
	return a.listener.Addr()
}

// Run serves until ctx is done, then lets requests end within StopTimeout. It
// runs once.
func (a *Admin) Run(ctx context.Context) error {
	if err := a.Listen(); err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- a.server.Serve(a.listener) }() // ends by Shutdown or Close below
	select {
	case err := <-served:
		return fmt.Errorf("admin server: %w", err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.cfg.StopTimeout)
	defer cancel()
	err := a.server.Shutdown(stop)
	if errors.Is(err, context.DeadlineExceeded) {
		err = a.server.Close() // a long profile, most likely
	}
	<-served
	return err
}

// answer writes JSON; a client that has gone is nobody's loss.
func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
