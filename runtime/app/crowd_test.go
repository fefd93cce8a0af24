package app

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/runtime/authenticate"
)

// TestCrowdedDoors: however many tenants' plugins spin at the door, another tenant's users
// get in at once: nobody who waits for a plugin holds a worker, and what spins has a part
// of the processors. Time is counted in calls of those that spin, which end at their
// deadline, and in what getting in takes while nobody spins.
func TestCrowdedDoors(t *testing.T) {
	const (
		tenants, crowd = 3, 8
		deadline       = 250 * time.Millisecond
	)
	var set []string
	for i := range tenants {
		set = append(set, fmt.Sprintf("tenants.bad%d.auth.keys=[{id: k1, algorithm: HS256, secret: %s}]", i, secrets["acme"]),
			fmt.Sprintf("tenants.bad%d.plugins.limits.timeout=10s", i))
	}
	r := newRaid(t, append(set, "workers=16", "plugins.run.break_from=1000000")...)
	calls := func() (n uint64) {
		for i := range tenants {
			if v := r.app.plugins.host.For(fmt.Sprint("bad", i)).Named("door").Choose("x"); v != nil {
				n += v.Pool.Batches.Load()
				v.Release()
			}
		}
		return n
	}
	enter := func() time.Duration {
		began := time.Now()
		g := r.open(t, dial{tenant: "globex", user: "gia"})
		g.do("room:join", "channel:calm", "{}")
		g.drop()
		return time.Since(began)
	}
	usual := max(enter(), enter())
	b := &manifest.Bundle{Module: raw{Batch: wat{}.Forever(nil)}.Module(), Text: fmt.Appendf(nil, "name: door\nversion: '1'\nlimits: {timeout: %v, start: 10s}\none_user: true\nbindings: [{hooks: [connect]}]\n", deadline)}
	var err error
	if b.Manifest, err = manifest.Read(manifest.FileName, b.Text); err != nil {
		t.Fatal(err)
	}
	var all []*client
	for i := range tenants {
		tenant := fmt.Sprint("bad", i)
		if _, err := r.app.plugins.host.Deploy(t.Context(), host.Request{Tenant: tenant, By: "test", Bundle: b, As: host.Live}); err != nil {
			t.Fatal(err)
		}
		for u := range crowd {
			token, err := authenticate.Mint([]byte(secrets["acme"]), "k1", claims(tenant, fmt.Sprint("u", u)))
			if err != nil {
				t.Fatal(err)
			}
			c := r.connect(t, dial{token: token})
			all = append(all, c)
			for o := range 20 {
				c.text(envelope("session:open", "", fmt.Sprint("o", o), "{}"))
			}
		}
	}
	eventually(t, "all of them spin", func() bool { return calls() > 8*tenants })
	var most uint64
	var longest time.Duration
	for range 5 {
		was := calls()
		longest = max(longest, enter())
		most = max(most, calls()-was)
	}
	t.Logf("getting in took %v, %v beside them, in which they had %d calls", usual, longest, most)
	if limit := uint64(6 + 4*usual/deadline*2*tenants); most > limit {
		t.Errorf("getting in took as long as %d calls of others', want at most %d", most, limit)
	}
	for _, c := range all {
		c.drop()
	}
	if s := r.admin("/readyz"); s.status != http.StatusOK {
		t.Error(s.body)
	}
}
