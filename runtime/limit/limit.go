package limit

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/pipeline"
)

// Account is what a connection keeps for this package. The zero Account is ready.
// What has no lock is used by the goroutine that runs the connection's events.
type Account struct {
	buckets [event.Rates]bucket
	tenant  *tenant // nil before the first event
	user    *shared // found when first needed, and so is the next
	address *shared
	points  atomic.Pointer[points] // nil: it never misbehaved
	refused int32                  // in a row
	seen    uint32                 // Suspects.changes when slow was found out
	slow    bool                   // its user or address is slowed down
	place   atomic.Uint32          // in the tenant's quota of connections
}

// Holder is a connection that has an account.
type Holder interface {
	Identity() *event.Identity // nil before a token was accepted
	Account() *Account
	// CloseFor ends the connection.
	CloseFor(kind fault.Kind, text string)
}

// Remote is a Holder that knows where its client is. One that does not is no
// connection: it has no budget by address, and what it does is no client's doing,
// of which points would tell.
type Remote interface {
	RemoteIP() netip.Addr
}

func addressOf(h Holder) netip.Addr {
	if r, ok := h.(Remote); ok {
		return payer(r.RemoteIP())
	}
	return netip.Addr{}
}

// Stage refuses what is over a budget. Suspects and Quotas may be set before the
// first event.
type Stage struct {
	Suspects *Suspects // nil: nobody is judged
	Quotas   *Quotas   // nil: tenants have no quotas

	pool *Pool // nil: the node is alone
	now  func() int64

	reload    sync.Mutex
	tenants   atomic.Pointer[map[string]*tenant]
	other     *tenant // stands for all that Reload does not know
	users     *table[userKey]
	addresses *table[addressKey]
	refused   [scopes]atomic.Uint64
}

// New makes the stage with the budgets of connections, users and addresses. Before
// Reload has told it the tenants they count as one.
func New(cfg Config) *Stage {
	s := &Stage{
		users:     newTable(func(k userKey) *shared { return &shared{user: k} }),
		addresses: newTable(func(addressKey) *shared { return &shared{} }),
	}
	s.other = newTenant(s, "")
	s.tenants.Store(&map[string]*tenant{})
	s.users.bound(cfg.Entries)
	s.addresses.bound(cfg.Entries)
	s.other.budgets.Store(newBudgets(cfg, Quota{}))
	return s
}

// Share has the budgets of users and tenants hold over all nodes. It is called before the
// first event; now is the pipeline's clock.
func (s *Stage) Share(p *Pool, now func() int64) { s.pool, s.now = p, now }

// Name is the stage's name in metrics.
func (s *Stage) Name() string { return "limit" }

// Process takes one token from each budget that the event draws on, the narrowest
// first: what is over one of those costs the others nothing.
func (s *Stage) Process(_ context.Context, ev *event.Event) (pipeline.Verdict, error) {
	h := ev.Origin.(Holder)
	a := h.Account()
	if a.tenant == nil {
		a.tenant = s.tenant(ev.Tenant)
	}
	b := a.tenant.budgets.Load()
	if ev.Spec.Permission == event.BeforeSession {
		if err := s.admit(h, ev.Tenant); err != nil {
			return pipeline.Reject, err
		}
	}
	class := ev.Spec.Rate
	p := b.classes[class]
	if s.Suspects != nil && s.Suspects.slow(h, a) {
		p = b.slowed[class]
	}
	wait, over := a.buckets[class].take(ev.Received, p), connection
	if wait == 0 && b.wide {
		wait, over = s.wide(h, a, b, ev)
	}
	if wait != 0 {
		return pipeline.Reject, s.refuse(h, a, b, ev, wait, over)
	}
	if s.Quotas != nil && ev.Spec.Durable {
		if err := s.Quotas.creates(ev); err != nil {
			return pipeline.Reject, err
		}
	}
	a.refused = 0
	return pipeline.Pass, nil
}

// wide takes from the budgets that connections share, and tells which one is used
// up.
func (s *Stage) wide(h Holder, a *Account, b *budgets, ev *event.Event) (wait time.Duration, over scope) {
	now, t := ev.Received, a.tenant
	if ev.From.User != "" { // not the server itself, nor one who is not known yet
		if wait, over = s.ofUser(a, b, ev, now); wait != 0 {
			return wait, over
		}
	}
	if b.address.every != 0 {
		for ok := false; !ok; {
			at := s.address(h, a, now)
			if at == nil { // no connection
				break
			}
			if wait, ok = take(&at.ahead, now, b.address); wait != 0 {
				return wait, address
			}
		}
	}
	if b.messages.every != 0 && ev.Spec.Rate == event.RateMessage {
		if wait = t.messages.take(now, b.messages, s.pool); wait != 0 {
			return wait, messages
		}
	}
	if b.all.every != 0 {
		wait = t.all.take(now, b.all, s.pool)
	}
	return wait, all
}

// ofUser takes from the budgets of the event's user.
func (s *Stage) ofUser(a *Account, b *budgets, ev *event.Event, now int64) (wait time.Duration, over scope) {
	if b.actions != nil {
		if i, ok := b.actions[ev.Spec.Name]; ok {
			if wait = s.user(a, ev, now).action(b, i, now, b.paces[i]); wait != 0 {
				return wait, action
			}
		}
	}
	if b.user.every != 0 {
		for ok := false; !ok; {
			u := s.user(a, ev, now)
			if wait, ok = take(&u.ahead, now, s.pool.part(b.user)); wait != 0 {
				return wait, user
			}
			if ok {
				s.pool.Took(u, &u.tally, 1)
			}
		}
	}
	return 0, user
}

// user is the bucket of the event's user. The account keeps it, so that it is
// looked up again only if it was forgotten meanwhile.
func (s *Stage) user(a *Account, ev *event.Event, now int64) *shared {
	if a.user == nil || a.user.ahead.Load() == forgotten {
		a.user = s.users.of(userKey{a.tenant, ev.From.User}, now)
	}
	return a.user
}

// address is the bucket of the client's address, nil if there is none.
func (s *Stage) address(h Holder, a *Account, now int64) *shared {
	if a.address == nil || a.address.ahead.Load() == forgotten {
		at := addressOf(h)
		if !at.IsValid() {
			return nil
		}
		a.address = s.addresses.of(addressKey{a.tenant, at}, now)
	}
	return a.address
}

// admit decides whether a session may be opened or resumed.
func (s *Stage) admit(h Holder, tenant string) error {
	if s.Suspects != nil {
		id := h.Identity()
		if id == nil {
			id = &event.Identity{Tenant: tenant}
		}
		if err := s.Suspects.Admit(id, addressOf(h)); err != nil {
			return err
		}
	}
	if s.Quotas != nil {
		return s.Quotas.enter(h.Account(), tenant)
	}
	return nil
}

// refuse says which budget is used up, and for how long.
func (s *Stage) refuse(h Holder, a *Account, b *budgets, ev *event.Event, wait time.Duration, over scope) error {
	s.refused[over].Add(1)
	if over <= user { // its own doing
		if a.refused++; a.refused == b.close {
			h.CloseFor(fault.RateLimited, "too many events were refused in a row")
		}
		s.Suspects.holder(Flood, h)
	}
	return &fault.Error{
		Kind: fault.RateLimited, After: wait.Round(time.Millisecond) + time.Millisecond, Msg: over.message(ev.Spec),
	}
}

// scope is whose budget it is.
type scope uint8

const (
	connection scope = iota
	action
	user
	address
	messages
	all
	scopes
)

func (o scope) String() string {
	return [...]string{"connection", "action", "user", "address", "messages", "tenant"}[o]
}

func (o scope) message(a *event.Action) string {
	switch o {
	case connection:
		return "more " + a.Rate.String() + " events than allowed on one connection"
	case action:
		return "more " + a.Name + " than allowed for one user"
	case user:
		return "more events than allowed for one user"
	case address:
		return "more events than allowed from one address"
	case messages:
		return "more message events than the tenant may have"
	}
	return "more events than the tenant may have"
}

// Stats are the counters of a Stage.
type Stats struct {
	Refused   map[string]uint64 // events by the budget that was used up: connection, action, user, address, messages, tenant
	Users     int               // whose budgets are remembered
	Addresses int
}

// Stats reads the counters.
func (s *Stage) Stats() Stats {
	out := Stats{Refused: make(map[string]uint64, scopes), Users: s.users.len(), Addresses: s.addresses.len()}
	for o := range scopes {
		out.Refused[o.String()] = s.refused[o].Load()
	}
	return out
}
