package notification

import (
	"container/list"
	"context"
	"errors"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

// held are the notifications for notifiers that wait, the one that waits longest in
// front. Only Run's goroutine uses them.
type held struct {
	of    map[heldKey]*waiting
	all   *list.List            // of *waiting
	lines map[string]*list.List // the same by tenant; those with something
}

type heldKey struct{ tenant, user, room string }

// waiting is one of them.
type waiting struct {
	key    heldKey
	record event.Record // the newest message, without its data
	text   string
	reason Reason
	count  int
	due    time.Time
	place  *list.Element // in held.all
}

func newHeld() held {
	return held{of: map[heldKey]*waiting{}, all: list.New(), lines: map[string]*list.List{}}
}

// put appends one; all wait for the same time.
func (h *held) put(w *waiting) {
	h.of[w.key] = w
	w.place = h.all.PushBack(w)
	l := h.lines[w.key.tenant]
	if l == nil {
		l = list.New()
		h.lines[w.key.tenant] = l
	}
	l.PushBack(w)
}

// first is the one that waits longest, nil if none does.
func (h *held) first() *waiting { return front(h.all) }

func front(l *list.List) *waiting {
	if e := l.Front(); e != nil {
		return e.Value.(*waiting)
	}
	return nil
}

// longest is the first one of the tenant that has most; of several, of the one whose
// first one waits longest.
func (h *held) longest() (w *waiting) {
	most := 0
	for _, l := range h.lines {
		if o := front(l); l.Len() > most || l.Len() == most && o.due.Before(w.due) {
			w, most = o, l.Len()
		}
	}
	return w
}

// take removes one that is its tenant's first, and returns it.
func (h *held) take(w *waiting) *waiting {
	delete(h.of, w.key)
	h.all.Remove(w.place)
	l := h.lines[w.key.tenant]
	if l.Remove(l.Front()); l.Len() == 0 {
		delete(h.lines, w.key.tenant)
	}
	return w
}

// until is how long nothing is due.
func (h *held) until(now time.Time) time.Duration {
	w := h.first()
	if w == nil {
		return never
	}
	return w.due.Sub(now)
}

// hold keeps a notification until the time for others of its room is over.
func (n *Notifications) hold(ctx context.Context, m *message, to addressee) {
	if !n.outbox.serves(m.Tenant) {
		return
	}
	k := heldKey{m.Tenant, to.user, m.Room}
	w := n.held.of[k]
	if w == nil {
		w = &waiting{key: k, due: n.deps.Now().Add(n.cfg.Collapse)}
		n.held.put(w)
	}
	w.record, w.text, w.reason = *m.Record, m.text, to.reason.atLeast(w.reason)
	w.record.Data = nil
	w.count++
	if len(n.held.of) > n.cfg.Waiting { // a tenant's flood hurries its own alone
		n.early.Add(1)
		n.decide(ctx, n.held.take(n.held.longest()), true)
	}
	n.waiting.Store(int64(len(n.held.of)))
}

// flush decides about those that are due, or about all.
func (n *Notifications) flush(ctx context.Context, now time.Time, all bool) {
	for w := n.held.first(); w != nil && (all || !w.due.After(now)); w = n.held.first() {
		n.decide(ctx, n.held.take(w), all)
	}
	n.waiting.Store(int64(len(n.held.of)))
}

// decide hands a notification over, unless the user has come back. One whose user
// was there until a moment ago waits on, unless it has to be now.
func (n *Notifications) decide(ctx context.Context, w *waiting, now bool) {
	u := n.deps.People.Look(w.key.tenant, w.key.user, w.key.room)
	switch there := len(u.Connected) > 0; {
	case u.Quiet:
		n.quiet.Add(1)
	case there && !(u.Away && w.reason.meant()):
		n.seen.Add(1)
	case u.Present && !there && !now:
		w.due = n.deps.Now().Add(n.cfg.Collapse)
		n.held.put(w)
	default:
		if err := n.handOver(ctx, w, u.Present); n.note(err) {
			n.failed.Add(1)
		}
	}
}

// handOver brings a notification to the notifiers, with what holds now.
func (n *Notifications) handOver(ctx context.Context, w *waiting, present bool) error {
	r := &w.record
	if r.Expires != 0 && r.Expires <= n.deps.Now().UnixMilli() {
		return nil
	}
	if !present { // otherwise Look knows
		quiet, err := n.deps.People.Quiet(ctx, r.Tenant, w.key.user)
		if err != nil || quiet {
			n.quiet.Add(1)
			return err
		}
	}
	unread, err := n.unread(ctx, r, w.key.user)
	if err != nil {
		return err
	}
	if unread == 0 && room.TypeOf(r.Room) != room.UserType {
		n.seen.Add(1)
		return nil
	}
	gone, err := n.gone(ctx, r)
	switch {
	case err != nil:
		return err
	case gone && w.count == 1:
		return nil
	case gone:
		w.text = ""
	}
	devices, err := n.deps.People.Devices(ctx, r.Tenant, w.key.user)
	if err != nil {
		return err
	}
	n.outbox.put(Notification{
		ID: r.ID, Tenant: r.Tenant, User: w.key.user, Reason: w.reason, Room: r.Room, Epoch: r.Epoch, Offset: r.Offset,
		From: r.From.User, Text: w.text, Count: w.count, Unread: unread, Devices: devices, Timestamp: r.Timestamp,
	})
	return nil
}

// gone reports whether a message was deleted, alone or with its room.
func (n *Notifications) gone(ctx context.Context, r *event.Record) (bool, error) {
	at, err := n.deps.History.After(ctx, r.Tenant, r.Room, event.Position{Epoch: r.Epoch, Offset: r.Offset - 1}, 1, 1)
	switch {
	case errors.Is(err, room.ErrTrimmed):
		return true, nil
	case err != nil:
		return false, err
	}
	return len(at) == 0 || at[0].Redacted, nil
}
