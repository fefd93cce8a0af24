package embedded

import (
	"fmt"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/session"
	"github.com/heddle-rt/heddle/runtime/session/storetest"
)

func TestSessionsOfAUser(t *testing.T) {
	r := newRig(t, nil)
	at := func(tenant, user, id string, in time.Duration) session.Record {
		return session.Record{Tenant: tenant, User: user, ID: id, Expires: r.clock.now.Add(in).UnixMilli()}
	}
	if err := r.Save(t.Context(),
		at("acme", "ann", "s1", time.Hour), at("acme", "ann", "s2", time.Minute), at("acme", "ann", "s3", time.Hour), at("acme", "ann", "s4", time.Hour),
		at("acme", "anna", "s5", time.Hour), at("globex", "ann", "s6", time.Hour)); err != nil {
		t.Fatal(err)
	}
	list := func(limit int) (ids []string) {
		rs, err := r.OfUser(t.Context(), "acme", "ann", limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range rs {
			if s.User != "ann" || s.Tenant != "acme" {
				t.Errorf("%+v", s)
			}
			ids = append(ids, s.ID)
		}
		return ids
	}
	expect := func(limit int, want string) {
		t.Helper()
		if got := fmt.Sprint(list(limit)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	expect(100, "[s1 s2 s3 s4]")
	expect(2, "[s3 s4]")
	if err := r.Delete(t.Context(), "acme", "s1", 0); err != nil {
		t.Fatal(err)
	}
	if err := r.Delete(t.Context(), "acme", "unknown", 0); err != nil {
		t.Fatal(err)
	}
	expect(100, "[s2 s3 s4]")
	r.clock.pass(2 * time.Minute)
	expect(100, "[s3 s4]")
	r.pass() // sweeps s2
	left := 0
	if err := r.scan(t.Context(), appendKey(nil, tableSessionOf, "acme", "ann"), "", 3, func(string, []byte) (bool, error) { left++; return true, nil }); err != nil || left != 2 {
		t.Errorf("%d are in the index, %v", left, err)
	}
}

func TestSessionStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) session.Store {
		return newRig(t, func(_ *Config, d *Deps) { d.Clock = time.Now })
	})
}
