package app

import (
	"context"
	"encoding/base64"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/plugins/native"
	"github.com/heddle-rt/heddle/runtime/authenticate"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// judge is an authenticator for tests.
type judge struct {
	tenants []string // empty: all
	says    func(ctx context.Context, c native.Credentials) (*event.Identity, error)
	saw     []native.Credentials
}

func (j *judge) Serves(tenant string) bool {
	return len(j.tenants) == 0 || slices.Contains(j.tenants, tenant)
}

func (j *judge) Authenticate(ctx context.Context, c native.Credentials) (*event.Identity, error) {
	j.saw = append(j.saw, c)
	if j.says == nil {
		return &event.Identity{Tenant: c.Tenant, User: "of the program"}, nil
	}
	return j.says(ctx, c)
}

func refuses(k fault.Kind) *judge {
	return &judge{says: func(context.Context, native.Credentials) (*event.Identity, error) { return nil, fault.New(k, "", "no") }}
}

// stalls answers when nobody waits any more.
func stalls() *judge {
	return &judge{says: func(ctx context.Context, _ native.Credentials) (*event.Identity, error) {
		<-ctx.Done()
		return nil, fault.New(fault.Unavailable, "", "away")
	}}
}

// judgedBy makes tokens of a configuration and authenticators.
func judgedBy(t *testing.T, text string, judges ...*judge) *tokens {
	t.Helper()
	const plugin = "native: [{name: a, kind: authenticator, path: /x/y, sha256: '0000000000000000000000000000000000000000000000000000000000000000'}]\n"
	r, err := load(text + plugin)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := newTokens(r.Value, nil, authenticate.Deps{Revoked: func(id *event.Identity) bool { return id.TokenID == "revoked" }})
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range judges {
		tok.programs = append(tok.programs, &program{j, make(chan struct{}, 1), make(chan struct{}, 1)})
	}
	return tok
}

// TestWhoseMatterATokenIs: which tokens keys decide about, and which authenticators.
func TestWhoseMatterATokenIs(t *testing.T) {
	const (
		keys    = "{auth: {keys: [{algorithm: HS256, secret: 0123456789abcdef0123456789abcdef}]}}"
		oneBoth = "tenants: {acme: " + keys + "}\n"
		oneBare = "tenants: {acme: {}}\n"
		both    = "tenants: {acme: " + keys + ", bare: {}}\n"
	)
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	jwt := func(claims string) string { return part(`{"alg":"HS256"}`) + "." + part(claims) + ".c2ln" }
	signed := func(tenant string) string {
		token, err := authenticate.Mint([]byte("0123456789abcdef0123456789abcdef"), "", authenticate.Claims{Tenant: tenant, User: "ann", Expires: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	for name, c := range map[string]struct {
		text, token string
		serves      []string
		shown       bool   // to the authenticator
		as          string // of this tenant
	}{
		"opaque, one tenant":           {oneBare, "t", nil, true, "acme"},
		"opaque, one with both":        {oneBoth, "t", nil, true, "acme"},
		"opaque, of somebody":          {both, "t", nil, true, ""},
		"opaque, for another":          {oneBoth, "t", []string{"other"}, false, ""},
		"three parts and no JWT":       {both, "a.b.c", nil, true, ""},
		"three parts, JSON, no alg":    {both, part("{}") + "." + part("{}") + ".x", nil, true, ""},
		"five parts":                   {both, jwt("{}") + ".b.c", nil, true, ""},
		"JWT of a tenant with keys":    {both, jwt(`{"tenant":"acme"}`), nil, false, ""},
		"JWT of one without":           {both, jwt(`{"tenant":"bare"}`), nil, true, "bare"},
		"and the plugin is not its":    {both, jwt(`{"tenant":"bare"}`), []string{"acme"}, false, ""},
		"JWT of nobody":                {both, jwt(`{"sub":"ann"}`), nil, true, ""},
		"JWT of an unknown tenant":     {both, jwt(`{"tenant":"x"}`), nil, false, ""},
		"JWT of nobody, one with both": {oneBoth, jwt(`{"sub":"ann"}`), nil, false, ""},
		"JWT of nobody, one without":   {oneBare, jwt(`{"sub":"ann"}`), nil, true, "acme"},
		"Tenant is not tenant":         {both, jwt(`{"Tenant":"bare","tenant":"acme"}`), nil, false, ""},
		"tenant is no text":            {both, jwt(`{"tenant":5}`), nil, true, ""},
		"claims that are no JSON":      {both, part(`{"alg":"x"}`) + ".%%.x", nil, true, ""},
		"nothing":                      {oneBare, "", nil, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			j := &judge{tenants: c.serves}
			id, err := judgedBy(t, c.text, j).Verify(t.Context(), c.token)
			switch {
			case c.shown && (err != nil || id.User != "of the program" || len(j.saw) != 1 || j.saw[0].Tenant != c.as || j.saw[0].Token != c.token):
				t.Errorf("%+v, %v; shown %+v", id, err, j.saw)
			case !c.shown && (len(j.saw) > 0 || !fault.Is(err, fault.Unauthenticated)):
				t.Errorf("%+v, %v; shown %+v", id, err, j.saw)
			}
		})
	}
	j := refuses(fault.Unauthenticated)
	if id, err := judgedBy(t, both, j).Verify(t.Context(), signed("acme")); err != nil || id.User != "ann" || len(j.saw) > 0 {
		t.Errorf("a good JWT: %+v, %v", id, err)
	}
}

// TestSeveralAuthenticators: who knows the token decides, and the others delay nobody.
func TestSeveralAuthenticators(t *testing.T) {
	const (
		text  = "tenants: {acme: {}, bare: {}}\n"
		letIn = fault.Kind(255)
	)
	knows := func() *judge {
		return &judge{says: func(context.Context, native.Credentials) (*event.Identity, error) {
			return &event.Identity{Tenant: "bare", User: "ann"}, nil
		}}
	}
	for name, c := range map[string]struct {
		judges []*judge
		want   fault.Kind // of the refusal; letIn if there is none
	}{
		"the second knows":             {[]*judge{refuses(fault.Unauthenticated), knows()}, letIn},
		"one hangs, the other knows":   {[]*judge{stalls(), knows()}, letIn},
		"one hangs, the other is sure": {[]*judge{stalls(), refuses(fault.TokenExpired)}, fault.TokenExpired},
		"one is away":                  {[]*judge{refuses(fault.Unavailable), refuses(fault.Unauthenticated)}, fault.Unavailable},
		"one hangs":                    {[]*judge{stalls(), refuses(fault.Unauthenticated)}, fault.Unavailable},
		"nobody knows":                 {[]*judge{refuses(fault.Unauthenticated), refuses(fault.Unauthenticated)}, fault.Unauthenticated},
		"one is wrong":                 {[]*judge{refuses(fault.Internal), refuses(fault.Unauthenticated)}, fault.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				tok := judgedBy(t, text, c.judges...)
				began := time.Now()
				id, err := tok.Verify(ctx, "opaque")
				if c.want == letIn && (err != nil || id.User != "ann") || c.want != letIn && !fault.Is(err, c.want) {
					t.Errorf("%+v, %v", id, err)
				}
				if c.want != fault.Unavailable && time.Since(began) > 0 {
					t.Errorf("it took %v", time.Since(began))
				}
				synctest.Wait()
			})
		})
	}
}

// TestRefusalsForNowDecideNothing: an authenticator that has had enough does not keep the
// users of another out.
func TestRefusalsForNowDecideNothing(t *testing.T) {
	for _, now := range []fault.Kind{fault.RateLimited, fault.Unavailable} {
		for name, c := range map[string]struct {
			err  error // of the other, a second later
			want fault.Kind
		}{
			"the other knows":         {nil, 0},
			"the other is sure":       {fault.New(fault.Forbidden, "", "no"), fault.Forbidden},
			"the other does not know": {fault.New(fault.Unauthenticated, "", "no"), now},
		} {
			t.Run(now.Code()+", "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					other := &judge{says: func(context.Context, native.Credentials) (*event.Identity, error) {
						time.Sleep(time.Second)
						return &event.Identity{Tenant: "bare", User: "ann"}, c.err
					}}
					id, err := judgedBy(t, "tenants: {acme: {}, bare: {}}\n", refuses(now), other).Verify(t.Context(), "opaque")
					if c.err == nil && (err != nil || id.User != "ann") || c.err != nil && !fault.Is(err, c.want) {
						t.Errorf("%+v, %v", id, err)
					}
				})
			})
		}
	}
}

// TestOneAuthenticatorHoldsNotAll: beyond its places tokens are refused for now, those of
// messages beside those of handshakes.
func TestOneAuthenticatorHoldsNotAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tok := judgedBy(t, "tenants: {acme: {}}\n", stalls())
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error, 1)
		go func() { _, err := tok.Verify(ctx, "first"); over <- err }() // ends with cancel
		synctest.Wait()
		_, err := tok.Verify(t.Context(), "second")
		var f *fault.Error
		if !errors.As(err, &f) || f.Kind != fault.Unavailable || f.After != time.Second || !strings.Contains(f.Msg, "too many tokens") {
			t.Error(err)
		}
		short, end := context.WithTimeout(t.Context(), time.Second)
		defer end()
		if _, err := tok.handshake(short, "third", netip.AddrPort{}); !strings.Contains(err.Error(), "away") {
			t.Error(err)
		}
		cancel()
		<-over
		again, end2 := context.WithTimeout(t.Context(), time.Second)
		defer end2()
		if _, err := tok.Verify(again, "fourth"); !strings.Contains(err.Error(), "away") {
			t.Error(err)
		}
	})
}

func TestRevokedTokensOfAnAuthenticator(t *testing.T) {
	tok := judgedBy(t, "tenants: {acme: {}}\n", &judge{says: func(_ context.Context, c native.Credentials) (*event.Identity, error) {
		return &event.Identity{Tenant: "acme", User: "ann", TokenID: c.Token}, nil
	}})
	if _, err := tok.Verify(t.Context(), "good"); err != nil {
		t.Error(err)
	}
	if id, err := tok.Verify(t.Context(), "revoked"); id != nil || !fault.Is(err, fault.Unauthenticated) || !strings.Contains(err.Error(), "the token was revoked") {
		t.Errorf("%+v, %v", id, err)
	}
	if s := tok.Stats(); s.Verified != 1 || s.Refused != 1 {
		t.Errorf("%+v", s)
	}
}
