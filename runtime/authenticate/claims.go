package authenticate

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// Bounds of what a token may bring, in bytes unless said otherwise.
const (
	maxTokenID = 128
	maxRooms   = 128 // patterns
	maxPattern = 256
	maxMeta    = 4 << 10
)

// claims is the payload of RFC 7519, as far as it is read, and the claims of our
// own. Dates are seconds since 1970, 0 for none.
type claims struct {
	Tenant    string         `json:"tenant,omitzero"`
	Subject   string         `json:"sub,omitzero"`
	Device    string         `json:"device,omitzero"`
	Issuer    string         `json:"iss,omitzero"`
	Audience  audience       `json:"aud,omitzero"`
	Expires   float64        `json:"exp,omitzero"`
	NotBefore float64        `json:"nbf,omitzero"`
	Issued    float64        `json:"iat,omitzero"`
	ID        string         `json:"jti,omitzero"`
	Rooms     patterns       `json:"rooms,omitzero"`
	Meta      jsontext.Value `json:"meta,omitzero"`
}

// audience is one string or an array of them.
type audience []string

func (a *audience) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() != '"' {
		return json.UnmarshalDecode(d, (*[]string)(a))
	}
	t, err := d.ReadToken()
	if err == nil {
		*a = audience{t.String()}
	}
	return err
}

// patterns of rooms; nil is no restriction.
type patterns []string

var errNull = errors.New("null: leave the claim out, or use []")

// UnmarshalJSONFrom refuses null: an issuer that means "none" by it would give all.
func (p *patterns) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() == 'n' {
		return errNull
	}
	return json.UnmarshalDecode(d, (*[]string)(p))
}

func (a audience) String() string {
	switch len(a) {
	case 0:
		return "missing"
	case 1:
		return quote(a[0])
	}
	return quote(strings.Join(a, " "))
}

// identity checks the claims of a token against the configuration of the tenant
// whose key signed it.
func (c *claims) identity(tenant string, cfg *Config, now time.Time) (*event.Identity, error) {
	if err := c.checkParties(cfg); err != nil {
		return nil, err
	}
	expires, err := c.checkDates(cfg, now)
	if err != nil {
		return nil, err
	}
	if err := c.checkNames(); err != nil {
		return nil, err
	}
	if err := c.checkRooms(); err != nil {
		return nil, err
	}
	meta := c.Meta
	switch meta.Kind() {
	case '{':
		if len(meta) > maxMeta {
			return nil, refuse(fmt.Sprintf("the claim meta has %d bytes: it may have %d", len(meta), maxMeta), nil)
		}
	case 'n', jsontext.KindInvalid:
		meta = nil
	default:
		return nil, refuse("the claim meta is not an object", nil)
	}
	return &event.Identity{
		Tenant: tenant, User: c.Subject, Device: c.Device, Subject: c.Subject, TokenID: c.ID,
		Expires: expires, Rooms: c.Rooms, Metadata: meta,
	}, nil
}

func (c *claims) checkParties(cfg *Config) error {
	if cfg.Issuer != "" && c.Issuer != cfg.Issuer {
		is := "missing"
		if c.Issuer != "" {
			is = quote(c.Issuer)
		}
		return refuse("iss is "+is+", expected "+quote(cfg.Issuer), nil)
	}
	if cfg.Audience != "" && !slices.Contains(c.Audience, cfg.Audience) {
		return refuse("aud is "+c.Audience.String()+", expected "+quote(cfg.Audience), nil)
	}
	return nil
}

// checkDates returns from when on the token is refused as expired, in Unix
// milliseconds: the leeway is part of it.
func (c *claims) checkDates(cfg *Config, now time.Time) (expires int64, err error) {
	for _, date := range []struct {
		name    string
		seconds float64
	}{{"exp", c.Expires}, {"nbf", c.NotBefore}, {"iat", c.Issued}} {
		if math.Abs(date.seconds) > maxDate {
			return 0, refuse("the claim "+date.name+" is not a date in seconds; is it in milliseconds?", nil)
		}
	}
	at, leeway := now.UnixMilli(), cfg.Leeway.Milliseconds()
	switch {
	case c.Expires == 0:
		return 0, refuse("the claim exp is missing", nil)
	case c.Issued == 0 && cfg.MaxAge > 0:
		return 0, refuse("the claim iat is missing: the tenant bounds the age of tokens", nil)
	case at < millis(c.NotBefore)-leeway:
		return 0, refuse("the token is not valid before "+date(c.NotBefore)+" (nbf); here it is "+utc(now), nil)
	case at < millis(c.Issued)-leeway:
		return 0, refuse("the token was issued in the future, "+date(c.Issued)+" (iat); here it is "+utc(now), nil)
	}
	expires = millis(c.Expires) + leeway
	if at >= expires {
		return 0, expired("the token expired at "+date(c.Expires)+"; here it is "+utc(now), nil)
	}
	if cfg.MaxAge > 0 {
		expires = min(expires, millis(c.Issued)+cfg.MaxAge.Milliseconds()+leeway)
		if at >= expires {
			return 0, expired("the token was issued at "+date(c.Issued)+" and is good for "+cfg.MaxAge.String(), nil)
		}
	}
	return expires, nil
}

func (c *claims) checkNames() error {
	if c.Subject == "" {
		return refuse("the claim sub is missing: it is the name of the user", nil)
	}
	if !event.IsUser(c.Subject) {
		return refuse("the claim sub is not the name of a user: "+badName, nil)
	}
	if c.Device != "" && !event.IsUser(c.Device) {
		return refuse("the claim device is not the name of a device: "+badName, nil)
	}
	if len(c.ID) > maxTokenID {
		return refuse(fmt.Sprintf("the claim jti has %d bytes: it may have %d", len(c.ID), maxTokenID), nil)
	}
	return nil
}

// badName is the rule of event.IsUser in words.
const badName = "it must be 1 to 128 characters of " + event.NamePattern

func hasControl(s string) bool { return strings.IndexFunc(s, unicode.IsControl) >= 0 }

func (c *claims) checkRooms() error {
	if len(c.Rooms) > maxRooms {
		return refuse(fmt.Sprintf("the claim rooms has %d patterns: it may have %d", len(c.Rooms), maxRooms), nil)
	}
	for _, p := range c.Rooms {
		if p == "" || len(p) > maxPattern || hasControl(p) {
			return refuse("the claim rooms has "+quote(p)+": a pattern is 1 to 256 bytes without control characters", nil)
		}
	}
	return nil
}

// maxDate is the end of the year 9999; a date in milliseconds is beyond it.
const maxDate = 253402300799

func millis(seconds float64) int64 { return int64(seconds * 1000) }

func date(seconds float64) string { return utc(time.UnixMilli(millis(seconds))) }

func utc(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// maxQuote bounds what an answer repeats of a token, in bytes.
const maxQuote = 80

func quote(s string) string {
	if len(s) > maxQuote {
		s = strings.ToValidUTF8(s[:maxQuote], "") + "…"
	}
	return fmt.Sprintf("%q", s)
}

const op = "authenticate.Verify"

func refuse(msg string, cause error) error {
	return &fault.Error{Op: op, Kind: fault.Unauthenticated, Msg: msg, Err: cause}
}

func expired(msg string, cause error) error {
	return &fault.Error{Op: op, Kind: fault.TokenExpired, Msg: msg, Err: cause}
}
