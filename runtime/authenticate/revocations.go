package authenticate

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

// Committer stores what the server says of itself.
type Committer interface {
	// Commit returns when a durable effect is stored, or with the *fault.Error that
	// refuses it.
	Commit(ctx context.Context, e event.Effect) error
}

// Rows reads what projections have kept. What a Head counts is in the answer to a
// later question for Rows.
type Rows interface {
	Head(ctx context.Context, tenant, room string) (event.Head, error)
	Rows(ctx context.Context, tenant, room, kind, after string, limit int) ([]room.Row, error)
}

// RevocationsDeps is what Revocations need; all of it.
type RevocationsDeps struct {
	Committer Committer
	Rows      Rows
	Tenants   func() []string
	// Life is how long after its issue no token of a tenant is good any more; 0: there
	// is no such bound.
	Life func(tenant string) time.Duration
	// Disconnect ends the open sessions of a tenant whose identity is revoked, those of
	// one user if there is a user.
	Disconnect func(tenant, user string, revoked func(*event.Identity) bool, reason string)
	Now        func() time.Time
	Log        *slog.Logger
}

// Revocations know which tokens are not accepted any more. They are kept in the
// store, as rows of each tenant's room of revocations, and all of them in memory.
// Methods may be called at the same time.
type Revocations struct {
	deps   RevocationsDeps
	change sync.Mutex   // held by who stores something, so that memory follows the store
	size   atomic.Int64 // of all tenants

	mu    sync.RWMutex
	known map[string]map[subject][]Revocation // by tenant; of a subject at most one that is Blocked, and one that is not
	count map[string]int
}

// NewRevocations makes them; nothing is revoked before Load.
func NewRevocations(d RevocationsDeps) *Revocations {
	return &Revocations{deps: d, known: map[string]map[subject][]Revocation{}, count: map[string]int{}}
}

const (
	// maxRevocations of a tenant are kept.
	maxRevocations  = 100_000
	revocationsRoom = room.RootType + ":revocations"
	revocationsPage = 1000
	pruneEvery      = 10 * time.Minute
	pruneAtOnce     = 200 // in one record
)

// Load reads what is in the store. It comes before the first token is checked.
func (r *Revocations) Load(ctx context.Context) error {
	for _, tenant := range r.deps.Tenants() {
		if _, err := r.deps.Rows.Head(ctx, tenant, revocationsRoom); err != nil {
			return fmt.Errorf("authenticate: revocations of %s: %w", tenant, err)
		}
		for _, kind := range [...]string{rowRevoked, rowBlocked} {
			if err := r.load(ctx, tenant, kind); err != nil {
				return fmt.Errorf("authenticate: revocations of %s: %w", tenant, err)
			}
		}
	}
	return nil
}

func (r *Revocations) load(ctx context.Context, tenant, kind string) error {
	for after := ""; ; {
		page, err := r.deps.Rows.Rows(ctx, tenant, revocationsRoom, kind, after, revocationsPage)
		if err != nil {
			return err
		}
		for _, row := range page {
			one, ok := readRow(tenant, row)
			if !ok {
				r.deps.Log.Error("a revocation is not readable", "tenant", tenant, "key", row.Key)
				continue
			}
			r.put(one)
		}
		if len(page) < revocationsPage {
			return nil
		}
		after = page[len(page)-1].Key
	}
}

// Run drops revocations that no token needs any more, until ctx ends.
func (r *Revocations) Run(ctx context.Context) error {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for _, tenant := range r.deps.Tenants() {
			if err := r.prune(ctx, tenant); err != nil && ctx.Err() == nil {
				r.deps.Log.Warn("revocations that have ended could not be removed; the next pass will", "tenant", tenant, "error", err)
			}
		}
	}
}

func (r *Revocations) prune(ctx context.Context, tenant string) error {
	now := r.deps.Now().UnixMilli()
	var over []Revocation
	for _, one := range r.List(tenant) {
		if one.over(now) {
			over = append(over, one)
		}
	}
	for part := range slices.Chunk(over, pruneAtOnce) {
		if err := r.remove(ctx, tenant, part, now); err != nil {
			return err
		}
	}
	return nil
}

// Revoke stores a revocation, has it in force, and ends the sessions that it is
// about. Of two for the same whom, the one that reaches further stays. The error is
// a *fault.Error: Invalid or NotFound in the field's name, StorageFull if the tenant has too
// many, or why it could not be stored.
func (r *Revocations) Revoke(ctx context.Context, one Revocation) error {
	now := r.deps.Now().UnixMilli()
	if err := one.check(now); err != nil {
		return err
	}
	if !slices.Contains(r.deps.Tenants(), one.Tenant) {
		return fault.New(fault.NotFound, "tenant", "there is no such tenant")
	}
	if life := r.deps.Life(one.Tenant); one.Until == 0 && life > 0 && !one.Blocked {
		one.Until = max(one.Before, now) + life.Milliseconds()
	}
	if err := r.store(ctx, &one); err != nil {
		return err
	}
	r.deps.Log.Info("tokens were revoked", "tenant", one.Tenant, "token", one.Token, "user", one.User, "device", one.Device,
		"blocked", one.Blocked, "reason", one.Reason)
	r.deps.Disconnect(one.Tenant, one.User, r.Revoked, cmp.Or(one.Reason, "revoked"))
	return nil
}

func (r *Revocations) store(ctx context.Context, one *Revocation) error {
	r.change.Lock()
	defer r.change.Unlock()
	r.mu.RLock()
	at, full := -1, r.count[one.Tenant] >= maxRevocations
	list := r.known[one.Tenant][one.subject()]
	if at = slices.IndexFunc(list, func(old Revocation) bool { return old.Blocked == one.Blocked }); at >= 0 {
		one.widen(&list[at])
	}
	r.mu.RUnlock()
	if at < 0 && full {
		return fault.New(fault.StorageFull, "", fmt.Sprintf("the tenant has %d revocations, which is as many as are kept", maxRevocations))
	}
	d := revoked{Before: one.Before, Until: one.Until, Reason: one.Reason}
	d.Kind, d.Key = one.row()
	if err := r.commit(ctx, one.Tenant, actionRevoke, d); err != nil {
		return err
	}
	r.put(*one)
	return nil
}

// widen makes r reach as far as an older one about the same.
func (r *Revocation) widen(old *Revocation) {
	r.Before = max(r.Before, old.Before)
	if r.Until != 0 {
		r.Until = max(r.Until, old.Until)
		if old.Until == 0 {
			r.Until = 0
		}
	}
}

// Lift takes back what was revoked about a token, user or device, blocked or not.
// NotFound means that nothing was.
func (r *Revocations) Lift(ctx context.Context, whom Revocation) error {
	r.mu.RLock()
	list := slices.Clone(r.known[whom.Tenant][whom.subject()])
	r.mu.RUnlock()
	if len(list) == 0 {
		return fault.New(fault.NotFound, "", "nothing was revoked about this token, user or device")
	}
	if err := r.remove(ctx, whom.Tenant, list, 0); err != nil {
		return err
	}
	r.deps.Log.Info("a revocation was lifted", "tenant", whom.Tenant, "token", whom.Token, "user", whom.User, "device", whom.Device)
	return nil
}

// remove takes rows out of the store, and then out of memory. With a time, those
// stay that have been extended meanwhile.
func (r *Revocations) remove(ctx context.Context, tenant string, list []Revocation, over int64) error {
	r.change.Lock()
	defer r.change.Unlock()
	if over != 0 {
		list = slices.DeleteFunc(list, func(one Revocation) bool {
			r.mu.RLock()
			defer r.mu.RUnlock()
			return !slices.Contains(r.known[tenant][one.subject()], one)
		})
	}
	if len(list) == 0 {
		return nil
	}
	var d lifted
	for i := range list {
		kind, key := list[i].row()
		d.Rows = append(d.Rows, revoked{Kind: kind, Key: key})
	}
	if err := r.commit(ctx, tenant, actionLift, d); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range list {
		r.drop(&list[i])
	}
	return nil
}

// commit stores it, also if whoever asked for it goes away: otherwise it might be in
// the store and not in force here.
func (r *Revocations) commit(ctx context.Context, tenant, action string, data any) error {
	js, err := json.Marshal(data)
	if err != nil {
		return fault.Wrap("authenticate.revoke", fault.Internal, err)
	}
	return r.deps.Committer.Commit(context.WithoutCancel(ctx), event.Effect{Durable: true, Envelope: event.Envelope{
		Type: event.TypeMessage, Tenant: tenant, Room: revocationsRoom, Action: action, Data: js,
	}})
}

func (r *Revocations) put(one Revocation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop(&one)
	if r.known[one.Tenant] == nil {
		r.known[one.Tenant] = map[subject][]Revocation{}
	}
	s := one.subject()
	// A new slice: readers of the old one hold no lock.
	r.known[one.Tenant][s] = append(slices.Clone(r.known[one.Tenant][s]), one)
	r.count[one.Tenant]++
	r.size.Add(1)
}

// drop forgets one, with the lock held.
func (r *Revocations) drop(one *Revocation) {
	s := one.subject()
	list := r.known[one.Tenant][s]
	rest := slices.DeleteFunc(slices.Clone(list), func(old Revocation) bool { return old.Blocked == one.Blocked })
	r.count[one.Tenant] -= len(list) - len(rest)
	r.size.Add(int64(len(rest) - len(list)))
	if len(rest) == 0 {
		delete(r.known[one.Tenant], s)
		return
	}
	r.known[one.Tenant][s] = rest
}

// Revoked reports whether a token that is good otherwise is not to be accepted any
// more. It is asked about each token, and locks no longer than three look-ups take.
func (r *Revocations) Revoked(id *event.Identity) bool {
	if r.size.Load() == 0 {
		return false
	}
	now := r.deps.Now().UnixMilli()
	r.mu.RLock()
	defer r.mu.RUnlock()
	known := r.known[id.Tenant]
	if len(known) == 0 {
		return false
	}
	hit := func(s subject) bool {
		return slices.ContainsFunc(known[s], func(one Revocation) bool { return !one.over(now) && one.covers(id) })
	}
	return hit(subject{tenant: id.Tenant, user: id.User}) ||
		id.Device != "" && hit(subject{tenant: id.Tenant, user: id.User, device: id.Device}) ||
		id.TokenID != "" && hit(subject{tenant: id.Tenant, token: id.TokenID})
}

func (r *Revocation) over(now int64) bool { return r.Until != 0 && r.Until <= now }

func (r *Revocation) covers(id *event.Identity) bool {
	return r.Token != "" || r.Blocked || id.Issued < r.Before
}

// List returns a tenant's revocations, ordered by whom they are about.
func (r *Revocations) List(tenant string) []Revocation {
	r.mu.RLock()
	var all []Revocation
	for _, list := range r.known[tenant] {
		all = append(all, list...)
	}
	r.mu.RUnlock()
	slices.SortFunc(all, func(a, b Revocation) int {
		return cmp.Or(cmp.Compare(a.Token, b.Token), cmp.Compare(a.User, b.User), cmp.Compare(a.Device, b.Device), cmp.Compare(a.Before, b.Before))
	})
	return all
}

// Len is how many there are, of all tenants.
func (r *Revocations) Len() int { return int(r.size.Load()) }
