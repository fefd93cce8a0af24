package authenticate

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// Claims is what Mint puts into a token. Only User and Expires must be set.
type Claims struct {
	Tenant    string // may be left out where the server has one tenant
	User      string // sub
	Device    string
	Issuer    string
	Audience  []string
	Expires   time.Time
	NotBefore time.Time
	Issued    time.Time
	ID        string        // jti
	Rooms     []string      // patterns; nil, and nothing Limited: no restriction; empty: no room
	Limited   []event.Grant // more rooms, for some actions alone
	Meta      []byte        // a JSON object
}

// Mint signs a token with HS256, for development, tests and the command line. It
// refuses claims that Verify would refuse for what they are, whatever the tenant's
// configuration and the time.
func Mint(secret []byte, kid string, c Claims) (string, error) {
	if len(secret) == 0 {
		return "", errors.New("authenticate: mint: there is no secret")
	}
	head, err := json.Marshal(wireHeader{Algorithm: algHS256, KeyID: kid, Type: "JWT"})
	if err != nil {
		return "", fmt.Errorf("authenticate: mint: kid: %w", err)
	}
	payload, err := json.Marshal(c.wire())
	if err != nil {
		return "", fmt.Errorf("authenticate: mint: %w", err)
	}
	if err := c.check(payload); err != nil {
		return "", fmt.Errorf("authenticate: mint: %w", err)
	}
	token := encoding.AppendEncode(nil, head)
	token = encoding.AppendEncode(append(token, '.'), payload)
	mac := hmac.New(sha256.New, secret)
	mac.Write(token)
	token = encoding.AppendEncode(append(token, '.'), mac.Sum(nil))
	if len(token) > maxToken {
		return "", fmt.Errorf("authenticate: mint: the token has %d bytes: it may have %d", len(token), maxToken)
	}
	return string(token), nil
}

// wireHeader and wireClaims are the token in JSON.
type wireHeader struct {
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid,omitzero"`
	Type      string `json:"typ"`
}

type wireClaims struct {
	Tenant    string         `json:"tenant,omitzero"`
	Subject   string         `json:"sub"`
	Device    string         `json:"device,omitzero"`
	Issuer    string         `json:"iss,omitzero"`
	Audience  []string       `json:"aud,omitzero"`
	Expires   float64        `json:"exp"`
	NotBefore float64        `json:"nbf,omitzero"`
	Issued    float64        `json:"iat,omitzero"`
	ID        string         `json:"jti,omitzero"`
	Rooms     []any          `json:"rooms,omitzero"`
	Meta      jsontext.Value `json:"meta,omitzero"`
}

type wireGrant struct {
	Room    string   `json:"room"`
	Actions []string `json:"actions"`
}

func (c *Claims) wire() wireClaims {
	return wireClaims{
		Tenant: c.Tenant, Subject: c.User, Device: c.Device, Issuer: c.Issuer, Audience: c.Audience, ID: c.ID,
		Expires: seconds(c.Expires), NotBefore: seconds(c.NotBefore), Issued: seconds(c.Issued), Rooms: c.rooms(), Meta: c.Meta,
	}
}

// rooms is the claim of that name.
func (c *Claims) rooms() []any {
	if c.Rooms == nil && c.Limited == nil {
		return nil
	}
	all := make([]any, 0, len(c.Rooms)+len(c.Limited))
	for _, p := range c.Rooms {
		all = append(all, p)
	}
	for _, g := range c.Limited {
		all = append(all, wireGrant(g))
	}
	return all
}

// check reads the payload by the rules of Verify, at a moment when the token is
// good.
func (c *Claims) check(payload []byte) error {
	var read claims
	d := newDocument()
	if bad := d.read(payload, &read); bad != nil {
		return errors.New(fault.Of(bad.refuse("the claims")).Message())
	}
	if _, err := read.check(&Config{}, c.Expires.Add(-time.Second)); err != nil {
		return errors.New(fault.Of(err).Message())
	}
	return nil
}

// seconds leaves fractions out: not every library reads them.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.Unix())
}
