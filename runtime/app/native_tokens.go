package app

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/plugins/native"
	"github.com/heddle-rt/heddle/runtime/authenticate"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// tokens says who a token speaks for. A JWT of a tenant with keys is checked with these,
// as if there were no native authenticators; all other tokens are shown to
// authenticators: those of the tenant that a JWT names, or all if it is not known which
// tenant a token is of. So no token that keys have refused gets a second chance.
type tokens struct {
	*authenticate.Reloadable
	programs []*program
	revoked  func(*event.Identity) bool
	keyed    atomic.Pointer[map[string]bool] // whether a tenant has keys, by tenant

	verified, expired, refused, unavailable atomic.Uint64 // tokens that authenticators have seen
}

// authenticator is a native plugin.
type authenticator interface {
	Serves(tenant string) bool
	Authenticate(ctx context.Context, c native.Credentials) (*event.Identity, error)
}

// program is an authenticator, and how many may wait for it at once: handshakes, of which
// there are so many on a node, and messages, each of which holds a worker. Half of either
// is left to tenants whose tokens need no program.
type program struct {
	authenticator
	handshakes, messages chan struct{}
}

// newTokens begins with the tenants of cfg. revoked is asked about the identities that
// programs answer.
func newTokens(cfg *Config, programs []*native.Authenticator, deps authenticate.Deps) (*tokens, error) {
	t := &tokens{revoked: deps.Revoked}
	var err error
	if t.Reloadable, err = authenticate.NewReloadable(authConfigs(cfg.Tenants), deps); err != nil {
		return nil, err
	}
	for _, p := range programs {
		share := func(all int) chan struct{} { return make(chan struct{}, max(1, all/2/len(programs))) }
		t.programs = append(t.programs, &program{p, share(cfg.Socket.Handshake.Max), share(cfg.Workers)})
	}
	t.keyed.Store(keyed(cfg.Tenants))
	return t, nil
}

func keyed(tenants map[string]Tenant) *map[string]bool {
	out := make(map[string]bool, len(tenants))
	for name, t := range tenants {
		out[name] = hasKeys(&t.Auth)
	}
	return &out
}

func hasKeys(c *authenticate.Config) bool { return len(c.Keys) > 0 || c.JWKSURL != "" }

// authConfigs are the tenants' keys. A tenant whose tokens a program checks gets a key
// that nobody knows.
func authConfigs(tenants map[string]Tenant) map[string]authenticate.Config {
	out := make(map[string]authenticate.Config, len(tenants))
	for name, t := range tenants {
		out[name] = withKeys(t.Auth)
	}
	return out
}

func withKeys(c authenticate.Config) authenticate.Config {
	if !hasKeys(&c) {
		c.Keys = []authenticate.KeyConfig{{Algorithm: "HS256", Secret: rand.Text() + rand.Text()}}
	}
	return c
}

// serves reports whether there is such a tenant.
func (t *tokens) serves(tenant string) bool {
	_, there := (*t.keyed.Load())[tenant]
	return there
}

// reload makes ready the tenants of another configuration. Which authenticators there are
// does not change while the node runs.
func (t *tokens) reload(next *Config) (func(), error) {
	list := keyed(next.Tenants)
	for name, has := range *list {
		if !has && len(t.of(name)) == 0 {
			return nil, fmt.Errorf("tenants.%s.auth: the tenant has no keys, and no authenticator of `native` that runs is for it; another list of native plugins needs a restart", name)
		}
	}
	return func() { t.keyed.Store(list) }, nil
}

// Verify says who a token in a message speaks for. It blocks, as that of a Verifier and
// for the time that authenticators are given, which only workers may. They are told the
// address of event.Remote.
func (t *tokens) Verify(ctx context.Context, token string) (*event.Identity, error) {
	return t.verify(ctx, native.Credentials{Token: token, Remote: address(event.Remote(ctx))}, func(p *program) chan struct{} { return p.messages })
}

// handshake is Verify of a token that came with a handshake, on that's own goroutine.
func (t *tokens) handshake(ctx context.Context, token string, remote netip.AddrPort) (*event.Identity, error) {
	return t.verify(ctx, native.Credentials{Token: token, Remote: address(remote)}, func(p *program) chan struct{} { return p.handshakes })
}

// address is as authenticators are told of it, "" if it is not known.
func address(remote netip.AddrPort) string {
	if !remote.IsValid() {
		return ""
	}
	return remote.String()
}

func (t *tokens) verify(ctx context.Context, c native.Credentials, places func(*program) chan struct{}) (*event.Identity, error) {
	if len(t.programs) == 0 || c.Token == "" {
		return t.Reloadable.Verify(ctx, c.Token)
	}
	keyed := *t.keyed.Load()
	tenant, isJWT := claimed(c.Token)
	if tenant == "" && len(keyed) == 1 {
		for only := range keyed {
			tenant = only
		}
	}
	has, known := keyed[tenant]
	asked := t.of(tenant)
	if isJWT && tenant != "" && (has || !known) || len(asked) == 0 {
		return t.Reloadable.Verify(ctx, c.Token)
	}
	c.Tenant, c.Transport = tenant, "websocket"
	c.Token = strings.Clone(c.Token) // it may wait for longer than its message is there
	id, err := ask(ctx, asked, c, places)
	if err == nil && t.revoked != nil && t.revoked(id) {
		id, err = nil, fault.New(fault.Unauthenticated, "", "the token was revoked")
	}
	t.count(err)
	return id, err
}

// of are the authenticators for a tenant, all if it is not known.
func (t *tokens) of(tenant string) (some []*program) {
	for _, p := range t.programs {
		if tenant == "" || p.Serves(tenant) {
			some = append(some, p)
		}
	}
	return some
}

// ask shows a token to all of them at once, so that one that hangs delays the users of no
// other. The first that knows the token decides: an identity, token_expired or forbidden.
func ask(ctx context.Context, asked []*program, c native.Credentials, places func(*program) chan struct{}) (*event.Identity, error) {
	if len(asked) == 1 {
		return asked[0].ask(ctx, c, places(asked[0]))
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		id  *event.Identity
		err error
	}
	answers := make(chan answer, len(asked))
	for _, p := range asked {
		go func() { // ends with ctx
			id, err := p.ask(ctx, c, places(p))
			answers <- answer{id, err}
		}()
	}
	var worst error
	for range asked {
		a := <-answers
		if a.err == nil {
			return a.id, nil
		}
		if weight(a.err) > weight(worst) {
			worst = a.err
		}
		if weight(worst) == decides {
			break
		}
	}
	return nil, worst
}

// decides is the weight of a refusal by who knows the token.
const decides = 4

// weight orders refusals of several authenticators. Those that are for now, unavailable
// and rate_limited, say nothing about the token: with another of them it may be good.
func weight(err error) int {
	switch {
	case err == nil:
		return 0
	case fault.Is(err, fault.Unauthenticated):
		return 1
	case fault.Is(err, fault.Internal):
		return 2
	case fault.Is(err, fault.TokenExpired), fault.Is(err, fault.Forbidden):
		return decides
	}
	return 3
}

func (p *program) ask(ctx context.Context, c native.Credentials, places chan struct{}) (*event.Identity, error) {
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
		return p.Authenticate(ctx, c)
	default:
		return nil, &fault.Error{Op: "app.tokens", Kind: fault.Unavailable, Msg: "too many tokens wait to be checked", After: time.Second}
	}
}

func (t *tokens) count(err error) {
	switch {
	case err == nil:
		t.verified.Add(1)
	case fault.Is(err, fault.TokenExpired):
		t.expired.Add(1)
	case fault.Is(err, fault.Unavailable):
		t.unavailable.Add(1)
	default:
		t.refused.Add(1)
	}
}

// Stats counts tokens since the start, whoever has checked them.
func (t *tokens) Stats() authenticate.Stats {
	s := t.Reloadable.Stats()
	s.Verified += t.verified.Load()
	s.Expired += t.expired.Load()
	s.Refused += t.refused.Load()
	s.Unavailable += t.unavailable.Load()
	return s
}

// claimed is the tenant that a token says it is of, "" if none. A JWT has three parts, of
// which the first is a JSON object; what it says is believed for nothing but whom to ask.
func claimed(token string) (tenant string, isJWT bool) {
	if strings.Count(token, ".") != 2 {
		return "", false
	}
	part := strings.Split(token, ".")
	head, err := base64.RawURLEncoding.DecodeString(part[0])
	var header, claims map[string]json.RawMessage
	if err != nil || json.Unmarshal(head, &header) != nil || header["alg"] == nil {
		return "", false
	}
	body, err := base64.RawURLEncoding.DecodeString(part[1])
	if err == nil && json.Unmarshal(body, &claims) == nil && json.Unmarshal(claims["tenant"], &tenant) != nil {
		tenant = ""
	}
	return tenant, true
}
