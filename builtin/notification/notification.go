package notification

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

// actionNew is the event that a user's sessions get.
const actionNew = "notification:new"

// The records that users are notified of, and how those begin that change who is a
// member.
const (
	actionSend   = "message:send"
	actionDirect = "direct:send"
	aboutRoom    = "room:"
)

// Emitter brings ephemeral events to rooms. Of two with the same merge key, only
// the newer stays in a slow client's queue.
type Emitter interface {
	Emit(env *event.Envelope, merge string)
}

// Types finds what is configured of a room.
type Types interface {
	Type(room string) (room.TypeConfig, error)
}

// Reader reads who is a member, and what was read.
type Reader interface {
	Member(ctx context.Context, tenant, room, user string) (room.Member, bool, error)
	Members(ctx context.Context, tenant, room, after string, limit int) ([]room.Member, error)
	Marker(ctx context.Context, tenant, user, room string) (room.Marker, error)
}

// History reads a room's stream.
type History interface {
	After(ctx context.Context, tenant, room string, p event.Position, limit, maxBytes int) ([]event.Record, error)
}

// User is how a user is at present, seen from a room.
type User struct {
	Present   bool     // has a session, or has had one until a moment ago
	Connected []string // devices with an open session, each once
	Joined    []string // of these, those that receive the room
	Active    string   // the device on which the user did something last
	Away      bool     // has done nothing on any device for a while, or says so
	Quiet     bool     // does not want to be disturbed
}

// People knows users.
type People interface {
	// Look tells how a user is. It does not block.
	Look(tenant, user, room string) User
	// Quiet reports whether a user who is not there has asked not to be disturbed.
	Quiet(ctx context.Context, tenant, user string) (bool, error)
	// Devices lists those of the user's that are known, also without a connection.
	Devices(ctx context.Context, tenant, user string) ([]string, error)
}

// Deps is what Notifications works with; all but Now is required.
type Deps struct {
	Emit      Emitter
	Types     Types
	Reader    Reader
	History   History
	People    People
	Notifiers []Named
	Log       *slog.Logger
	Now       func() time.Time // nil means time.Now
}

// Notifications finds out whom a message has to be told to.
type Notifications struct {
	cfg     Config
	deps    Deps
	backlog backlog
	rosters rosters
	held    held
	outbox  *outbox
	broken  bool // the last message could not be looked at
	counters
}

// New makes one; Run does the work.
func New(cfg Config, deps Deps) *Notifications {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	n := &Notifications{cfg: cfg, deps: deps, rosters: rosters{rooms: map[roomKey]roster{}}, held: newHeld()}
	n.backlog = newBacklog(cfg.Queue, int64(cfg.QueueBytes), &n.counters)
	n.outbox = newOutbox(cfg.Outbox, deps.Notifiers, deps.Log)
	return n
}

// Observe sees every durable record once, on the node that has committed it, those
// of one room in their order. It does not block.
func (n *Notifications) Observe(r *event.Record) {
	switch {
	case r.Action == actionSend || r.Action == actionDirect && r.Unread: // otherwise it is the sender's copy
	case strings.HasPrefix(r.Action, aboutRoom):
		n.rosters.forget(roomKey{r.Tenant, r.Room})
		return
	default:
		return
	}
	t, err := n.deps.Types.Type(r.Room)
	if err != nil {
		return // the type is gone since
	}
	switch t.NotifyMode() {
	case room.NotifyOff:
		return
	case room.NotifyMentions:
		if !bytes.Contains(r.Data, mentionsName) {
			return
		}
	}
	n.observed.Add(1)
	n.backlog.push(r)
}

// lastWords is how long what waits is handed over for, at the end.
const lastWords = 5 * time.Second

const never = time.Duration(1<<63 - 1)

// Run notifies until ctx ends, then hands over what waits. It owns its own goroutine
// and, of the outbox, one for each tenant and notifier with something to send.
func (n *Notifications) Run(ctx context.Context) error {
	timer := time.NewTimer(never)
	defer timer.Stop()
	for ctx.Err() == nil {
		r, ok := n.backlog.pop()
		if ok {
			n.look(ctx, &r)
		}
		n.flush(ctx, n.deps.Now(), false)
		if ok {
			continue
		}
		timer.Reset(n.held.until(n.deps.Now()))
		select {
		case <-n.backlog.wake:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	for r, ok := n.backlog.pop(); ok; r, ok = n.backlog.pop() {
		n.look(last, &r)
	}
	n.flush(last, n.deps.Now(), true)
	n.outbox.close(last)
	return nil
}

// look finds whom to notify of a message.
func (n *Notifications) look(ctx context.Context, r *event.Record) {
	if r.Expires != 0 && r.Expires <= n.deps.Now().UnixMilli() {
		return
	}
	m := read(r, n.cfg.Preview)
	to, err := n.audience(ctx, &m)
	for i := range to {
		if err == nil && to[i].user != r.From.User {
			err = n.tell(ctx, &m, to[i])
		}
	}
	if n.note(err) {
		n.failed.Add(1)
	}
}

// note logs when reading begins to fail, and when it works again.
func (n *Notifications) note(err error) (failed bool) {
	switch {
	case err != nil && !n.broken:
		n.deps.Log.Error("users cannot be notified: the store does not answer", "error", err)
	case err == nil && n.broken:
		n.deps.Log.Info("users are notified again")
	}
	n.broken = err != nil
	return n.broken
}
