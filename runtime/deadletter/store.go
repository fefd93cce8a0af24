package deadletter

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

// deadRoom is the room whose rows are a tenant's letters.
const deadRoom = room.RootType + ":dead"

// Actions of that room, and the kind of its rows.
const (
	actionKept    = "dead:kept"
	actionDropped = "dead:dropped"
	rowLetter     = "letter"
)

const (
	loadPage    = 100
	dropAtOnce  = 100 // in one record
	loadTimeout = time.Minute
	lastTimeout = 2 * time.Second
)

// dropped is the data of dead:dropped.
type dropped struct {
	IDs []string `json:"ids"`
}

// Projections derives the rows, by action.
func Projections() map[string]room.Projection {
	return map[string]room.Projection{
		actionKept: func(t room.Tables, r *event.Record) {
			var n struct {
				ID string `json:"id"`
			}
			if json.Unmarshal(r.Data, &n) == nil { // only save writes it, and it writes JSON
				t.PutRow(r.Tenant, r.Room, room.Row{Kind: rowLetter, Key: n.ID, Value: r.Data})
			}
		},
		actionDropped: func(t room.Tables, r *event.Record) {
			var d dropped
			_ = json.Unmarshal(r.Data, &d) // as above
			for _, id := range d.IDs {
				t.DeleteRow(r.Tenant, r.Room, room.Row{Kind: rowLetter, Key: id})
			}
		},
	}
}

// Load reads what is in the store of the tenants that there are. It comes before the
// first event; Run loads what tenants come later.
func (l *Letters) Load(ctx context.Context) error {
	if l.deps.Rows == nil {
		return nil
	}
	for _, tenant := range l.deps.Tenants() {
		if l.loaded[tenant] {
			continue
		}
		if err := l.load(ctx, tenant); err != nil {
			return fmt.Errorf("deadletter: letters of %s: %w", tenant, err)
		}
		l.loaded[tenant] = true
	}
	return nil
}

func (l *Letters) load(ctx context.Context, tenant string) error {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	if _, err := l.deps.Rows.Head(ctx, tenant, deadRoom); err != nil {
		return err
	}
	for after := ""; ; {
		page, err := l.deps.Rows.Rows(ctx, tenant, deadRoom, rowLetter, after, loadPage)
		if err != nil {
			return err
		}
		l.take(tenant, page)
		if len(page) < loadPage {
			return nil
		}
		after = page[len(page)-1].Key
	}
}

func (l *Letters) take(tenant string, page []room.Row) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.box(tenant)
	for _, row := range page {
		n := &Letter{}
		if err := json.Unmarshal(row.Value, n); err != nil || n.ID != row.Key {
			l.deps.Log.Error("a dead letter is not readable", "tenant", tenant, "key", row.Key)
			b.gone[row.Key] = true
			continue
		}
		n.Tenant, n.saved = tenant, max(n.Attempts, 1)
		switch known := b.byKey[n.key()]; {
		case b.gone[n.ID]: // dropped since it was stored
		case known == nil:
			b.add(n)
		case known.ID != n.ID:
			b.gone[n.ID] = true
		}
	}
	// What has failed before the tenant's letters were read is newer than these.
	slices.SortStableFunc(b.list, func(a, b *Letter) int { return cmp.Compare(a.ID, b.ID) })
	l.bound(b)
	l.stir()
}

// Run stores what is new, drops what is gone and loads what tenants come, until ctx
// ends; then it stores what is left, if the store takes it. The committer outlives it.
func (l *Letters) Run(ctx context.Context) error {
	if l.deps.Committer == nil {
		<-ctx.Done()
		return nil
	}
	failing, tick := false, time.NewTicker(l.deps.Retry)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return l.last(ctx)
		case <-l.wake:
		case <-tick.C: // for tenants
		}
		err := l.Load(ctx)
		if err == nil {
			err = l.settle(ctx)
		}
		if err == nil {
			failing = false
			continue
		}
		if ctx.Err() != nil {
			return l.last(ctx)
		}
		l.Failed.Add(1)
		if !failing {
			l.deps.Log.Warn("dead letters are in memory alone: the store fails", "error", err)
		}
		failing = true
		select {
		case <-ctx.Done():
			return l.last(ctx)
		case <-time.After(l.deps.Retry):
			l.stir()
		}
	}
}

// last stores what it can before the end.
func (l *Letters) last(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastTimeout)
	defer cancel()
	if err := l.settle(ctx); err != nil {
		l.deps.Log.Warn("some dead letters were not stored, or not dropped", "error", err)
	}
	return nil
}

// settle brings the store up to date, one record after the other.
func (l *Letters) settle(ctx context.Context) error {
	for ctx.Err() == nil {
		tenant, n, ids := l.next()
		switch {
		case n != nil:
			if err := l.save(ctx, n); err != nil {
				return err
			}
		case ids != nil:
			if err := l.commit(ctx, tenant, actionDropped, dropped{ids}); err != nil {
				return err
			}
			l.forget(tenant, ids)
		default:
			return nil
		}
	}
	return ctx.Err()
}

// next is something to store: a copy of a letter, or ids to drop.
func (l *Letters) next() (tenant string, n *Letter, ids []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, b := range l.boxes {
		for id := range b.gone {
			if ids = append(ids, id); len(ids) == dropAtOnce {
				break
			}
		}
		if ids != nil {
			return name, nil, ids
		}
		for _, n := range b.list {
			if n.saved == 0 || n.Attempts >= 2*n.saved { // not each attempt of a client that goes on
				n.tried = true
				one := *n
				return name, &one, nil
			}
		}
	}
	return "", nil, nil
}

func (l *Letters) save(ctx context.Context, n *Letter) error {
	if err := l.commit(ctx, n.Tenant, actionKept, n); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now, _ := l.find(n.ID); now != nil { // otherwise it was dropped meanwhile
		now.saved = n.Attempts
	}
	return nil
}

func (l *Letters) forget(tenant string, ids []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		delete(l.box(tenant).gone, id)
	}
}

func (l *Letters) commit(ctx context.Context, tenant, action string, data any) error {
	js, err := json.Marshal(data)
	if err != nil {
		return err
	}
	return l.deps.Committer.Commit(ctx, event.Effect{Durable: true, Envelope: event.Envelope{
		Type: event.TypeMessage, Tenant: tenant, Room: deadRoom, Action: action, Data: js,
	}})
}
