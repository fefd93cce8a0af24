package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"

	"github.com/heddle-rt/heddle/runtime/adapter/kafka"
	"github.com/heddle-rt/heddle/runtime/observe"
	"github.com/heddle-rt/heddle/runtime/worker"
)

// Work is a process that has the worker role alone: it has an admin server and no clients.
type Work struct {
	log      *slog.Logger
	backends *Backends
	records  *kafka.Log
	worker   *worker.Worker
	admin    *observe.Admin
}

// Edge reports whether the process has the connections of clients.
func (c *Config) Edge() bool { return !c.Clustered() || slices.Contains(c.Roles, roleEdge) }

// NewWork makes it; Listen and Run start it.
func NewWork(cfg Config, deps Deps) (*Work, error) {
	cfg.name()
	w := &Work{log: deps.Log.With("node", cfg.Node), backends: deps.Backends}
	var err error
	w.records, err = kafka.New(cfg.Kafka, kafka.Deps{Node: cfg.Node, Partitions: cfg.Sequence.Partitions, Logger: w.log})
	if err != nil {
		return nil, err
	}
	w.worker = deps.Backends.worker(cfg, w.records, w.log)
	r := observe.NewRegistry(cfg.Metrics, "")
	workerMetrics(r, w.worker)
	mongoMetrics(r, deps.Backends.mongo)
	w.admin, err = observe.New(cfg.Admin, observe.Deps{
		Registry: r, Log: w.log, Level: deps.Level, Checks: []observe.Check{{Name: "mongo", Probe: deps.Backends.mongo.Ping}},
	})
	if err != nil {
		return nil, err
	}
	workerRoutes(w.admin, w.worker)
	return w, nil
}

// Listen binds the admin server's address.
func (w *Work) Listen() error { return w.admin.Listen() }

// AdminAddr is where operators look.
func (w *Work) AdminAddr() net.Addr { return w.admin.Addr() }

// Run works until ctx ends: what was kept is told to the others.
func (w *Work) Run(ctx context.Context) error {
	base, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	parts := running{}.start(base, [][]part{
		{{"admin", w.admin.Run}, {"mongo", w.backends.mongo.Run}},
		{{"worker", w.worker.Run}, {"sweep", w.backends.mongo.RunSweep}},
	}, fail)
	w.log.Info("working", "admin", w.AdminAddr().String())
	<-base.Done()
	err := parts.stop()
	w.records.Close()
	return errors.Join(err, w.backends.close())
}

// worker is what brings the log to MongoDB.
func (b *Backends) worker(cfg Config, l *kafka.Log, log *slog.Logger) *worker.Worker {
	return worker.New(cfg.Worker, worker.Deps{
		Log: kafka.NewGroup(l), Keeper: b.mongo, Streams: b.mongo, Letters: kafka.NewDead(l), Window: cfg.Kafka.Window, Logger: log,
	})
}

// workerRoutes are those of its dead letters.
func workerRoutes(a *observe.Admin, w *worker.Worker) {
	for pattern, h := range w.Routes() {
		a.Handle(pattern, h)
	}
}
