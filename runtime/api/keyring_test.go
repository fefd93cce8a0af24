package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/limit"
)

func TestKeysAreChecked(t *testing.T) {
	good := Key{ID: "k", Secret: secret, Scopes: []string{ScopePublish}}
	for _, c := range []struct {
		name   string
		change func(*Key)
		want   string
	}{
		{"good", func(*Key) {}, ""},
		{"hash", func(k *Key) { k.Secret, k.SecretHash = "", strings.Repeat("0a", 32) }, ""},
		{"no id", func(k *Key) { k.ID = "" }, "id"},
		{"dot", func(k *Key) { k.ID = "a.b" }, "id"},
		{"long id", func(k *Key) { k.ID = strings.Repeat("x", 65) }, "id"},
		{"nothing secret", func(k *Key) { k.Secret = "" }, "secret and secret_hash"},
		{"both", func(k *Key) { k.SecretHash = strings.Repeat("0a", 32) }, "secret and secret_hash"},
		{"short", func(k *Key) { k.Secret = "short" }, "secret"},
		{"short hash", func(k *Key) { k.Secret, k.SecretHash = "", "0a" }, "secret_hash"},
		{"no hash", func(k *Key) { k.Secret, k.SecretHash = "", strings.Repeat("xy", 32) }, "secret_hash"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k, got := good, ""
			c.change(&k)
			k.Check(func(option, _ string) { got += option })
			if got != c.want {
				t.Errorf("reported %q", got)
			}
			if _, err := NewKeyring(map[string][]Key{"acme": {k}}); (err != nil) != (c.want != "") || err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("%v", err)
			}
		})
	}
	if _, err := NewKeyring(map[string][]Key{"acme": {good, good}}); err == nil {
		t.Error("two keys of one id")
	}
	if _, err := NewKeyring(map[string][]Key{"acme": {good}, "globex": {good}}); err == nil {
		t.Error("two tenants with one key")
	}
}

func TestKeyringReload(t *testing.T) {
	sum := sha256.Sum256([]byte(secret))
	one := Key{ID: "k", SecretHash: hex.EncodeToString(sum[:]), Scopes: []string{ScopePublish}, Rate: 0.001, Burst: 2}
	k, err := NewKeyring(map[string][]Key{"acme": {one}})
	if err != nil {
		t.Fatal(err)
	}
	header := "bearer k." + secret
	now := time.Now()
	for i, limited := range []bool{false, false, true} {
		g, err := k.find(header)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.enter(now); fault.Is(err, fault.RateLimited) != limited {
			t.Errorf("request %d: %v", i, err)
		}
	}
	// What was spent is remembered; the scopes are new.
	one.Scopes = []string{ScopeRooms}
	if err := k.Reload(map[string][]Key{"acme": {one}}); err != nil {
		t.Fatal(err)
	}
	g, err := k.find(header)
	if err != nil || g.may(ScopeRooms) != nil || g.may(ScopePublish) == nil || g.enter(now) == nil {
		t.Errorf("%v %+v", err, g)
	}
	bad := one
	bad.ID = "?"
	if err := k.Reload(map[string][]Key{"acme": {bad}}); err == nil {
		t.Error("a bad key is put in force")
	}
	if _, err := k.find(header); err != nil {
		t.Errorf("the old key is gone: %v", err)
	}
	if err := k.Reload(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := k.find(header); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a key that was taken away: %v", err)
	}
}

func TestAKeyHasItsRequestsAtOnce(t *testing.T) {
	k, err := NewKeyring(map[string][]Key{"acme": {{ID: "k", Secret: secret}}})
	if err != nil {
		t.Fatal(err)
	}
	g, err := k.find("Bearer k." + secret)
	if err != nil {
		t.Fatal(err)
	}
	for range maxOpen {
		if err := g.enter(time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.enter(time.Now()); !fault.Is(err, fault.RateLimited) {
		t.Errorf("one too many: %v", err)
	}
	g.leave()
	if err := g.enter(time.Now()); err != nil {
		t.Error(err)
	}
}

// everywhere is a limit.Ledger of nodes that have taken a key's budget for a minute.
type everywhere struct{ taken map[string]time.Duration }

func (e *everywhere) Settle(_ context.Context, all []limit.Taking) error {
	for i, t := range all {
		e.taken[t.Budget] += t.Cost
		all[i].Ahead = time.Minute
	}
	return nil
}

// TestAKeyHasOneBudgetOverAllNodes: what others have taken of it counts here.
func TestAKeyHasOneBudgetOverAllNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ledger := &everywhere{taken: map[string]time.Duration{}}
		pool := limit.NewPool(limit.PoolConfig{Every: time.Second}, ledger, func() int { return 2 }, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- pool.Run(ctx) }()
		defer func() { cancel(); <-ended }()
		keys := map[string][]Key{"acme": {{ID: "k", Secret: secret, Rate: 10, Burst: 100}}}
		k, err := NewKeyring(keys)
		if err != nil {
			t.Fatal(err)
		}
		k.Share(pool)
		if err := k.Reload(keys); err != nil {
			t.Fatal(err)
		}
		g, err := k.find("Bearer k." + secret)
		if err != nil || g.enter(time.Now()) != nil {
			t.Fatal("refused")
		}
		g.spend(4)
		time.Sleep(1500 * time.Millisecond)
		if err := g.enter(time.Now()); !fault.Is(err, fault.RateLimited) {
			t.Errorf("others have taken all: %v", err)
		}
		if got := ledger.taken["key:4:acmek"]; got != 500*time.Millisecond {
			t.Errorf("the others know of %v, want that of 5 requests; %v", got, ledger.taken)
		}
		time.Sleep(time.Minute)
		if err := g.enter(time.Now()); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkFind(b *testing.B) {
	k, err := NewKeyring(map[string][]Key{"acme": {{ID: "k", Secret: secret}}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := k.find("Bearer k." + secret); err != nil {
			b.Fatal(err)
		}
	}
}

func TestStatusOfFailures(t *testing.T) {
	for _, k := range fault.Kinds() {
		if got := statusOf(fault.New(k, "", "")); got != k.Status() {
			t.Errorf("%v: %d", k, got)
		}
	}
	if got := statusOf(missing("x")); got != http.StatusNotImplemented {
		t.Error(got)
	}
	for _, c := range []struct{ field, data, want string }{
		{"data.text", "data", "data.text"}, {"data.text", "", "text"}, {"payload.data", "", ""}, {"payload.data", "data", "data"},
		{"room", "", "room"}, {"payload.action", "data", "action"}, {"database", "", "database"}, {"data.a[0].b", "data", "data.a[0].b"},
	} {
		if got := fault.Of(within(fault.New(fault.Invalid, c.field, ""), c.data)).Field; got != c.want {
			t.Errorf("%s with %q: %s", c.field, c.data, got)
		}
	}
}
