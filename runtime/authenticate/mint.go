package authenticate

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

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
	ID        string   // jti
	Rooms     []string // patterns; nil: no restriction, empty: no room
	Meta      []byte   // a JSON object
}

// Mint signs a token with HS256, for development, tests and the command line. It
// refuses claims that Verify would refuse for what they are, whatever the tenant's
// configuration and the time.
func Mint(secret []byte, kid string, c Claims) (string, error) {
	if len(secret) == 0 {
		return "", errors.New("authenticate: mint: there is no secret")
	}
	w, err := c.wire()
	if err != nil {
		return "", fmt.Errorf("authenticate: mint: %w", err)
	}
	head, err := json.Marshal(header{Algorithm: algHS256, KeyID: kid, Type: "JWT"})
	if err != nil {
		return "", fmt.Errorf("authenticate: mint: kid: %w", err)
	}
	payload, err := json.Marshal(w)
	if err != nil {
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

// wire brings the claims into the form of the token and has that checked by the
// rules that Verify goes by, at a moment when the token is good.
func (c *Claims) wire() (*claims, error) {
	w := &claims{
		Tenant: c.Tenant, Subject: c.User, Device: c.Device, Issuer: c.Issuer, Audience: c.Audience, ID: c.ID,
		Expires: seconds(c.Expires), NotBefore: seconds(c.NotBefore), Issued: seconds(c.Issued), Rooms: c.Rooms, Meta: c.Meta,
	}
	good := c.Expires.Add(-time.Second)
	if _, err := w.identity(c.Tenant, &Config{}, good); err != nil {
		return nil, errors.New(fault.Of(err).Message())
	}
	return w, nil
}

// seconds leaves fractions out: not every library reads them.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.Unix())
}
