package scenario

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/heddle-rt/heddle/bench/internal/load"
)

// Config says what to measure. What is zero gets the scenario's default.
type Config struct {
	Name    string        // of the scenario
	PID     int           // the server's process
	Pprof   string        // the address of its net/http/pprof; empty: it has none
	Conns   int           // connections
	Rooms   int           // rooms over which they are spread
	Window  int           // fanout: publishes not yet acknowledged
	Rate    int           // paced: messages a second
	Rates   []int         // chat: messages a second to offer, in turn
	Warm    time.Duration // load before measuring
	Measure time.Duration // time measured; chat: for each rate
	Settle  time.Duration // idle: time between the last join and measuring
}

// Result holds figures and short notes by name; a name ends in its unit.
type Result map[string]any

// spec is a scenario with its defaults.
type spec struct {
	run           func(*bench, context.Context) (Result, error)
	conns, rooms  int
	warm, measure time.Duration
}

func specs() map[string]spec {
	return map[string]spec{
		"idle":    {run: (*bench).idle, conns: 15000, rooms: 1000, measure: 5 * time.Second},
		"fanout":  {run: (*bench).fanout, conns: 1000, rooms: 1, warm: 2 * time.Second, measure: 10 * time.Second},
		"paced":   {run: (*bench).paced, conns: 1000, rooms: 1, warm: 2 * time.Second, measure: 10 * time.Second},
		"chat":    {run: (*bench).chat, conns: 5000, rooms: 500, warm: time.Second, measure: 5 * time.Second},
		"storm":   {run: (*bench).storm, conns: 5000, rooms: 500},
		"durable": {run: (*bench).durable, conns: 256, rooms: 256, warm: 2 * time.Second, measure: 10 * time.Second},

		"presence":  {run: (*bench).presence, conns: 1001, rooms: 1, warm: 2 * time.Second, measure: 15 * time.Second},
		"reconnect": {run: (*bench).reconnect, conns: 5000, rooms: 1, warm: 3 * time.Second},
		"typing":    {run: (*bench).typing, conns: 500, rooms: 1, measure: 10 * time.Second},
	}
}

// Names lists the scenarios.
func Names() []string { return slices.Sorted(maps.Keys(specs())) }

// Run connects with the engine, which must be running, and measures.
func Run(ctx context.Context, cfg Config, eng *load.Engine) (Result, error) {
	s, ok := specs()[cfg.Name]
	if !ok {
		return nil, fmt.Errorf("scenario: there is no %q", cfg.Name)
	}
	cfg.Conns = cmp.Or(cfg.Conns, s.conns)
	cfg.Rooms = min(cmp.Or(cfg.Rooms, s.rooms), cfg.Conns)
	cfg.Warm = cmp.Or(cfg.Warm, s.warm)
	cfg.Measure = cmp.Or(cfg.Measure, s.measure)
	if cfg.Conns < 2 || cfg.Rooms < 1 {
		return nil, fmt.Errorf("scenario: %d connections in %d rooms are too few", cfg.Conns, cfg.Rooms)
	}
	if err := eng.Prepare(cfg.Conns); err != nil {
		return nil, err
	}
	b := &bench{Config: cfg, eng: eng}
	res, err := s.run(b, ctx)
	if err != nil {
		return nil, fmt.Errorf("scenario: %s: %w", cfg.Name, err)
	}
	res["closed"], res["failures"] = eng.Closed(), eng.Failures()
	if f := eng.FirstFailure(); f != "" {
		res["first_failure"] = f[:min(len(f), 200)]
	}
	return res, nil
}

// bench is one run of one scenario.
type bench struct {
	Config
	eng *load.Engine
}

// pause waits for d.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
