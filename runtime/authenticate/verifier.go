package authenticate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// Deps is what a Verifier works with; what is nil gets the usual default.
type Deps struct {
	Clock      func() time.Time
	HTTPClient *http.Client // for jwks_url; each request has 5 s
	Logger     *slog.Logger
	// Revoked reports whether tokens that are good otherwise are not accepted any
	// more; Revocations know. nil: none is revoked.
	Revoked func(id *event.Identity) bool
}

// Verifier knows every tenant's keys. Its methods may be called at the same time.
type Verifier struct {
	tenants map[string]*tenant
	only    *tenant // of tokens that name none; nil if there are more
	clock   func() time.Time
	revoked func(id *event.Identity) bool
	stats   counters
}

type tenant struct {
	name   string
	config Config
	static *keyset
	remote *remote // nil without jwks_url
}

// New checks the configuration and reads key files; an error names the tenant and
// the key. Nothing is fetched before Run.
func New(tenants map[string]Config, deps Deps) (*Verifier, error) {
	if len(tenants) == 0 {
		return nil, errors.New("authenticate: there is no tenant")
	}
	if deps.Clock == nil {
		deps.Clock = time.Now
	}
	if deps.HTTPClient == nil {
		deps.HTTPClient = &http.Client{}
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	v := &Verifier{tenants: make(map[string]*tenant, len(tenants)), clock: deps.Clock, revoked: deps.Revoked}
	for _, name := range slices.Sorted(maps.Keys(tenants)) {
		t, err := newTenant(name, tenants[name], &deps, &v.stats)
		if err != nil {
			return nil, fmt.Errorf("authenticate: tenant %q: auth: %w", name, err)
		}
		v.tenants[name] = t
		if len(tenants) == 1 {
			v.only = t
		}
	}
	return v, nil
}

func newTenant(name string, cfg Config, deps *Deps, stats *counters) (*tenant, error) {
	if name == "" {
		return nil, errors.New("the tenant has no name")
	}
	t := &tenant{name: name, config: cfg}
	if err := t.config.check(); err != nil {
		return nil, err
	}
	var err error
	if t.static, err = staticKeys(cfg.Keys); err != nil {
		return nil, err
	}
	if cfg.JWKSURL != "" {
		t.remote = newRemote(name, &t.config, deps, stats)
	}
	return t, nil
}

// Run keeps the key sets of all tenants fresh until ctx ends, and then returns
// nil. Keys that were read stay good while their URL is away.
func (v *Verifier) Run(ctx context.Context) error {
	var fetchers sync.WaitGroup
	for _, t := range v.tenants {
		if t.remote != nil {
			fetchers.Go(func() { t.remote.run(ctx) }) // ends with ctx
		}
	}
	<-ctx.Done()
	fetchers.Wait()
	return nil
}

// Verify says who a token speaks for. It blocks only while a key set is fetched
// for a key id that is not known, at most 5 s. Errors are *fault.Error:
// Unauthenticated; TokenExpired, which a fresh token mends; Unavailable, when the
// tenant's key set cannot be read or may be behind, which time mends.
//
// The Identity's Expires is the moment from which Verify would answer
// TokenExpired: leeway and max_age are counted in.
func (v *Verifier) Verify(ctx context.Context, token string) (*event.Identity, error) {
	id, err := v.verify(ctx, token)
	switch {
	case err == nil:
		v.stats.verified.Add(1)
	case fault.Is(err, fault.TokenExpired):
		v.stats.expired.Add(1)
	case fault.Is(err, fault.Unavailable):
		v.stats.unavailable.Add(1)
	default:
		v.stats.refused.Add(1)
	}
	return id, err
}

func (v *Verifier) verify(ctx context.Context, token string) (*event.Identity, error) {
	if token == "" {
		return nil, refuse("there is no token", nil)
	}
	if len(token) > maxToken {
		return nil, refuse(fmt.Sprintf("the token has %d bytes: it may have %d", len(token), maxToken), nil)
	}
	p := partsPool.Get().(*parts)
	defer p.release()
	if err := p.parse(token); err != nil {
		return nil, err
	}
	now := v.clock()
	// The same for every tenant, known or not; it spares a storm of old tokens the
	// signatures, and lets a client whose key is gone by now fetch a fresh token.
	if e := p.claims.expires; e != 0 && e < float64(now.Add(-maxLeeway).Unix()) && e > -maxDate {
		return nil, expired("the token expired at "+date(e)+"; here it is "+utc(now), nil)
	}
	t := v.only
	if named := p.claims.tenant; len(named) > 0 {
		if t = v.tenants[string(named)]; t == nil {
			return nil, p.unsigned(string(named), errNoTenant)
		}
	}
	if t == nil {
		return nil, refuse("the claim tenant is missing", nil)
	}
	key, err := t.key(ctx, p, now)
	if err != nil {
		return nil, err
	}
	if !key.verify(p.signed, p.signature) {
		return nil, p.unsigned(t.name, errSignature)
	}
	expires, err := p.claims.check(&t.config, now)
	if err != nil {
		return nil, err
	}
	id := p.claims.identity(t.name, expires)
	if v.revoked != nil && v.revoked(id) {
		return nil, refuse("the token was revoked", nil)
	}
	return id, nil
}

// unsigned is the one answer for all that is wrong before a signature has been
// verified; it repeats the token's own words.
func (p *parts) unsigned(tenant string, cause error) error {
	if len(p.header.keyID) == 0 {
		return refuse(fmt.Sprintf("the token is not signed by a key of tenant %s (%s, no kid: that takes exactly one key of this algorithm)",
			quote(tenant), p.header.algorithm), cause)
	}
	return refuse(fmt.Sprintf("the token is not signed by a key of tenant %s (%s, kid %s)",
		quote(tenant), p.header.algorithm, quote(p.header.keyID)), cause)
}

var (
	errNoTenant   = errors.New("there is no such tenant")
	errSignature  = errors.New("the signature does not match the key")
	errUnknownKey = errors.New("the tenant has no such key, or not for this algorithm")
)

// key finds the key that the token names. If it is not there, the key set is read
// again, but only for a token that would be good otherwise: so neither junk nor a
// guess at another tenant's name has any effect that can be seen.
func (t *tenant) key(ctx context.Context, p *parts, now time.Time) (signatureVerifier, error) {
	if key := t.lookup(&p.header); key != nil {
		return key, nil
	}
	if t.remote == nil || !slices.Contains(t.remote.allowed, string(p.header.algorithm)) {
		return nil, p.unsigned(t.name, errUnknownKey)
	}
	if _, err := p.claims.check(&t.config, now); err != nil {
		return nil, p.unsigned(t.name, errUnknownKey)
	}
	issued := time.UnixMilli(millis(p.claims.issued))
	certain, after := t.remote.missing(ctx, issued)
	if key := t.lookup(&p.header); key != nil {
		return key, nil
	}
	if certain {
		return nil, p.unsigned(t.name, errUnknownKey)
	}
	return nil, &fault.Error{
		Op: op, Kind: fault.Unavailable, After: after, Err: errUnknownKey,
		Msg: fmt.Sprintf("the key of the token (%s, kid %s) is not known yet: the key set of tenant %s cannot be read now, or is read again soon",
			p.header.algorithm, quote(p.header.keyID), quote(t.name)),
	}
}

func (t *tenant) lookup(h *header) signatureVerifier {
	// Conversions inside of an index are not copied.
	if key := t.static.named[keyName{string(h.keyID), string(h.algorithm)}]; key != nil {
		return key
	}
	var published *keyset
	if t.remote != nil {
		published = t.remote.keys.Load()
	}
	if published == nil {
		published = noKeys
	}
	if len(h.keyID) > 0 {
		return published.named[keyName{string(h.keyID), string(h.algorithm)}]
	}
	a, own := t.static.sole[string(h.algorithm)]
	b, theirs := published.sole[string(h.algorithm)]
	switch {
	case own && theirs:
		return nil
	case own:
		return a
	}
	return b
}

var noKeys = newKeyset()

// Life is how long after its issue no token of a tenant is good any more; 0 if
// tokens say that themselves.
func (v *Verifier) Life(tenant string) time.Duration {
	t := v.tenants[tenant]
	if t == nil || t.config.MaxAge == 0 {
		return 0
	}
	return t.config.MaxAge + 2*t.config.Leeway // the issuer's clock may be ahead as well
}

// Stats counts since the start.
type Stats struct {
	Verified    uint64 // tokens by outcome: these four are all calls of Verify
	Expired     uint64
	Refused     uint64
	Unavailable uint64

	Fetches       uint64 // of key sets
	FetchFailures uint64
}

type counters struct {
	verified, expired, refused, unavailable, fetches, fetchFailures atomic.Uint64
}

// Stats reads the counters.
func (v *Verifier) Stats() Stats {
	c := &v.stats
	return Stats{
		Verified: c.verified.Load(), Expired: c.expired.Load(), Refused: c.refused.Load(), Unavailable: c.unavailable.Load(),
		Fetches: c.fetches.Load(), FetchFailures: c.fetchFailures.Load(),
	}
}
