package authenticate

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// issuer publishes a key set, over a real socket.
type issuer struct {
	server  *httptest.Server
	body    atomic.Pointer[string]
	status  atomic.Int64
	fetches atomic.Int64
	hold    chan struct{} // if not nil, a fetch ends when this is closed
}

func newIssuer(t *testing.T, keys ...string) *issuer {
	i := &issuer{}
	i.publish(keys...)
	i.status.Store(200)
	i.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.fetches.Add(1)
		if i.hold != nil {
			select {
			case <-i.hold:
			case <-r.Context().Done():
			}
		}
		w.WriteHeader(int(i.status.Load()))
		io.WriteString(w, *i.body.Load())
	}))
	t.Cleanup(i.server.Close)
	return i
}

func setOf(keys ...string) string { return `{"keys":[` + strings.Join(keys, ",") + `]}` }

func (i *issuer) publish(keys ...string) {
	set := setOf(keys...)
	i.body.Store(&set)
}

// remoteHouse is a running verifier of one tenant with the issuer's keys, and the
// hand of its clock.
func remoteHouse(t *testing.T, i *issuer, change ...func(*Config)) (v *Verifier, forward func(time.Duration)) {
	cfg := Config{JWKSURL: i.server.URL, JWKSRefresh: time.Hour}
	for _, c := range change {
		c(&cfg)
	}
	var now atomic.Int64
	now.Store(epoch.UnixNano())
	v, err := New(map[string]Config{"acme": cfg}, Deps{
		Clock: func() time.Time { return time.Unix(0, now.Load()) }, HTTPClient: i.server.Client(),
	})
	if err != nil {
		t.Fatal(err)
	}
	start(t, v)
	return v, func(d time.Duration) { now.Add(int64(d)) }
}

func start(t *testing.T, v *Verifier) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- v.Run(ctx) }() // stopped by the clean-up below
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func headOf(alg, kid string) string { return fmt.Sprintf(`{"alg":%q,"kid":%q}`, alg, kid) }

func expect(t *testing.T, v *Verifier, token string, want fault.Kind) *fault.Error {
	t.Helper()
	_, err := v.Verify(t.Context(), token)
	f := fault.Of(err)
	if err == nil || f.Kind != want {
		t.Fatalf("got %v, want %v", err, want)
	}
	return f
}

func accept(t *testing.T, v *Verifier, token string) {
	t.Helper()
	if _, err := v.Verify(t.Context(), token); err != nil {
		t.Fatal(err)
	}
}

const late = 10 * time.Minute // an end for tokens whose test moves the clock

func TestKeySetRotates(t *testing.T) {
	i := newIssuer(t, jwkOf("1", rsaOf().Public()))
	v, forward := remoteHouse(t, i)
	old := sign(rsaOf(), headOf("RS256", "1"), claimsOf("exp", at(late)))
	accept(t, v, old)
	accept(t, v, sign(rsaOf(), `{"alg":"RS256"}`, claimsOf()))

	i.publish(jwkOf("2", ecOf().Public()), jwkOf("3", edOf().Public()))
	forward(askInterval)
	accept(t, v, sign(ecOf(), headOf("ES256", "2"), claimsOf("exp", at(late))))
	accept(t, v, sign(edOf(), headOf("EdDSA", "3"), claimsOf("exp", at(late))))
	expect(t, v, old, fault.Unauthenticated)
	if n := i.fetches.Load(); n != 2 {
		t.Errorf("%d fetches", n)
	}
}

func TestKeysStayGoodWhileTheIssuerIsAway(t *testing.T) {
	i := newIssuer(t, jwkOf("1", rsaOf().Public()))
	v, forward := remoteHouse(t, i)
	known := sign(rsaOf(), headOf("RS256", "1"), claimsOf("exp", at(late)))
	unknown := sign(edOf(), headOf("EdDSA", "2"), claimsOf("exp", at(late)))
	accept(t, v, known)

	i.status.Store(503)
	forward(askInterval)
	expect(t, v, unknown, fault.Unavailable)
	accept(t, v, known)
	if f := expect(t, v, unknown, fault.Unavailable); f.After != askInterval {
		t.Errorf("told to come back after %v", f.After)
	}

	i.status.Store(200)
	i.publish(jwkOf("1", rsaOf().Public()), jwkOf("2", edOf().Public()))
	forward(askInterval)
	accept(t, v, unknown)
	if s := v.Stats(); s.FetchFailures != 1 || s.Fetches != 3 || s.Unavailable != 2 {
		t.Errorf("%+v", s)
	}
}

func TestUnknownKeysAskForOneFetchAtATime(t *testing.T) {
	i := newIssuer(t, jwkOf("1", rsaOf().Public()))
	v, forward := remoteHouse(t, i)
	before := sign(edOf(), headOf("EdDSA", "2"), claimsOf("iat", at(-time.Second)))
	accept(t, v, sign(rsaOf(), headOf("RS256", "1"), claimsOf()))
	expect(t, v, before, fault.Unauthenticated)
	expect(t, v, sign(edOf(), headOf("EdDSA", "2"), claimsOf("iat", "")), fault.Unauthenticated)
	// Its key may be newer than the last fetch.
	forward(time.Second)
	if f := expect(t, v, sign(edOf(), headOf("EdDSA", "2"), claimsOf("iat", at(time.Second))), fault.Unavailable); f.After != askInterval-time.Second {
		t.Errorf("told to come back after %v", f.After)
	}
	if n := i.fetches.Load(); n != 1 {
		t.Fatalf("%d fetches", n)
	}
	forward(askInterval)
	// What would be refused anyway asks for nothing.
	expect(t, v, sign(edOf(), headOf("EdDSA", "2"), claimsOf("sub", "")), fault.Unauthenticated)
	expect(t, v, sign(secretA, headOf("HS256", "2"), claimsOf()), fault.Unauthenticated)
	expect(t, v, sign(edOf(), headOf("EdDSA", "2"), claimsOf("exp", at(0))), fault.Unauthenticated)
	if n := i.fetches.Load(); n != 1 {
		t.Fatalf("%d fetches", n)
	}
	expect(t, v, before, fault.Unauthenticated)
	if n := i.fetches.Load(); n != 2 {
		t.Errorf("%d fetches", n)
	}
}

func TestAStormWaitsForOneFetchAndOnlyAFewWait(t *testing.T) {
	i := newIssuer(t, jwkOf("1", edOf().Public()))
	i.hold = make(chan struct{})
	v, _ := remoteHouse(t, i)
	token := sign(edOf(), headOf("EdDSA", "1"), claimsOf())
	var waiting sync.WaitGroup
	var good, away atomic.Int64
	turned := make(chan struct{}, 3*maxWaiting)
	for range 3 * maxWaiting {
		waiting.Go(func() {
			_, err := v.Verify(t.Context(), token)
			if err == nil {
				good.Add(1)
			} else if fault.Is(err, fault.Unavailable) {
				away.Add(1)
				turned <- struct{}{}
			}
		})
	}
	for range 2 * maxWaiting {
		<-turned
	}
	close(i.hold)
	waiting.Wait()
	if good.Load() != maxWaiting || away.Load() != 2*maxWaiting || i.fetches.Load() != 1 {
		t.Errorf("%d good, %d turned away, %d fetches", good.Load(), away.Load(), i.fetches.Load())
	}
}

func TestKeySetThatCannotBeRead(t *testing.T) {
	for _, c := range []struct {
		name, body string
	}{
		{"no JSON", "<html>"},
		{"no keys", `{}`},
		{"keys twice", `{"keys":[],"keys":[]}`},
		{"too large", setOf(`{"x":"` + strings.Repeat("x", maxKeySet) + `"}`)},
	} {
		t.Run(c.name, func(t *testing.T) {
			i := newIssuer(t)
			i.body.Store(&c.body)
			v, _ := remoteHouse(t, i)
			expect(t, v, sign(edOf(), headOf("EdDSA", "1"), claimsOf()), fault.Unavailable)
		})
	}
}

func TestVerifyDoesNotWaitBeyondItsContext(t *testing.T) {
	i := newIssuer(t)
	i.hold = make(chan struct{})
	v, _ := remoteHouse(t, i)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := v.Verify(ctx, sign(edOf(), headOf("EdDSA", "1"), claimsOf())); !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
}

func TestKeySetGivesOnlyWhatIsAllowed(t *testing.T) {
	ed := edOf().Public().(ed25519.PublicKey)
	good := jwkOf("good", rsaOf().Public())
	small := fmt.Sprintf(`{"kty":"RSA","kid":"small","n":%q,"e":"AQAB"}`, b64(rsaOf().N.Bytes()[:128]))
	set, skipped, err := parseJWKS([]byte(setOf(
		good,
		`{"kty":"oct","kid":"oct","alg":"HS256","k":"`+b64([]byte(secretA))+`"}`,
		strings.Replace(jwkOf("hs", rsaOf().Public()), "RS256", "HS256", 1),
		strings.Replace(jwkOf("enc", rsaOf().Public()), `"sig"`, `"enc"`, 1),
		strings.Replace(jwkOf("ops", ed), "verify", "deriveKey", 1),
		small,
		jwkOf("short", ed[:31]),
		`{"kty":"EC","crv":"P-256","kid":"off","x":"`+b64(make([]byte, 32))+`","y":"`+b64(make([]byte, 32))+`"}`,
		`{"kty":"EC","crv":"P-384","kid":"p384"}`,
		`{"kty":"RSA","kid":7}`, `null`, `"x"`,
		jwkOf("not allowed", ecOf().Public()),
		jwkOf("good", rsaTwo().Public()), // the first of a name stays
	)), []string{"RS256", "EdDSA"})
	if err != nil || len(set.named) != 1 || skipped != 13 {
		t.Fatalf("%v, %d skipped, %v", set.named, skipped, err)
	}
	if key := set.named[keyName{"good", "RS256"}]; !key.verify([]byte("x"), signatureOf(rsaOf(), []byte("x"))) {
		t.Error("the second key of a name took its place")
	}
}

func TestStaticAndPublishedKeysOfOneAlgorithm(t *testing.T) {
	i := newIssuer(t, jwkOf("2", rsaTwo().Public()))
	v, _ := remoteHouse(t, i, func(c *Config) {
		c.Keys = []KeyConfig{{ID: "1", Algorithm: "RS256", PublicKey: pemOf(rsaOf().Public())}}
	})
	accept(t, v, sign(rsaTwo(), headOf("RS256", "2"), claimsOf()))
	accept(t, v, sign(rsaOf(), headOf("RS256", "1"), claimsOf()))
	expect(t, v, sign(rsaOf(), `{"alg":"RS256"}`, claimsOf("iat", at(-1*time.Second))), fault.Unauthenticated)
}

// tripper answers requests without a socket, so that time can be synthetic.
type tripper func(*http.Request) *http.Response

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }

func answer(r *http.Request, status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Status: fmt.Sprint(status), Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}
}

func TestRefreshInterval(t *testing.T) {
	first, second := jwkOf("1", rsaOf().Public()), jwkOf("2", edOf().Public())
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var mu sync.Mutex
		var tries []time.Duration
		status, key := 503, first
		issuerSays := func(s int, k string) {
			mu.Lock()
			defer mu.Unlock()
			status, key = s, k
		}
		after := func(d time.Duration) []time.Duration {
			time.Sleep(d)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return tries
		}
		v, err := New(map[string]Config{"acme": {JWKSURL: "https://id.example/jwks"}}, Deps{HTTPClient: &http.Client{
			Transport: tripper(func(r *http.Request) *http.Response {
				mu.Lock()
				defer mu.Unlock()
				tries = append(tries, time.Since(begin))
				return answer(r, status, setOf(key))
			}),
		}})
		if err != nil {
			t.Fatal(err)
		}
		start(t, v)
		// At 0, 5, 15 and 35 s, each pause up to a tenth shorter.
		if at := after(36 * time.Second); len(at) != 4 || at[1] < 4*time.Second || at[2] < 13*time.Second || at[3] < 31*time.Second {
			t.Fatalf("tries at %v", at)
		}
		issuerSays(200, first)
		n := len(after(40 * time.Second))
		exp := fmt.Sprint(time.Now().Add(time.Hour).Unix())
		accept(t, v, sign(rsaOf(), headOf("RS256", "1"), claimsOf("exp", exp, "iat", "")))
		issuerSays(200, second)
		if at := after(defaultRefresh); len(at) != n+1 {
			t.Errorf("tries at %v", at)
		}
		if s := v.tenants["acme"].remote.keys.Load(); s.named[keyName{"2", "EdDSA"}] == nil || len(s.named) != 1 {
			t.Errorf("the set is %v", s.named)
		}
	})
}

func TestRedirectToPlainHTTPIsRefused(t *testing.T) {
	v, err := New(map[string]Config{"acme": {JWKSURL: "https://id.example/jwks"}}, Deps{HTTPClient: &http.Client{
		Transport: tripper(func(r *http.Request) *http.Response {
			if r.URL.Scheme == "http" {
				return answer(r, 200, setOf(jwkOf("1", edOf().Public())))
			}
			moved := answer(r, 302, "")
			moved.Header.Set("Location", "http://id.example/jwks")
			return moved
		}),
	}, Clock: func() time.Time { return epoch }})
	if err != nil {
		t.Fatal(err)
	}
	start(t, v)
	expect(t, v, sign(edOf(), headOf("EdDSA", "1"), claimsOf()), fault.Unavailable)
	if _, _, err := v.tenants["acme"].remote.fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "insecure_jwks_http") {
		t.Error(err)
	}
}
