package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/heddle-rt/heddle/runtime/adapter/kafka"
	"github.com/heddle-rt/heddle/runtime/adapter/mongo"
	"github.com/heddle-rt/heddle/runtime/adapter/redis"
	"github.com/heddle-rt/heddle/runtime/observe"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/tail"
)

// Backends are what the nodes of a cluster share, found and fit to be used.
type Backends struct {
	redis *redis.Client
	mongo *mongo.Store
}

// Clustered reports whether the node is one of several.
func (c *Config) Clustered() bool {
	return len(c.Redis.Addresses) > 0 || len(c.Kafka.Brokers) > 0 || c.Mongo.URI != ""
}

// How long to wait before a backend is tried again, and how long one try may take.
const (
	minRetry  = 250 * time.Millisecond
	maxRetry  = 5 * time.Second
	oneTry    = 15 * time.Second
	closeTime = 5 * time.Second
)

// Connect waits for the backends of a cluster, until ctx ends; meanwhile the admin server
// says which are missing. What can never be right is an error at once. A node that is
// alone has none.
func Connect(ctx context.Context, cfg Config, log *slog.Logger) (*Backends, error) {
	if !cfg.Clustered() {
		return nil, nil
	}
	cfg.name()
	b := &Backends{}
	err := cfg.Redis.Validate()
	if err == nil {
		err = ready(cfg, log)
	}
	if err != nil {
		return nil, err
	}
	types := room.New(cfg.Rooms, nil)
	b.mongo, err = mongo.Connect(cfg.Mongo, mongo.Deps{
		Node: cfg.Node, Projections: keptProjections(), Retention: types.Retention, Window: cfg.Kafka.Window, Logger: log,
	})
	if err != nil {
		return nil, err
	}
	waits := []*waiting{
		{name: "redis", log: log, try: func(ctx context.Context) error {
			c, err := redis.Connect(cfg.Redis)
			b.redis = c
			return err
		}},
		{name: "kafka", log: log, try: func(ctx context.Context) error { return ensure(ctx, cfg, log) }},
		{name: "mongo", log: log, try: b.mongo.Migrate},
	}
	stop, err := announce(cfg, log, waits)
	if err != nil {
		return nil, err
	}
	defer stop()
	var all sync.WaitGroup
	for _, w := range waits {
		all.Go(func() { w.run(ctx) })
	}
	all.Wait()
	if err := context.Cause(ctx); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

// ready refuses a configuration of Kafka that can never be right.
func ready(cfg Config, log *slog.Logger) error {
	l, err := kafka.New(cfg.Kafka, kafka.Deps{Node: cfg.Node, Partitions: cfg.Sequence.Partitions, Logger: log})
	if err == nil {
		l.Close()
	}
	return err
}

// ensure makes the topics that are not there, and refuses those that are not fit.
func ensure(ctx context.Context, cfg Config, log *slog.Logger) error {
	l, err := kafka.New(cfg.Kafka, kafka.Deps{Node: cfg.Node, Partitions: cfg.Sequence.Partitions, Logger: log})
	if err != nil {
		return err
	}
	defer l.Close()
	if err := l.Ensure(ctx); err != nil {
		return err
	}
	return kafka.NewDead(l).Ensure(ctx)
}

// keptProjections are those of the workers.
func keptProjections() map[string]room.Projection {
	all := projections()
	for action, p := range tail.Memberships() {
		all[action] = p
	}
	return all
}

func (b *Backends) close() error {
	if b == nil {
		return nil
	}
	if b.redis != nil {
		b.redis.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	return b.mongo.Close(ctx)
}

// waiting is a backend that is not there yet.
type waiting struct {
	name string
	log  *slog.Logger
	try  func(ctx context.Context) error

	mu  sync.Mutex
	why error
	ok  bool
}

// run tries until it is there, or ctx ends. It says what is the matter whenever that is
// something else.
func (w *waiting) run(ctx context.Context) {
	for pause := minRetry; ; pause = min(2*pause, maxRetry) {
		if w.once(ctx) || ctx.Err() != nil {
			return
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

func (w *waiting) once(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, oneTry)
	defer cancel()
	err := w.try(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	news := err != nil && (w.why == nil || w.why.Error() != err.Error())
	switch {
	case news:
		w.log.Error("a backend cannot be used, and is tried again", "backend", w.name, "error", err)
	case err == nil && w.why != nil:
		w.log.Info("the backend can be used now", "backend", w.name)
	}
	w.why, w.ok = err, err == nil
	return w.ok
}

var errNotTried = errors.New("not connected yet")

func (w *waiting) probe(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ok && w.why == nil {
		return errNotTried
	}
	return w.why
}

// announce has the admin server say what the node waits for, until stop.
func announce(cfg Config, log *slog.Logger, waits []*waiting) (stop func(), err error) {
	deps := observe.Deps{Registry: observe.NewRegistry(cfg.Metrics, ""), Log: log}
	for _, w := range waits {
		deps.Checks = append(deps.Checks, observe.Check{Name: w.name, Probe: w.probe})
	}
	admin, err := observe.New(cfg.Admin, deps)
	if err != nil {
		return nil, err
	}
	if err := admin.Listen(); err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- admin.Run(ctx) }() // ended by stop
	return func() { cancel(); <-done }, nil
}
