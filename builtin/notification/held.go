package notification

import (
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
	first *waiting
	last  *waiting
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
	next   *waiting
}

func newHeld() held { return held{of: map[heldKey]*waiting{}} }

// put appends one; all wait for the same time.
func (h *held) put(w *waiting) {
	h.of[w.key] = w
	if w.next = nil; h.first == nil {
		h.first = w
	} else {
		h.last.next = w
	}
	h.last = w
}

// take removes the first one, and returns it.
func (h *held) take() *waiting {
	w := h.first
	h.first = w.next
	delete(h.of, w.key)
	return w
}

// until is how long nothing is due.
func (h *held) until(now time.Time) time.Duration {
	if h.first == nil {
		return never
	}
	return h.first.due.Sub(now)
}

// hold keeps a notification until the time for others of its room is over.
func (n *Notifications) hold(ctx context.Context, m *message, to addressee) {
	if !n.outbox.serves(m.Tenant) {
		return
	}
	k := heldKey{m.Tenant, to.user, m.Room}
	w := n.held.of[k]
	if w == nil {
		if len(n.held.of) >= n.cfg.Waiting {
			n.early.Add(1)
			n.decide(ctx, n.held.take(), true)
		}
		w = &waiting{key: k, due: n.deps.Now().Add(n.cfg.Collapse)}
		n.held.put(w)
	}
	w.record, w.text, w.reason = *m.Record, m.text, to.reason.atLeast(w.reason)
	w.record.Data = nil
	w.count++
	n.waiting.Store(int64(len(n.held.of)))
}

// flush decides about those that are due, or about all.
func (n *Notifications) flush(ctx context.Context, now time.Time, all bool) {
	for n.held.first != nil && (all || !n.held.first.due.After(now)) {
		n.decide(ctx, n.held.take(), all)
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
