package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/limit"
)

// Keyring knows the keys of all tenants.
type Keyring struct {
	reload sync.Mutex
	pool   *limit.Pool // nil: the node is alone
	byID   atomic.Pointer[map[string][]*grant]
}

// grant is what one key is good for. Tenants may use the same id: the secret
// decides.
type grant struct {
	tenant, id string
	hash       [sha256.Size]byte
	scopes     map[string]bool
	*usage
}

// usage is what outlives a reload. It is a limit.Member.
type usage struct {
	budget string
	pool   *limit.Pool
	tally  limit.Tally

	mu       sync.Mutex
	every    time.Duration // of one request
	room     time.Duration // how far ahead may be
	ahead    time.Time
	open     int // requests under way
	archives int // likewise
}

// NewKeyring makes a keyring of each tenant's keys.
func NewKeyring(tenants map[string][]Key) (*Keyring, error) {
	k := &Keyring{}
	k.byID.Store(&map[string][]*grant{})
	return k, k.Reload(tenants)
}

// Share has the keys' budgets hold over all nodes. It is called before the first request.
func (k *Keyring) Share(p *limit.Pool) {
	k.reload.Lock()
	defer k.reload.Unlock()
	k.pool = p
	for _, list := range *k.byID.Load() {
		for _, g := range list {
			g.pool = p
		}
	}
}

// Reload puts other keys in force, for requests that come after it. What was spent
// of the budget of a key that stays is remembered. If anything is not valid, all
// stays as it is.
func (k *Keyring) Reload(tenants map[string][]Key) error {
	k.reload.Lock()
	defer k.reload.Unlock()
	old, next := *k.byID.Load(), map[string][]*grant{}
	var wrong error
	for tenant, keys := range tenants {
		tell := func(path, problem string) {
			wrong = errors.Join(wrong, fmt.Errorf("tenants.%s.%s: %s", tenant, path, problem))
		}
		CheckKeys(keys, tell)
		for i := range keys {
			keys[i].Check(func(option, problem string) { tell(fmt.Sprintf("api_keys[%d].%s", i, option), problem) })
			g := newGrant(tenant, &keys[i])
			g.pool = k.pool
			for _, other := range next[g.id] {
				if other.hash == g.hash {
					tell(fmt.Sprintf("api_keys[%d]", i), "another tenant has the same key")
				}
			}
			for _, was := range old[g.id] {
				if was.tenant == tenant {
					g.usage = was.usage
				}
			}
			next[g.id] = append(next[g.id], g)
		}
	}
	if wrong != nil {
		return wrong
	}
	for tenant, keys := range tenants {
		for i := range keys {
			for _, g := range next[keys[i].ID] {
				if g.tenant == tenant {
					g.pace(keys[i].Rate, keys[i].Burst)
				}
			}
		}
	}
	k.byID.Store(&next)
	return nil
}

func newGrant(tenant string, key *Key) *grant {
	g := &grant{tenant: tenant, id: key.ID, scopes: map[string]bool{}, usage: &usage{budget: fmt.Sprintf("key:%d:%s%s", len(tenant), tenant, key.ID)}}
	if key.Secret != "" {
		g.hash = sha256.Sum256([]byte(key.Secret))
	} else {
		_, _ = hex.Decode(g.hash[:], []byte(key.SecretHash[:min(len(key.SecretHash), 2*hashSize)])) // checked elsewhere
	}
	for _, s := range key.Scopes {
		g.scopes[s] = true
	}
	return g
}

// find is who a request's header Authorization speaks for. How long it takes tells
// nothing about a secret.
func (k *Keyring) find(header string) (*grant, error) {
	scheme, token, _ := strings.Cut(header, " ")
	id, secret, ok := strings.Cut(strings.TrimSpace(token), ".")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return nil, fault.New(fault.Unauthenticated, "Authorization", "want Bearer and an API key, id.secret")
	}
	sum := sha256.Sum256([]byte(secret))
	var found *grant
	for _, g := range (*k.byID.Load())[id] {
		if subtle.ConstantTimeCompare(sum[:], g.hash[:]) == 1 {
			found = g
		}
	}
	if found == nil {
		return nil, fault.New(fault.Unauthenticated, "Authorization", "no such API key")
	}
	return found, nil
}

// may refuses what the key has no scope for.
func (g *grant) may(scope string) error {
	if !g.scopes[scope] {
		return fault.New(fault.Forbidden, "Authorization", `the key has not the scope "`+scope+`"`)
	}
	return nil
}

func (u *usage) pace(rate, burst float64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if rate <= 0 { // not of a file
		rate = 1e9
	}
	u.every = max(time.Duration(float64(time.Second)/rate), 1)
	u.room = time.Duration(max(burst, 1) * float64(u.every))
}

// enter begins a request, which leave ends.
func (u *usage) enter(now time.Time) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.open >= maxOpen {
		return &fault.Error{Kind: fault.RateLimited, Msg: "too many requests of this key are under way", After: time.Second}
	}
	if now.After(u.ahead) {
		u.ahead = now
	}
	every := u.pool.Part(u.every)
	if over := u.ahead.Add(every).Sub(now) - max(u.room, every); over > 0 {
		return &fault.Error{Kind: fault.RateLimited, Msg: "more requests than this key may make", After: over.Round(time.Millisecond) + time.Millisecond}
	}
	u.ahead = u.ahead.Add(every)
	u.pool.Took(u, &u.tally, 1)
	u.open++
	return nil
}

// spend charges n more, which a request turned out to be. It refuses nothing: the
// next ones wait for it.
func (u *usage) spend(n int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ahead = u.ahead.Add(time.Duration(n) * u.every)
	u.pool.Took(u, &u.tally, int64(n))
}

// Budget names the key's budget in a cluster.
func (u *usage) Budget() string { return u.budget }

// Every is how long one of the key's requests takes to come.
func (u *usage) Every() time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.every
}

// Raise has the key's requests wait.
func (u *usage) Raise(ahead time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if to := time.Now().Add(ahead); to.After(u.ahead) {
		u.ahead = to
	}
}

// carry takes a place for an archive, which carried gives back.
func (u *usage) carry() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.archives >= maxArchivesOfKey {
		return &fault.Error{Kind: fault.RateLimited, Msg: "other bundles of this key are under way", After: time.Second}
	}
	u.archives++
	return nil
}

func (u *usage) carried() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.archives--
}

func (u *usage) leave() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.open--
}
