package room

import (
	"context"
	"encoding/json"
	"log/slog"
	"strconv"
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

// ExpirerDeps is what an Expirer needs; all of it.
type ExpirerDeps struct {
	Rooms     *room.Rooms
	Reader    room.Reader
	History   room.History
	Notes     room.Notes
	Committer Committer
	Tenants   func() []string
	Now       func() time.Time
	Log       *slog.Logger
}

// Expirer looks for rooms that have been without members for as long as their type
// keeps such. Any number of nodes may have one: the committer sorts out who was
// first, and whether somebody has joined meanwhile.
type Expirer struct {
	ExpirerDeps
	Expired atomic.Uint64 // rooms deleted, or announced as expired
	Failed  atomic.Uint64 // passes over a tenant that could not be finished
}

// NewExpirer makes an expirer.
func NewExpirer(d ExpirerDeps) *Expirer { return &Expirer{ExpirerDeps: d} }

const (
	expireEvery = time.Minute
	expirePage  = 50
)

// Run makes a pass over all tenants every minute until ctx ends.
func (x *Expirer) Run(ctx context.Context) error {
	tick := time.NewTicker(expireEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		for _, tenant := range x.Tenants() {
			if err := x.pass(ctx, tenant); err != nil && ctx.Err() == nil {
				x.Failed.Add(1)
				x.Log.Warn("empty rooms could not be looked through; the next pass goes on", "tenant", tenant, "error", err)
			}
		}
	}
}

// pass looks at the rooms that the tenant's root room has noted as empty.
func (x *Expirer) pass(ctx context.Context, tenant string) error {
	after := ""
	for {
		// What is noted behind it is newer than what is read here.
		head, err := x.History.Head(ctx, tenant, root)
		if err != nil || head.Offset == 0 {
			return err
		}
		page, err := x.Notes.Rows(ctx, tenant, root, rowEmpty, after, expirePage)
		if err != nil {
			return err
		}
		for _, row := range page {
			done, err := x.look(ctx, tenant, row)
			if err == nil && done {
				err = x.unlist(ctx, tenant, row.Key, head)
			}
			if err != nil {
				return err
			}
		}
		if len(page) < expirePage {
			return nil
		}
		after = page[len(page)-1].Key
	}
}

// look decides about one room; done says that its row is of no use any more.
func (x *Expirer) look(ctx context.Context, tenant string, row room.Row) (done bool, err error) {
	t, err := x.Rooms.Type(row.Key)
	since, unreadable := strconv.ParseInt(string(row.Value), 10, 64)
	if err != nil || unreadable != nil {
		return true, nil // the type is not configured any more
	}
	if t.EmptyTTL <= 0 || x.Now().Before(time.UnixMilli(since).Add(t.EmptyTTL)) {
		return false, nil
	}
	head, err := x.History.Head(ctx, tenant, row.Key)
	if err != nil {
		return false, err
	}
	_, found, err := x.Reader.Room(ctx, tenant, row.Key)
	if err != nil || !found {
		return !found, err
	}
	members, err := x.Reader.Members(ctx, tenant, row.Key, "", 1)
	if err != nil || len(members) > 0 {
		return len(members) > 0, err
	}
	e := event.Effect{Durable: true, Subject: subjectRoom, Seen: head.Offset, Envelope: event.Envelope{
		Type: event.TypeMessage, Tenant: tenant, Room: row.Key, Action: actionExpire, Data: []byte("{}"),
	}}
	if t.OnExpire != room.Announce {
		e = ending(e, head)
	}
	err = x.Committer.Commit(ctx, e)
	switch {
	case fault.Is(err, fault.Changed): // somebody has joined, or will be seen the next time
		return false, nil
	case fault.Is(err, fault.NotFound): // deleted
		return true, nil
	case err == nil:
		x.Expired.Add(1)
	}
	return err == nil, err
}

// unlist takes a room off the list, unless it was put there anew behind head.
func (x *Expirer) unlist(ctx context.Context, tenant, name string, head event.Head) error {
	data, _ := json.Marshal(noted{name})
	err := x.Committer.Commit(ctx, event.Effect{Durable: true, Subject: name, Seen: head.Offset, Envelope: event.Envelope{
		Type: event.TypeMessage, Tenant: tenant, Room: root, Action: actionUnlisted, Data: data,
	}})
	if fault.Is(err, fault.Changed) {
		return nil
	}
	return err
}
