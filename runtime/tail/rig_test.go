package tail

import (
	"fmt"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/builtin"
	"github.com/heddle-rt/heddle/runtime/event"
)

// rig is a Tail before a base, which has what keep was told.
type rig struct {
	*Tail
	t     *testing.T
	base  *shelf
	front *front
	log   []event.Record
	heads map[string]event.Head
	kept  int
}

func newRig(t *testing.T, cfg Config, retention func(id string) uint64) *rig {
	r := &rig{t: t, heads: map[string]event.Head{}}
	r.base = newShelf(builtin.Projections(), time.Now, retention)
	t.Cleanup(func() { _ = r.base.Close() })
	r.front = &front{Base: r.base}
	r.Tail = New(cfg, Deps{Base: r.front, Projections: builtin.Projections()})
	return r
}

// write applies a record.
func (r *rig) write(id, user, action, data string) event.Record {
	rec := r.next(id, user, action, data)
	r.Apply([]event.Record{rec}, []int64{int64(len(r.log) - 1)})
	return rec
}

// next is a record of the log, not applied.
func (r *rig) next(id, user, action, data string) event.Record {
	h := r.heads[id]
	h.Epoch = "e1"
	h.Offset++
	r.heads[id] = h
	rec := event.Record{Envelope: event.Envelope{
		Type: event.TypeMessage, Tenant: tenant, Room: id, Position: h.Position, From: event.Sender{User: user}, Action: action, Data: []byte(data),
		ID: fmt.Sprintf("%s-%d", id, h.Offset), Timestamp: int64(h.Offset),
	}}
	r.log = append(r.log, rec)
	return rec
}

func (r *rig) messages(id string, n int) {
	for range n {
		r.write(id, "ann", "message:send", `{"text":"hello"}`)
	}
}

// keep has the base take all, and the Tail told so.
func (r *rig) keep() {
	r.base.put(r.log[r.kept:]...)
	r.kept = len(r.log)
	r.Trim(int64(r.kept))
}

// forget drops all that may be dropped.
func (r *rig) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range r.used.Len() {
		r.shrink(r.used.Back().Value.(*entry))
	}
}

// offsets of records, newest first or last.
func (r *rig) offsets(records []event.Record, err error) string {
	r.t.Helper()
	out := []uint64{}
	for i := range records {
		out = append(out, records[i].Offset)
	}
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(out)
}

func (r *rig) before(id string, offset uint64, limit int) string {
	r.t.Helper()
	return r.offsets(r.Before(r.t.Context(), tenant, id, offset, limit, 1<<20))
}

func (r *rig) after(id string, offset uint64, limit int) string {
	r.t.Helper()
	return r.offsets(r.After(r.t.Context(), tenant, id, event.Position{Epoch: "e1", Offset: offset}, limit, 1<<20))
}

func (r *rig) is(what, got, want string) {
	r.t.Helper()
	if got != want {
		r.t.Errorf("%s: %s, want %s", what, got, want)
	}
}

// asks runs something that asks the base so many times.
func (r *rig) asks(what string, want int64, do func()) {
	r.t.Helper()
	was := r.front.asked.Load()
	do()
	if n := r.front.asked.Load() - was; n != want {
		r.t.Errorf("%s asked the base %d times, not %d", what, n, want)
	}
}
