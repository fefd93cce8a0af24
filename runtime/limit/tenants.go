package limit

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/heddle-rt/heddle/runtime/event"
)

// tenant is what the stage knows of one. It stays the same over reloads, and so
// accounts keep it.
type tenant struct {
	budgets       atomic.Pointer[budgets]
	name          string
	stage         *Stage
	_             [56]byte // these are read for every event, what follows may be written
	all, messages common   // buckets of its events
}

func newTenant(s *Stage, name string) *tenant {
	t := &tenant{name: name, stage: s}
	t.all.of, t.messages.of = t, t
	t.all.scope, t.messages.scope = all, messages
	return t
}

// now is the pipeline's clock.
func (t *tenant) now() int64 { return t.stage.now() }

// budget names one of the tenant's in a cluster. The length tells tenants apart.
func (t *tenant) budget(kind, of string) string {
	return kind + ":" + strconv.Itoa(len(t.name)) + ":" + t.name + of
}

// budgets is a Config as one tenant's connections need it. It never changes.
type budgets struct {
	classes  [event.Rates]pace
	slowed   [event.Rates]pace // of who is slowed down
	wide     bool              // there is any of these
	user     pace
	address  pace
	all      pace
	messages pace
	actions  map[string]int // index of paces
	paces    []pace
	close    int32
}

func newBudgets(cfg Config, q Quota) *budgets {
	b := &budgets{
		classes: [event.Rates]pace{
			event.RateMessage: paceOf(cfg.MessageRate, cfg.MessageBurst),
			event.RateControl: paceOf(cfg.ControlRate, cfg.ControlBurst),
			event.RateQuery:   paceOf(cfg.QueryRate, cfg.QueryBurst),
		},
		user:     paceOf(cfg.User.Rate, cfg.User.Burst),
		address:  paceOf(cfg.IP.Rate, cfg.IP.Burst),
		all:      paceOf(cfg.Tenant.Rate, cfg.Tenant.Burst),
		messages: paceOf(q.Messages, 2*q.Messages),
		close:    int32(cfg.CloseAfter),
	}
	for i, p := range b.classes {
		b.slowed[i] = p
		if part := cfg.Score.SlowRate; part > 0 {
			b.slowed[i] = p.slowed(part)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Actions)) {
		if p := paceOf(cfg.Actions[name].Rate, cfg.Actions[name].Burst); p.every != 0 {
			if b.actions == nil {
				b.actions = map[string]int{}
			}
			b.actions[name] = len(b.paces)
			b.paces = append(b.paces, p)
		}
	}
	b.wide = b.actions != nil || b.user.every+b.address.every+b.all.every+b.messages.every != 0
	return b
}

// tenant finds a tenant by its name.
func (s *Stage) tenant(name string) *tenant {
	if t := (*s.tenants.Load())[name]; t != nil {
		return t
	}
	return s.other
}

// Reload puts other budgets, scores and quotas in force, for events that come
// after it: here, in Suspects and in Quotas. What was spent is remembered, except
// by the buckets of single actions, which begin full. If anything is not valid,
// all stays as it is.
func (s *Stage) Reload(cfg Config, tenants map[string]Tenant) error {
	if err := valid(cfg, tenants); err != nil {
		return err
	}
	s.reload.Lock()
	defer s.reload.Unlock()
	next := maps.Clone(*s.tenants.Load())
	for name := range next {
		if _, still := tenants[name]; !still {
			next[name].budgets.Store(newBudgets(cfg, Quota{}))
		}
	}
	quotas := make(map[string]Quota, len(tenants))
	for name, t := range tenants {
		if next[name] == nil {
			next[name] = newTenant(s, name)
		}
		next[name].budgets.Store(newBudgets(cfg.with(t.Limit), t.Quota))
		quotas[name] = t.Quota
	}
	s.other.budgets.Store(newBudgets(cfg, Quota{}))
	s.users.bound(cfg.Entries)
	s.addresses.bound(cfg.Entries)
	s.tenants.Store(&next)
	if s.Suspects != nil {
		s.Suspects.Reload(cfg.Score)
	}
	if s.Quotas != nil {
		s.Quotas.Reload(quotas)
	}
	return nil
}

// valid checks what was not read from a file by its tags.
func valid(cfg Config, tenants map[string]Tenant) error {
	err := cfg.valid("limit.")
	for _, name := range slices.Sorted(maps.Keys(tenants)) {
		one := cfg.with(tenants[name].Limit)
		err = errors.Join(err, one.valid("tenants."+name+".limit."))
		if q := tenants[name].Quota; q.Connections < 0 || q.Rooms < 0 || q.Storage < 0 || !(Budget{Rate: q.Messages}).valid() {
			err = errors.Join(err, fmt.Errorf("tenants.%s.quota: a negative or too large number", name))
		}
	}
	return err
}

func (c *Config) valid(at string) (err error) {
	c.Check(func(path, problem string) { err = errors.Join(err, fmt.Errorf("%s%s: %s", at, path, problem)) })
	for path, b := range map[string]Budget{
		"message_rate": {c.MessageRate, c.MessageBurst}, "control_rate": {c.ControlRate, c.ControlBurst}, "query_rate": {c.QueryRate, c.QueryBurst},
	} {
		if !b.valid() || b.Rate == 0 || b.Burst < 1 {
			err = errors.Join(err, fmt.Errorf("%s%s: want a rate above 0 and a burst of at least 1", at, path))
		}
	}
	shared := map[string]Budget{"user": c.User, "ip": c.IP, "tenant": c.Tenant}
	for name, b := range c.Actions {
		shared["actions."+name] = b
	}
	for _, path := range slices.Sorted(maps.Keys(shared)) {
		if !shared[path].valid() {
			err = errors.Join(err, fmt.Errorf("%s%s: a negative or too large number", at, path))
		}
	}
	return err
}
