package authenticate

import (
	"cmp"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

// Observe takes in what any node of a cluster has revoked or lifted, and ends the
// sessions here that it is about. It sees records of all rooms, those of one room in
// their order.
func (r *Revocations) Observe(rec *event.Record) {
	if rec.Room != revocationsRoom {
		return
	}
	switch rec.Action {
	case actionRevoke:
		projectRevoke(inForce{r: r}, rec)
	case actionLift:
		projectLift(inForce{r: r}, rec)
	}
}

// inForce are the rows that are kept in memory.
type inForce struct {
	room.Tables
	r *Revocations
}

func (t inForce) PutRow(tenant, _ string, row room.Row) {
	if one, ok := readRow(tenant, row); ok {
		t.r.put(one)
		t.r.deps.Disconnect(tenant, one.User, t.r.Revoked, cmp.Or(one.Reason, "revoked"))
	}
}

func (t inForce) DeleteRow(tenant, _ string, row room.Row) {
	row.Value = []byte("{}")
	if one, ok := readRow(tenant, row); ok {
		t.r.mu.Lock()
		defer t.r.mu.Unlock()
		t.r.drop(&one)
	}
}
