package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/heddle-rt/heddle/runtime/app"
	"github.com/heddle-rt/heddle/runtime/config"
	"github.com/heddle-rt/heddle/runtime/observe"
)

// sources are the flags of every command that reads the configuration.
type sources struct {
	Config []string `short:"c" placeholder:"FILE" help:"YAML file; a later one goes over an earlier one."`
	Set    []string `short:"s" sep:"none" placeholder:"PATH=VALUE" help:"Set one option, over files and environment (HEDDLE_SOCKET_LISTEN and so on)."`
}

// load reads the configuration, and prints what is in doubt.
func (s *sources) load(base string) (*config.Result[app.Config], error) {
	r, err := s.read(base)
	if err != nil {
		return nil, err
	}
	for _, w := range r.Warnings {
		fmt.Fprintln(os.Stderr, "heddle: warning:", w)
	}
	return r, nil
}

// read reads the configuration. base, if not empty, lies under all files.
func (s *sources) read(base string) (*config.Result[app.Config], error) {
	const baseName = "(built in)"
	opts := config.Options{Files: s.Config, Environ: slices.DeleteFunc(os.Environ(), ofTools), Set: s.Set}
	if base != "" {
		opts.Files = append([]string{baseName}, s.Config...)
		opts.Open = func(name string) (io.ReadCloser, error) {
			if name == baseName {
				return io.NopCloser(strings.NewReader(base)), nil
			}
			return os.Open(name)
		}
	}
	return config.Load[app.Config](opts)
}

// ofTools reports whether a variable is one of the other commands, which a shell may have
// where a node is started.
func ofTools(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	return slices.Contains([]string{"HEDDLE_URL", "HEDDLE_KEY", "HEDDLE_SECRET"}, name)
}

type serveCmd struct {
	sources
}

func (*serveCmd) Help() string {
	return `Serves until SIGTERM or SIGINT, then drains: clients are sent away over the time of the option drain. A
second signal ends it at once. SIGHUP, or a change of a file, has the configuration read again. Examples:
  heddle serve --config heddle.yaml
  heddle serve --config heddle.yaml --set socket.listen=:9000 --set log.level=DEBUG`
}

func (c *serveCmd) Run() error {
	if len(c.Config) == 0 && os.Getenv("HEDDLE_TENANTS") == "" {
		return errors.New("serve needs --config FILE (or everything in the environment); heddle dev needs nothing")
	}
	return c.run("", nil, obeyHangups)
}

// obeyHangups has the configuration read again at each SIGHUP. In development that
// is the end, as of everything that a terminal has started.
func obeyHangups(node *app.App) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	go func() { // ends with the process
		for range hangups {
			node.Reload()
		}
	}()
}

// run serves until SIGTERM or SIGINT; a second signal ends the process at once.
// base is that of read; started, if not
// nil, is called when the addresses are known.
func (s *sources) run(base string, web http.Handler, started func(*app.App)) error {
	r, err := s.load(base)
	if err != nil {
		return err
	}
	log, level := observe.NewLogger(r.Value.Log, os.Stderr)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go obey(signals, stop) // ends with the process
	backends, err := app.Connect(ctx, *r.Value, log)
	if err != nil {
		return err
	}
	deps := app.Deps{
		Log: log, Level: level, HTTP: web, Files: s.Config, Backends: backends,
		Load: func() (*config.Result[app.Config], error) { return s.read(base) },
	}
	if !r.Value.Edge() {
		return work(ctx, *r.Value, deps)
	}
	node, err := app.New(*r.Value, deps)
	if err != nil {
		return err
	}
	if err := node.Listen(); err != nil {
		return err
	}
	if started != nil {
		started(node)
	}
	return node.Run(ctx)
}

// work is what a process does without clients.
func work(ctx context.Context, cfg app.Config, deps app.Deps) error {
	w, err := app.NewWork(cfg, deps)
	if err != nil {
		return err
	}
	if err := w.Listen(); err != nil {
		return err
	}
	return w.Run(ctx)
}

// obey drains at the first signal. At the second the process ends as by the
// signal's default effect; where its parent has that ignored, with a status.
func obey(signals <-chan os.Signal, drain func()) {
	<-signals
	drain()
	second := <-signals
	signal.Reset(second)
	if p, err := os.FindProcess(os.Getpid()); err == nil {
		_ = p.Signal(second)
	}
	time.Sleep(time.Second)
	os.Exit(1)
}
