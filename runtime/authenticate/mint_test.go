package authenticate

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/heddle-rt/heddle/runtime/event"
)

func TestMintIsVerified(t *testing.T) {
	v := newVerifier(t, house())
	token, err := Mint([]byte(secretA), "h", Claims{
		Tenant: "acme", User: "ann", Device: "phone", Issuer: "https://id.acme.example", Audience: []string{"heddle", "web"},
		Limited: []event.Grant{{Room: "news:*", Actions: []string{"message:read"}}},
		Expires: epoch.Add(time.Hour), NotBefore: epoch, Issued: epoch, ID: "01J", Rooms: []string{"conv:*"}, Meta: []byte(`{"plan":"pro"}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := v.Verify(t.Context(), token)
	want := &event.Identity{
		Tenant: "acme", User: "ann", Device: "phone", Subject: "ann", TokenID: "01J", Rooms: []string{"conv:*"},
		Limited: []event.Grant{{Room: "news:*", Actions: []string{"message:read"}}}, Issued: epoch.UnixMilli(),
		Expires: epoch.Add(time.Hour + 30*time.Second).UnixMilli(), Metadata: []byte(`{"plan":"pro"}`),
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v", got, err)
	}
	// Others read it too.
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithTimeFunc(func() time.Time { return epoch }), jwt.WithAudience("heddle"))
	if _, err := parser.Parse(token, func(*jwt.Token) (any, error) { return []byte(secretA), nil }); err != nil {
		t.Error(err)
	}
}

func TestMintRefuses(t *testing.T) {
	good := Claims{User: "ann", Expires: epoch}
	for name, c := range map[string]struct {
		secret string
		change func(*Claims)
	}{
		"no secret":               {"", func(*Claims) {}},
		"no user":                 {"s", func(c *Claims) { c.User = "" }},
		"a user with a colon":     {"s", func(c *Claims) { c.User = "a:b" }},
		"no end":                  {"s", func(c *Claims) { c.Expires = time.Time{} }},
		"an end before the start": {"s", func(c *Claims) { c.NotBefore = epoch.Add(time.Hour) }},
		"meta no JSON":            {"s", func(c *Claims) { c.Meta = []byte(`{`) }},
		"meta no object":          {"s", func(c *Claims) { c.Meta = []byte(`1`) }},
		"meta too deep":           {"s", func(c *Claims) { c.Meta = []byte(`{"a":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`) }},
		"a name twice in meta":    {"s", func(c *Claims) { c.Meta = []byte(`{"a":1,"a":2}`) }},
		"an empty pattern":        {"s", func(c *Claims) { c.Rooms = []string{""} }},
		"an empty action":         {"s", func(c *Claims) { c.Limited = []event.Grant{{Room: "a", Actions: []string{""}}} }},
		"actions for no room":     {"s", func(c *Claims) { c.Limited = []event.Grant{{Actions: []string{"a"}}} }},
		"too large":               {"s", func(c *Claims) { c.Audience = []string{strings.Repeat("a", maxToken)} }},
	} {
		t.Run(name, func(t *testing.T) {
			claims := good
			c.change(&claims)
			if token, err := Mint([]byte(c.secret), "", claims); err == nil {
				t.Errorf("minted %s", token)
			}
		})
	}
	if _, err := Mint([]byte("s"), "", good); err != nil {
		t.Error(err)
	}
}

func TestMintTellsNoRoomFromNoRestriction(t *testing.T) {
	v := newVerifier(t, map[string]Config{"acme": {Keys: []KeyConfig{{Algorithm: "HS256", Secret: secretA}}}})
	for _, rooms := range [][]string{nil, {}} {
		token, err := Mint([]byte(secretA), "", Claims{User: "ann", Expires: epoch.Add(time.Hour), Rooms: rooms})
		if err != nil {
			t.Fatal(err)
		}
		if id, err := v.Verify(t.Context(), token); err != nil || (id.Rooms == nil) != (rooms == nil) {
			t.Errorf("%#v became %+v, %v", rooms, id, err)
		}
	}
}
