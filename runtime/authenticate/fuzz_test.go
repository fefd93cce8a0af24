package authenticate

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// FuzzVerify: whatever comes in, Verify answers with a fault of its own kinds, and
// accepts only what the key has signed.
func FuzzVerify(f *testing.F) {
	v := newVerifier(f, house())
	good := sign(secretA, headH, claimsOf("rooms", `["a"]`, "meta", `{"a":[1]}`))
	for _, seed := range []string{good, good[:40], "..", "a.b.c", sign(nil, `{"alg":"none"}`, `{}`), sign(edOf(), `{"alg":"EdDSA","kid":"d"}`, claimsOf())} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		id, err := v.Verify(t.Context(), token)
		if err == nil {
			if id.User == "" || id.Tenant == "" || len(token) > maxToken || strings.Count(token, ".") != 2 {
				t.Fatalf("accepted %q as %+v", token, id)
			}
			return
		}
		if k := fault.Of(err).Kind; k != fault.Unauthenticated && k != fault.TokenExpired {
			t.Fatalf("%v", err)
		}
	})
}

// FuzzClaims signs the claims, so that the fuzzer gets behind the signature.
func FuzzClaims(f *testing.F) {
	v := newVerifier(f, house())
	f.Add(claimsOf("rooms", `["a"]`, "meta", `{"a":[1]}`, "device", `"d"`, "nbf", "1.5e9"))
	f.Add(claimsOf("exp", "-1e999"))
	f.Fuzz(func(t *testing.T, claims string) {
		id, err := v.Verify(t.Context(), sign(secretA, headH, claims))
		if err == nil && (!event.IsUser(id.User) || id.Expires <= epoch.UnixMilli() || len(id.Metadata) > maxMeta) {
			t.Fatalf("accepted %q as %+v", claims, id)
		}
		if err != nil {
			return
		}
		var want map[string]any
		if err := json.Unmarshal([]byte(claims), &want); err != nil || want["tenant"] != id.Tenant || want["sub"] != id.User {
			t.Fatalf("%q became %+v, the standard library reads %v, %v", claims, id, want, err)
		}
	})
}

// FuzzKeySet: a key set never yields a secret, whatever it says.
func FuzzKeySet(f *testing.F) {
	f.Add([]byte(`{"keys":[` + jwkOf("r", rsaOf().Public()) + `,` + jwkOf("e", ecOf().Public()) + `,` + jwkOf("d", edOf().Public()) + `]}`))
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AA","alg":"HS256"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		set, _, err := parseJWKS(body, asymmetric)
		if err != nil {
			return
		}
		for name, key := range set.named {
			if _, secret := key.(*hmacKey); secret || name.algorithm == algHS256 {
				t.Fatalf("%q gave a secret", body)
			}
			key.verify([]byte("x"), body)
		}
	})
}
