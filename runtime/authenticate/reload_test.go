package authenticate

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
)

func TestReload(t *testing.T) {
	r, err := NewReloadable(house(), Deps{Clock: func() time.Time { return epoch }})
	if err != nil {
		t.Fatal(err)
	}
	verify := func(key, kid, tenant string) error {
		_, err := r.Verify(t.Context(), sign(key, headOf("HS256", kid), claimsOf("tenant", strconv.Quote(tenant))))
		return err
	}
	const newSecret = "initech's secret, which has 32 bytes and more"
	next := map[string]Config{
		"globex":  {Keys: []KeyConfig{{ID: "g2", Algorithm: "HS256", Secret: secretB + "2"}}},
		"initech": {Keys: []KeyConfig{{ID: "i", Algorithm: "HS256", Secret: newSecret}}},
	}
	if _, err := r.Prepare(map[string]Config{"globex": {}}); err == nil {
		t.Error("a tenant without keys was taken")
	}
	swap, err := r.Prepare(next)
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name, key, kid, tenant string
		before, after          bool
	}{
		{"a key that stays", secretB + "2", "g2", "globex", true, true},
		{"a key that goes", secretB, "g", "globex", true, false},
		{"a tenant that goes", secretA, "h", "acme", true, false},
		{"a tenant that comes", newSecret, "i", "initech", false, true},
	}
	for _, c := range cases {
		if err := verify(c.key, c.kid, c.tenant); (err == nil) != c.before {
			t.Errorf("%s, before: %v", c.name, err)
		}
	}
	swap()
	for _, c := range cases {
		if err := verify(c.key, c.kid, c.tenant); (err == nil) != c.after || (err != nil && !fault.Is(err, fault.Unauthenticated)) {
			t.Errorf("%s, after: %v", c.name, err)
		}
	}
	if s := r.Stats(); s.Verified != 5 || s.Refused != 3 {
		t.Errorf("%+v", s)
	}
}

func TestReloadKeepsTheKeySetUntilItIsReadAgain(t *testing.T) {
	i := newIssuer(t, jwkOf("1", rsaOf().Public()))
	cfg := func(url string) map[string]Config {
		return map[string]Config{"acme": {JWKSURL: url, JWKSRefresh: time.Hour}}
	}
	r, err := NewReloadable(cfg(i.server.URL), Deps{Clock: func() time.Time { return epoch }, HTTPClient: i.server.Client()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }() // ends with stop
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	token := sign(rsaOf(), headOf("RS256", "1"), claimsOf())
	reload := func(url string) {
		t.Helper()
		swap, err := r.Prepare(cfg(url))
		if err != nil {
			t.Fatal(err)
		}
		swap()
	}
	verify := func() error { _, err := r.Verify(t.Context(), token); return err }
	if err := verify(); err != nil {
		t.Fatal(err)
	}
	i.status.Store(500) // the issuer is away: only keys that are known can be used
	for range 3 {
		reload(i.server.URL)
		if err := verify(); err != nil {
			t.Errorf("from the same place: %v", err)
		}
	}
	reload(i.server.URL + "/elsewhere")
	if err := verify(); !fault.Is(err, fault.Unavailable) {
		t.Errorf("from elsewhere: %v", err)
	}
	i.status.Store(200)
	reload(i.server.URL) // Run fetches what is in force now
	if err := verify(); err != nil {
		t.Errorf("back again: %v", err)
	}
	if s := r.Stats(); s.Verified != 5 || s.Unavailable != 1 || s.Fetches < 2 {
		t.Errorf("%+v", s)
	}
}
