package authenticate

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/heddle-rt/heddle/runtime/event"
)

// wire is a committer whose records other nodes see.
type wire struct {
	*shelf
	to *Revocations
}

func (w *wire) Commit(ctx context.Context, e event.Effect) error {
	err := w.shelf.Commit(ctx, e)
	if err == nil {
		w.to.Observe(&event.Record{Envelope: e.Envelope})
	}
	return err
}

// TestObserve: what one node revokes is in force on another, with its sessions closed,
// until it is lifted.
func TestObserve(t *testing.T) {
	shelf := newShelf()
	here, there := shelf.revocations(0), newShelf()
	other := there.revocations(0)
	here.deps.Committer = &wire{shelf, other}
	other.Observe(&event.Record{Envelope: event.Envelope{Tenant: "acme", Room: "user:ann", Action: actionRevoke, Data: []byte(`{"kind":"revoked","key":"user:ann"}`)}})
	if other.Len() != 0 {
		t.Fatal("another room revokes")
	}
	all := everybody()
	for _, c := range []struct {
		deed func() error
		want string
		told []string
	}{
		{func() error {
			return here.Revoke(t.Context(), Revocation{Tenant: "acme", User: "ann", Device: "phone"})
		}, "old", []string{"acme ann revoked false"}},
		{func() error {
			return here.Revoke(t.Context(), Revocation{Tenant: "acme", User: "ann", Blocked: true, Reason: "bad"})
		}, "new old silent tv", []string{"acme ann bad true"}},
		{func() error { return here.Lift(t.Context(), Revocation{Tenant: "acme", User: "ann"}) }, "old", nil},
		{func() error { return here.Lift(t.Context(), Revocation{Tenant: "acme", User: "ann", Device: "phone"}) }, "", nil},
	} {
		there.told = nil
		if err := c.deed(); err != nil {
			t.Fatal(err)
		}
		if got := refused(other, all); got != c.want || !slices.Equal(there.told, c.told) {
			t.Errorf("refused are %q, want %q; told %q, want %q", got, c.want, there.told, c.told)
		}
		if a, b := fmt.Sprint(here.List("acme")), fmt.Sprint(other.List("acme")); a != b {
			t.Errorf("here %s, there %s", a, b)
		}
	}
	if other.Len() != 0 {
		t.Error("not all is lifted")
	}
}
