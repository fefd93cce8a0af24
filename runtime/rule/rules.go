package rule

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/interpreter"

	"github.com/heddle-rt/heddle/runtime/event"
)

// Deps is what rules are asked with.
type Deps struct {
	Actions []event.Action   // all that there are
	Now     func() time.Time // time.Now if nil
}

// Rules are those of all tenants. Its methods may be called at the same time.
type Rules struct {
	actions []string
	now     func() time.Time
	current atomic.Pointer[map[string]*tenant]
	tokens  tokens
	pool    sync.Pool // of *vars
	reload  sync.Mutex
}

// tenant is what one tenant's rules are at a time.
type tenant struct {
	byAction map[string]*list
	counts   *counts // the same over reloads
}

// list is the rules of one action.
type list struct {
	rules   []*rule
	whole   bool     // one of them needs all of data
	members []string // that they need of data, if none does
}

type counts struct{ held, refused, failed, costly atomic.Uint64 }

// New compiles the rules of tenants. Its error is that of Reload.
func New(tenants map[string][]Config, deps Deps) (*Rules, error) {
	r := &Rules{now: deps.Now, tokens: newTokens()}
	if r.now == nil {
		r.now = time.Now
	}
	for i := range deps.Actions {
		r.actions = append(r.actions, deps.Actions[i].Name)
	}
	r.pool.New = func() any { return &vars{rules: r} }
	r.current.Store(&map[string]*tenant{})
	return r, r.Reload(tenants)
}

// Reload puts other rules in force, for events that come after it; if one of them
// is faulty, all stay as they are. The error joins a Problem for each fault, with
// the name of its tenant before the path ("tenants.acme.rules[0].require").
func (r *Rules) Reload(tenants map[string][]Config) error {
	r.reload.Lock()
	defer r.reload.Unlock()
	old, next := *r.current.Load(), map[string]*tenant{}
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(tenants)) {
		if len(tenants[name]) == 0 {
			continue
		}
		rules, problems := compileAll(tenants[name])
		if problems == nil {
			problems = r.unmatched(tenants[name])
		}
		for _, p := range problems {
			p.Path = "tenants." + name + "." + p.Path
			faults = append(faults, p)
		}
		if problems != nil {
			continue
		}
		t := &tenant{byAction: r.index(rules), counts: &counts{}}
		if before := old[name]; before != nil {
			t.counts = before.counts
		}
		next[name] = t
	}
	if faults != nil {
		return errors.Join(faults...)
	}
	r.current.Store(&next)
	return nil
}

// unmatched finds patterns that are for no action.
func (r *Rules) unmatched(rules []Config) (problems []Problem) {
	for i := range rules {
		for n, p := range rules[i].Actions {
			if !slices.ContainsFunc(r.actions, func(a string) bool { return matches([]string{p}, a) }) {
				problems = append(problems, Problem{path(i, "actions") + fmt.Sprintf("[%d]", n), fmt.Sprintf("no action is called %q", p)})
			}
		}
	}
	return problems
}

func (r *Rules) index(rules []*rule) map[string]*list {
	byAction := map[string]*list{}
	for _, action := range r.actions {
		l := &list{}
		for _, one := range rules {
			if matches(one.actions, action) {
				l.rules, l.whole, l.members = append(l.rules, one), l.whole || one.whole, append(l.members, one.members...)
			}
		}
		if l.members = distinct(l.members); l.rules != nil {
			byAction[action] = l
		}
	}
	return byAction
}

// Check is nil if all rules that are for an event hold. Otherwise it is Forbidden,
// with the message of the first that does not; one that fails, because a field is
// missing or its cost runs over, does not hold.
func (r *Rules) Check(ev *event.Event) error {
	tenants := *r.current.Load()
	if len(tenants) == 0 {
		return nil
	}
	t := tenants[ev.Tenant]
	if t == nil {
		return nil
	}
	l := t.byAction[ev.Spec.Name]
	if l == nil {
		return nil
	}
	v := r.pool.Get().(*vars)
	v.ev, v.list = ev, l
	err := t.check(v)
	*v = vars{rules: r}
	r.pool.Put(v)
	return err
}

func (t *tenant) check(v *vars) error {
	asked := false
	for _, one := range v.list.rules {
		if one.rooms != nil && !matches(one.rooms, v.ev.Room) {
			continue
		}
		asked = true
		out, _, err := one.program.Eval(v)
		switch {
		case err == nil && out == types.True:
		case err == nil:
			t.counts.refused.Add(1)
			return one.refusal
		case tooCostly(err):
			t.counts.costly.Add(1)
			return one.costly
		default:
			t.counts.failed.Add(1)
			return one.refusal
		}
	}
	if asked {
		t.counts.held.Add(1)
	}
	return nil
}

func tooCostly(err error) bool {
	cancelled, ok := errors.AsType[interpreter.EvalCancelledError](err)
	return ok && cancelled.Cause == interpreter.CostLimitExceeded
}

// Stats are what one tenant's rules have said of events since the start.
type Stats struct {
	Tenant  string
	Held    uint64 // events for which all rules held
	Refused uint64 // events for which one did not
	Failed  uint64 // events for which one could not be told: a field is missing, or of another type
	Costly  uint64 // events for which one took too long
}

// Stats reads the counters of all tenants that have rules.
func (r *Rules) Stats() []Stats {
	tenants := *r.current.Load()
	out := make([]Stats, 0, len(tenants))
	for _, name := range slices.Sorted(maps.Keys(tenants)) {
		c := tenants[name].counts
		out = append(out, Stats{Tenant: name, Held: c.held.Load(), Refused: c.refused.Load(), Failed: c.failed.Load(), Costly: c.costly.Load()})
	}
	return out
}
