package app

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/heddle-rt/heddle/builtin"
	"github.com/heddle-rt/heddle/plugins/kv"
	"github.com/heddle-rt/heddle/runtime/adapter/embedded"
	"github.com/heddle-rt/heddle/runtime/authenticate"
	"github.com/heddle-rt/heddle/runtime/cell"
	"github.com/heddle-rt/heddle/runtime/deadletter"
	"github.com/heddle-rt/heddle/runtime/limit"
	"github.com/heddle-rt/heddle/runtime/observe"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/sequence"
	"github.com/heddle-rt/heddle/runtime/session"
)

// stores are where a node keeps things, whatever keeps them.
type stores struct {
	log      sequence.Log
	rooms    roomStore
	sessions session.Store
	cells    cell.Store // of plugins: versions and timers
	kv       *kv.Store  // of plugins: their own values
	usage    limit.Storage
	space    func() bool // false: there is no room for more events

	parts   []part // run below all others
	checks  []observe.Check
	metrics func(*observe.Registry)
	close   func() error
}

// roomStore is all that is read of rooms.
type roomStore interface {
	room.Reader
	room.History
	room.Notes
}

// projections derive rows from events, by action.
func projections() map[string]room.Projection {
	all := builtin.Projections()
	maps.Copy(all, authenticate.Projections())
	maps.Copy(all, deadletter.Projections())
	return all
}

// alone opens the embedded store.
func (a *App) alone(cfg Config) (*stores, error) {
	s, err := embedded.Open(cfg.Storage, embedded.Deps{
		Projections: projections(),
		Retention:   func(tenant, id string) (uint64, time.Duration) { return a.rooms.Retention(tenant, id) },
		Fatal: func(err error) {
			select {
			case a.fatal <- fmt.Errorf("%w: %w", errDisk, err):
			default:
			}
		},
		Logger: a.log,
	})
	if err != nil {
		return nil, err
	}
	return &stores{
		log: s.Log(), rooms: s, sessions: s, cells: s, kv: kv.New(s, a.now), usage: s, space: s.Space,
		parts: []part{{"storage", s.Run}},
		checks: []observe.Check{{Name: "storage", Probe: func(context.Context) error {
			if !s.Space() {
				return fmt.Errorf("%d bytes are free, fewer than storage.min_free: durable events are refused", s.FreeBytes())
			}
			return nil
		}}},
		metrics: func(r *observe.Registry) { embeddedMetrics(r, s) },
		close:   s.Close,
	}, nil
}

func embeddedMetrics(r *observe.Registry, s *embedded.Store) {
	r.GaugeFunc("heddle_storage_free_bytes", "Free space where the data is.", func() float64 { return float64(s.FreeBytes()) })
	r.GaugeFunc("heddle_storage_disk_bytes", "Size of the data.", func() float64 { return float64(s.Stats().DiskBytes) })
	r.CountersFunc("heddle_storage_events_total", "Events of the store that operators should know.", []string{"what"}, func(y yield) {
		s := s.Stats()
		y(float64(s.BackgroundErrors), "background_error")
		y(float64(s.SlowWrites), "slow_write")
		y(float64(s.Stalls), "stall")
		y(float64(s.Trimmed), "trimmed")
	})
}
