package app

import (
	"context"
	"encoding/json"
	"time"

	"github.com/heddle-rt/heddle/plugins/native"
	"github.com/heddle-rt/heddle/runtime/api"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// A deletion that may succeed later is tried so often, the first pause being this and
// the others twice the one before.
const (
	deleteTries = 5
	deletePause = 100 * time.Millisecond
)

// judged carries out what a moderator thinks. It runs on the goroutine that takes the
// moderator's answers, which wait meanwhile.
func (n *natives) judged(v native.Verdict) {
	r, count := v.Record, n.verdicts[v.Plugin]
	log := n.app.log.With("plugin", v.Plugin, "tenant", r.Tenant, "room", r.Room, "offset", r.Offset, "epoch", r.Epoch, "user", r.From.User, "reason", v.Reason)
	if !v.Delete {
		count.flagged.Add(1)
		log.Warn("a moderator has flagged a message", "id", r.ID)
		return
	}
	err := n.remove(r)
	switch {
	case err == nil:
		count.deleted.Add(1)
		log.Info("a moderator has deleted a message")
	case fault.Is(err, fault.NotFound), fault.Is(err, fault.Conflict): // deleted, expired, or the room is another one
		count.gone.Add(1)
		log.Debug("a message that a moderator wants deleted is gone", "error", err)
	default:
		count.failed.Add(1)
		log.Error("a message that a moderator wants deleted is still there", "error", err)
	}
}

// remove deletes the message that a record is, or has edited, as the server itself.
func (n *natives) remove(r *event.Record) error {
	ctx, cancel := context.WithTimeout(n.hard, n.app.cfg.Timeout)
	defer cancel()
	raw, err := deletion(r)
	if err != nil {
		return err
	}
	pause := deletePause
	for try := 1; ; try++ {
		_, err := n.app.run.Run(ctx, api.Speaker{Tenant: r.Tenant}, r.Room, raw)
		f := fault.Of(err)
		if err == nil || try == deleteTries || !f.Kind.Retryable() || !wait(ctx, max(pause, f.After)) {
			return err
		}
		pause *= 2
	}
}

// wait is false if ctx ends before the time is over.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// deletion is message:delete as the tenant's backend would send it. Its id is made of
// the record's: of several verdicts on one the first counts.
func deletion(r *event.Record) ([]byte, error) {
	target := struct {
		Offset uint64 `json:"offset"`
		Epoch  string `json:"epoch"`
	}{r.Offset, r.Epoch}
	if r.Action == "message:edit" { // its offset is that of the message
		if err := json.Unmarshal(r.Data, &target); err != nil {
			return nil, err
		}
		target.Epoch = r.Epoch
	}
	return json.Marshal(map[string]any{
		"type": event.TypeEvent.String(), "id": "moderated-" + r.ID, "room": r.Room,
		"payload": map[string]any{"action": "message:delete", "data": target},
	})
}
