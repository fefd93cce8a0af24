package authenticate

import (
	"encoding/pem"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// claimsOf is a good payload for acme with some members replaced or, if empty,
// left out.
func claimsOf(replace ...string) string {
	names := []string{"tenant", "sub", "iss", "aud", "exp", "iat"}
	values := map[string]string{
		"tenant": `"acme"`, "sub": `"ann"`, "iss": `"https://id.acme.example"`, "aud": `"heddle"`,
		"exp": fmt.Sprint(epoch.Unix() + 60), "iat": fmt.Sprint(epoch.Unix()),
	}
	for i := 0; i < len(replace); i += 2 {
		if _, known := values[replace[i]]; !known {
			names = append(names, replace[i])
		}
		values[replace[i]] = replace[i+1]
	}
	var members []string
	for _, n := range names {
		if values[n] != "" {
			members = append(members, fmt.Sprintf("%q:%s", n, values[n]))
		}
	}
	return "{" + strings.Join(members, ",") + "}"
}

func at(d time.Duration) string { return fmt.Sprint(epoch.Add(d).Unix()) }

const headH = `{"alg":"HS256","kid":"h","typ":"JWT"}`

func TestVerifyRefuses(t *testing.T) {
	v := newVerifier(t, house())
	rsaPEM := pemOf(rsaOf().Public())
	rsaDER, _ := pem.Decode([]byte(rsaPEM))
	good := sign(secretA, headH, claimsOf())
	head, rest, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	notSigned := `the token is not signed by a key of tenant "acme"`
	for _, c := range []struct {
		name, token string
		kind        fault.Kind
		message     string
	}{
		{"no token", "", fault.Unauthenticated, "there is no token"},
		{"huge", strings.Repeat("a", maxToken+1), fault.Unauthenticated, "8193 bytes"},
		{"huge but well-formed", sign(secretA, headH, claimsOf("meta", `{"a":"`+strings.Repeat("x", 8192)+`"}`)), fault.Unauthenticated, "it may have 8192"},
		{"two parts", head + "." + payload, fault.Unauthenticated, "not a JWT"},
		{"four parts", good + ".x", fault.Unauthenticated, "not a JWT"},
		{"dots alone", "..", fault.Unauthenticated, "the header"},
		{"garbage in the header", "!!." + rest, fault.Unauthenticated, "not base64url"},
		{"garbage in the claims", head + ".!!." + signature, fault.Unauthenticated, "not base64url"},
		{"garbage in the signature", head + "." + payload + ".!!", fault.Unauthenticated, "not base64url"},
		{"padding", good + "=", fault.Unauthenticated, "not base64url"},
		{"a line break", good + "\n", fault.Unauthenticated, "line break"},
		{"stray bits behind the signature", flipLast(good), fault.Unauthenticated, "not base64url"},
		{"the header no JSON", sign(secretA, `{`, claimsOf()), fault.Unauthenticated, "the header of the token is not valid JSON"},
		{"the header no object", sign(secretA, `[]`, claimsOf()), fault.Unauthenticated, "not a JSON object"},
		{"the claims null", sign(secretA, headH, `null`), fault.Unauthenticated, "the claim tenant is missing"},
		{"text behind the claims", sign(secretA, headH, claimsOf()+"{}"), fault.Unauthenticated, "not valid JSON"},
		{"invalid UTF-8", sign(secretA, headH, claimsOf("sub", "\"\xff\"")), fault.Unauthenticated, "not valid JSON"},

		{"alg none", sign(nil, `{"alg":"none"}`, claimsOf()), fault.Unauthenticated, `"none" is not accepted`},
		{"alg None with a kid", sign(nil, `{"alg":"None","kid":"h"}`, claimsOf()), fault.Unauthenticated, `is not accepted`},
		{"no alg", sign(secretA, `{"kid":"h"}`, claimsOf()), fault.Unauthenticated, `"" is not accepted`},
		{"alg in another case", sign(secretA, `{"alg":"hs256","kid":"h"}`, claimsOf()), fault.Unauthenticated, "is not accepted"},
		{"Alg in another case", sign(secretA, `{"Alg":"HS256","kid":"h"}`, claimsOf()), fault.Unauthenticated, "is not accepted"},
		{"no signature", head + "." + payload + ".", fault.Unauthenticated, notSigned},
		{"HS256 with the RSA key in PEM as secret", sign(rsaPEM, `{"alg":"HS256","kid":"r"}`, claimsOf()), fault.Unauthenticated, notSigned},
		{"HS256 with the RSA key in DER as secret", sign(string(rsaDER.Bytes), `{"alg":"HS256","kid":"r"}`, claimsOf()), fault.Unauthenticated, notSigned},
		{"HS256 with the RSA key, without kid", sign(rsaPEM, `{"alg":"HS256"}`, claimsOf()), fault.Unauthenticated, notSigned},
		{"RS256 said of the secret", sign(secretA, `{"alg":"RS256","kid":"h"}`, claimsOf()), fault.Unauthenticated, notSigned},
		{"EdDSA said of the EC key", sign(ecOf(), `{"alg":"EdDSA","kid":"e"}`, claimsOf()), fault.Unauthenticated, notSigned},
		{"another RSA key", sign(rsaTwo(), `{"alg":"RS256","kid":"r"}`, claimsOf()), fault.Unauthenticated, notSigned},
		{"an EC signature of zeros", sign(nil, `{"alg":"ES256","kid":"e"}`, claimsOf()) + b64(make([]byte, 64)), fault.Unauthenticated, notSigned},
		{"another tenant's key under this kid", sign(secretB, headH, claimsOf()), fault.Unauthenticated, notSigned},
		{"another tenant's key and kid", sign(secretB, `{"alg":"HS256","kid":"g"}`, claimsOf()), fault.Unauthenticated, notSigned + ` (HS256, kid "g")`},
		{"no kid and two keys", sign(secretB, `{"alg":"HS256"}`, claimsOf("tenant", `"globex"`)), fault.Unauthenticated, "exactly one key"},
		{"no kid and two keys, the other", sign(secretB+"2", `{"alg":"HS256"}`, claimsOf("tenant", `"globex"`)), fault.Unauthenticated, "exactly one key"},
		{"unknown tenant", sign(secretA, headH, claimsOf("tenant", `"initech"`)), fault.Unauthenticated, `by a key of tenant "initech" (HS256, kid "h")`},
		{"no tenant", sign(secretA, headH, claimsOf("tenant", "")), fault.Unauthenticated, "tenant is missing"},
		{"claims changed behind the signature", head + "." + b64([]byte(claimsOf("sub", `"bob"`))) + "." + signature, fault.Unauthenticated, notSigned},
		{"crit", sign(secretA, `{"alg":"HS256","kid":"h","crit":["b64"],"b64":false}`, claimsOf()), fault.Unauthenticated, "crit"},
		{"a logout token", sign(secretA, `{"alg":"HS256","kid":"h","typ":"logout+jwt"}`, claimsOf()), fault.Unauthenticated, "logout+jwt"},
		{"kid of the wrong type", sign(secretA, `{"alg":"HS256","kid":7}`, claimsOf()), fault.Unauthenticated, `"/kid"`},
		{"alg twice", sign(secretA, `{"alg":"none","kid":"h","alg":"HS256"}`, claimsOf()), fault.Unauthenticated, `twice: "/alg"`},

		{"sub twice", sign(secretA, headH, claimsOf("sub", `"ann","sub":"bob"`)), fault.Unauthenticated, `twice: "/sub"`},
		{"an unknown name twice", sign(secretA, headH, claimsOf("x", `1,"x":2`)), fault.Unauthenticated, "twice"},
		{"a name twice in meta", sign(secretA, headH, claimsOf("meta", `{"a":1,"a":2}`)), fault.Unauthenticated, "twice"},
		{"expired", sign(secretA, headH, claimsOf("exp", at(-31*time.Second))), fault.TokenExpired, "expired at 2025-12-31T23:59:29Z; here it is 2026-01-01T00:00:00Z"},
		{"expired at the edge of the leeway", sign(secretA, headH, claimsOf("exp", at(-30*time.Second))), fault.TokenExpired, "expired"},
		{"expired long ago", sign(secretA, headH, claimsOf("exp", at(-time.Hour))), fault.TokenExpired, "expired"},
		{"expired long ago, of an unknown tenant", sign(secretB, headH, claimsOf("exp", at(-time.Hour), "tenant", `"initech"`)), fault.TokenExpired, "expired"},
		{"no exp", sign(secretA, headH, claimsOf("exp", "")), fault.Unauthenticated, "exp is missing"},
		{"exp a string", sign(secretA, headH, claimsOf("exp", `"9999999999"`)), fault.Unauthenticated, `"/exp"`},
		{"exp in milliseconds", sign(secretA, headH, claimsOf("exp", "1767225660000")), fault.Unauthenticated, "milliseconds"},
		{"exp without bounds", sign(secretA, headH, claimsOf("exp", "1e300")), fault.Unauthenticated, "exp is not a date"},
		{"exp far below zero", sign(secretA, headH, claimsOf("exp", "-1e300")), fault.Unauthenticated, "exp is not a date"},
		{"not yet valid", sign(secretA, headH, claimsOf("nbf", at(31*time.Second))), fault.Unauthenticated, "nbf"},
		{"issued in the future", sign(secretA, headH, claimsOf("iat", at(31*time.Second))), fault.Unauthenticated, "in the future"},
		{"wrong iss", sign(secretA, headH, claimsOf("iss", `"https://id.acme.example/"`)), fault.Unauthenticated, `iss is "https://id.acme.example/", expected "https://id.acme.example"`},
		{"no iss", sign(secretA, headH, claimsOf("iss", "")), fault.Unauthenticated, "iss is missing, expected"},
		{"wrong aud", sign(secretA, headH, claimsOf("aud", `["web","app"]`)), fault.Unauthenticated, `aud is "web app", expected "heddle"`},
		{"no aud", sign(secretA, headH, claimsOf("aud", "")), fault.Unauthenticated, "aud is missing"},
		{"aud a number", sign(secretA, headH, claimsOf("aud", "5")), fault.Unauthenticated, `"/aud"`},
		{"no sub", sign(secretA, headH, claimsOf("sub", "")), fault.Unauthenticated, "sub is missing"},
		{"sub too long", sign(secretA, headH, claimsOf("sub", `"`+strings.Repeat("a", 129)+`"`)), fault.Unauthenticated, "1 to 128 characters"},
		{"sub with a slash", sign(secretA, headH, claimsOf("sub", `"a/b"`)), fault.Unauthenticated, "sub is not the name of a user"},
		{"sub with a colon", sign(secretA, headH, claimsOf("sub", `"a:b"`)), fault.Unauthenticated, "sub is not"},
		{"sub with a star", sign(secretA, headH, claimsOf("sub", `"*"`)), fault.Unauthenticated, "sub is not"},
		{"sub with a control character", sign(secretA, headH, claimsOf("sub", `"a\u0000b"`)), fault.Unauthenticated, "sub is not"},
		{"sub with a space", sign(secretA, headH, claimsOf("sub", `"a b"`)), fault.Unauthenticated, "sub is not"},
		{"sub of another script", sign(secretA, headH, claimsOf("sub", `"Zoë"`)), fault.Unauthenticated, event.NamePattern},
		{"device with a colon", sign(secretA, headH, claimsOf("device", `"a:b"`)), fault.Unauthenticated, "device is not"},
		{"rooms null", sign(secretA, headH, claimsOf("rooms", "null")), fault.Unauthenticated, `wrong type: "/rooms"`},
		{"rooms a string", sign(secretA, headH, claimsOf("rooms", `"conv:*"`)), fault.Unauthenticated, `wrong type: "/rooms"`},
		{"too many rooms", sign(secretA, headH, claimsOf("rooms", `[`+strings.Repeat(`"a",`, 128)+`"a"]`)), fault.Unauthenticated, "129 patterns"},
		{"too many rooms of both kinds", sign(secretA, headH, claimsOf("rooms", `[`+strings.Repeat(`"a",{"room":"b","actions":[]},`, 64)+`"a"]`)), fault.Unauthenticated, "129 patterns"},
		{"too many actions", sign(secretA, headH, claimsOf("rooms", `[{"room":"b","actions":[`+strings.Repeat(`"a",`, 32)+`"a"]}]`)), fault.Unauthenticated, "33 actions"},
		{"an empty room with actions", sign(secretA, headH, claimsOf("rooms", `[{"actions":["a"]}]`)), fault.Unauthenticated, "256 bytes"},
		{"an empty action", sign(secretA, headH, claimsOf("rooms", `[{"room":"a","actions":[""]}]`)), fault.Unauthenticated, "256 bytes"},
		{"an object without actions", sign(secretA, headH, claimsOf("rooms", `[{"room":"a","action":["b"]}]`)), fault.Unauthenticated, "without actions"},
		{"actions null", sign(secretA, headH, claimsOf("rooms", `[{"room":"a","actions":null}]`)), fault.Unauthenticated, `wrong type: "/rooms/0/actions"`},
		{"an empty room", sign(secretA, headH, claimsOf("rooms", `[""]`)), fault.Unauthenticated, "256 bytes"},
		{"meta an array", sign(secretA, headH, claimsOf("meta", "[]")), fault.Unauthenticated, "meta is not an object"},
		{"meta too large", sign(secretA, headH, claimsOf("meta", `{"a":"`+strings.Repeat("x", 4096)+`"}`)), fault.Unauthenticated, "meta has 4104 bytes"},
		{"jti too long", sign(secretA, headH, claimsOf("jti", `"`+strings.Repeat("x", 129)+`"`)), fault.Unauthenticated, "jti"},
	} {
		t.Run(c.name, func(t *testing.T) {
			id, err := v.Verify(t.Context(), c.token)
			if id != nil || err == nil {
				t.Fatalf("accepted: %+v", id)
			}
			if f := fault.Of(err); f.Kind != c.kind || !strings.Contains(f.Message(), c.message) {
				t.Errorf("got %v: %q", f.Kind, f.Message())
			}
			for _, secret := range []string{secretA, secretB, "globex'"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("leaks: %v", err)
				}
			}
		})
	}
	if s := v.Stats(); s.Verified != 0 || s.Expired != 4 || s.Refused < 60 {
		t.Errorf("stats: %+v", s)
	}
}

// flipLast changes bits of the last character that no byte is made of.
func flipLast(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(token) - 1
	return token[:last] + string(alphabet[strings.IndexByte(alphabet, token[last])|1])
}

// Whether a tenant or a key exists must not be told to those who cannot sign.
func TestVerifyTellsNothingBeforeTheSignature(t *testing.T) {
	v := newVerifier(t, house())
	answer := func(tenant, kid string) string {
		_, err := v.Verify(t.Context(), sign("a guess", `{"alg":"HS256","kid":"`+kid+`"}`, claimsOf("tenant", `"`+tenant+`"`)))
		f := fault.Of(err)
		f.Msg = strings.ReplaceAll(strings.ReplaceAll(f.Msg, quote(tenant), "T"), quote(kid), "K")
		return fmt.Sprintf("%v|%v|%v|%v", f.Kind, f.Field, f.Msg, f.After)
	}
	want := answer("initech", "none")
	for _, c := range [][2]string{{"acme", "none"}, {"acme", "h"}, {"acme", "r"}, {"acme", "g"}, {"globex", "g"}, {"globex", "h"}} {
		if got := answer(c[0], c[1]); got != want {
			t.Errorf("%v: %q, an unknown tenant gets %q", c, got, want)
		}
	}
}

func TestVerifyAccepts(t *testing.T) {
	v := newVerifier(t, house())
	base := event.Identity{Tenant: "acme", User: "ann", Subject: "ann", Issued: epoch.UnixMilli(), Expires: epoch.Add(90 * time.Second).UnixMilli()}
	with := func(change func(*event.Identity)) event.Identity {
		id := base
		change(&id)
		return id
	}
	for _, c := range []struct {
		name, claims string
		want         event.Identity
	}{
		{"the least", claimsOf("iat", ""), with(func(id *event.Identity) { id.Issued = 0 })},
		{"everything", claimsOf("device", `"phone"`, "jti", `"01J"`, "rooms", `["conv:*","channel:news"]`, "meta", `{"plan": "pro"}`, "nbf", at(0)),
			with(func(id *event.Identity) {
				id.Device, id.TokenID, id.Rooms, id.Metadata = "phone", "01J", []string{"conv:*", "channel:news"}, []byte(`{"plan": "pro"}`)
			})},
		{"no room at all", claimsOf("rooms", `[]`), with(func(id *event.Identity) { id.Rooms = []string{} })},
		{"rooms for some actions", claimsOf("rooms", `[{"room":"conv:*","actions":["message:*","\u0074yping:*"]},"call:1",{"actions":[],"room":"news:1"}]`),
			with(func(id *event.Identity) {
				id.Rooms = []string{"call:1"}
				id.Limited = []event.Grant{{Room: "conv:*", Actions: []string{"message:*", "typing:*"}}, {Room: "news:1", Actions: []string{}}}
			})},
		{"several audiences", claimsOf("aud", `["web","heddle"]`), base},
		{"a subject of Auth0", claimsOf("sub", `"auth0|5f7c+a=@example.org"`), with(func(id *event.Identity) {
			id.User, id.Subject = "auth0|5f7c+a=@example.org", "auth0|5f7c+a=@example.org"
		})},
		{"unknown claims", claimsOf("scope", `"a b"`, "x", `{"y":[1]}`), base},
		{"just within the leeway", claimsOf("exp", at(-29*time.Second), "nbf", at(30*time.Second), "iat", at(30*time.Second)),
			with(func(id *event.Identity) {
				id.Expires, id.Issued = epoch.Add(time.Second).UnixMilli(), epoch.Add(30*time.Second).UnixMilli()
			})},
		{"a fraction of a second", claimsOf("exp", fmt.Sprint(epoch.Unix()+60)+".5"), with(func(id *event.Identity) { id.Expires += 500 })},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := v.Verify(t.Context(), sign(secretA, headH, c.claims))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(*got, c.want) {
				t.Errorf("got %+v\nwant %+v", *got, c.want)
			}
		})
	}
}

// The issuer is golang-jwt: tokens of others, with and without a key id.
func TestVerifyEveryAlgorithm(t *testing.T) {
	v := newVerifier(t, house())
	for _, c := range []struct {
		method jwt.SigningMethod
		kid    string
		key    any
	}{
		{jwt.SigningMethodHS256, "h", []byte(secretA)},
		{jwt.SigningMethodRS256, "r", rsaOf()},
		{jwt.SigningMethodES256, "e", ecOf()},
		{jwt.SigningMethodEdDSA, "d", edOf()},
	} {
		for _, kid := range []string{c.kid, ""} {
			t.Run(c.method.Alg()+" kid "+kid, func(t *testing.T) {
				token := jwt.NewWithClaims(c.method, jwt.MapClaims{
					"tenant": "acme", "sub": "ann", "iss": "https://id.acme.example", "aud": []string{"heddle"}, "exp": epoch.Unix() + 60,
				})
				if kid != "" {
					token.Header["kid"] = kid
				}
				text, err := token.SignedString(c.key)
				if err != nil {
					t.Fatal(err)
				}
				if id, err := v.Verify(t.Context(), text); err != nil || id.User != "ann" {
					t.Fatal(id, err)
				}
				broken := []byte(text)
				broken[len(broken)-10] ^= 1
				if _, err := v.Verify(t.Context(), string(broken)); !fault.Is(err, fault.Unauthenticated) {
					t.Errorf("a broken signature: %v", err)
				}
			})
		}
	}
}

func TestTheOnlyTenantNeedsNoClaim(t *testing.T) {
	v := newVerifier(t, map[string]Config{"acme": house()["acme"]})
	if id, err := v.Verify(t.Context(), sign(secretA, headH, claimsOf("tenant", ""))); err != nil || id.Tenant != "acme" {
		t.Error(id, err)
	}
	if _, err := v.Verify(t.Context(), sign(secretA, headH, claimsOf("tenant", `"globex"`))); err == nil {
		t.Error("a token of another tenant was accepted")
	}
}

func TestKeyWithoutIDIsForTokensWithoutOne(t *testing.T) {
	v := newVerifier(t, map[string]Config{"acme": {Keys: []KeyConfig{
		{Algorithm: "HS256", Secret: secretA}, {ID: "b", Algorithm: "HS256", Secret: secretB},
	}}})
	for _, c := range []struct {
		header, secret string
		ok             bool
	}{
		{`{"alg":"HS256"}`, secretA, true},
		{`{"alg":"HS256","kid":"b"}`, secretB, true},
		{`{"alg":"HS256"}`, secretB, false},
		{`{"alg":"HS256","kid":"a"}`, secretA, false},
	} {
		if _, err := v.Verify(t.Context(), sign(c.secret, c.header, claimsOf())); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.header, err)
		}
	}
}

func TestMaxAge(t *testing.T) {
	cfg := house()["acme"]
	cfg.MaxAge = time.Minute
	v := newVerifier(t, map[string]Config{"acme": cfg})
	id, err := v.Verify(t.Context(), sign(secretA, headH, claimsOf("exp", at(time.Hour))))
	if err != nil || id.Expires != epoch.Add(90*time.Second).UnixMilli() {
		t.Error(id, err)
	}
	if _, err := v.Verify(t.Context(), sign(secretA, headH, claimsOf("exp", at(time.Hour), "iat", at(-90*time.Second)))); !fault.Is(err, fault.TokenExpired) {
		t.Error(err)
	}
	if _, err := v.Verify(t.Context(), sign(secretA, headH, claimsOf("exp", at(time.Hour), "iat", ""))); !fault.Is(err, fault.Unauthenticated) {
		t.Error(err)
	}
}
