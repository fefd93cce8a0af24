package authenticate

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// Bounds of what a token may bring, in bytes unless said otherwise.
const (
	maxTokenID = 128
	maxRooms   = 128 // patterns
	maxActions = 32  // patterns of one grant
	maxPattern = 256
	maxMeta    = 4 << 10
)

// check holds the claims of a token to the configuration of the tenant whose key
// signed it. It returns from when on the token is refused as expired, in Unix
// milliseconds: the leeway is part of it.
func (c *claims) check(cfg *Config, now time.Time) (expires int64, err error) {
	if err := c.checkParties(cfg); err != nil {
		return 0, err
	}
	if expires, err = c.checkDates(cfg, now); err != nil {
		return 0, err
	}
	if err := c.checkNames(); err != nil {
		return 0, err
	}
	if err := c.checkRooms(); err != nil {
		return 0, err
	}
	return expires, c.checkMeta()
}

func (c *claims) checkParties(cfg *Config) error {
	if cfg.Issuer != "" && string(c.issuer) != cfg.Issuer {
		is := "missing"
		if len(c.issuer) > 0 {
			is = quote(c.issuer)
		}
		return refuse("iss is "+is+", expected "+quote(cfg.Issuer), nil)
	}
	if cfg.Audience == "" {
		return nil
	}
	for _, a := range c.audience {
		if string(a) == cfg.Audience {
			return nil
		}
	}
	is := "missing"
	if len(c.audience) > 0 {
		is = quote(bytes.Join(c.audience, []byte(" ")))
	}
	return refuse("aud is "+is+", expected "+quote(cfg.Audience), nil)
}

func (c *claims) checkDates(cfg *Config, now time.Time) (expires int64, err error) {
	for _, date := range []struct {
		name    string
		seconds float64
	}{{"exp", c.expires}, {"nbf", c.notBefore}, {"iat", c.issued}} {
		if math.Abs(date.seconds) > maxDate {
			return 0, refuse("the claim "+date.name+" is not a date in seconds; is it in milliseconds?", nil)
		}
	}
	at, leeway := now.UnixMilli(), cfg.Leeway.Milliseconds()
	switch {
	case c.expires == 0:
		return 0, refuse("the claim exp is missing", nil)
	case c.issued == 0 && cfg.MaxAge > 0:
		return 0, refuse("the claim iat is missing: the tenant bounds the age of tokens", nil)
	case at < millis(c.notBefore)-leeway:
		return 0, refuse("the token is not valid before "+date(c.notBefore)+" (nbf); here it is "+utc(now), nil)
	case at < millis(c.issued)-leeway:
		return 0, refuse("the token was issued in the future, "+date(c.issued)+" (iat); here it is "+utc(now), nil)
	}
	expires = millis(c.expires) + leeway
	if at >= expires {
		return 0, expired("the token expired at "+date(c.expires)+"; here it is "+utc(now), nil)
	}
	if cfg.MaxAge > 0 {
		expires = min(expires, millis(c.issued)+cfg.MaxAge.Milliseconds()+leeway)
		if at >= expires {
			return 0, expired("the token was issued at "+date(c.issued)+" and is good for "+cfg.MaxAge.String(), nil)
		}
	}
	return expires, nil
}

func (c *claims) checkNames() error {
	if len(c.subject) == 0 {
		return refuse("the claim sub is missing: it is the name of the user", nil)
	}
	if !event.IsUser(c.subject) {
		return refuse("the claim sub is not the name of a user: "+badName, nil)
	}
	if len(c.device) > 0 && !event.IsUser(c.device) {
		return refuse("the claim device is not the name of a device: "+badName, nil)
	}
	if len(c.id) > maxTokenID {
		return refuse(fmt.Sprintf("the claim jti has %d bytes: it may have %d", len(c.id), maxTokenID), nil)
	}
	return nil
}

// badName is the rule of event.IsUser in words.
const badName = "it must be 1 to 128 characters of " + event.NamePattern

func hasControl(s []byte) bool { return bytes.IndexFunc(s, unicode.IsControl) >= 0 }

func (c *claims) checkMeta() error {
	switch {
	case len(c.meta) == 0 || c.meta[0] == 'n':
		return nil
	case c.meta[0] != '{':
		return refuse("the claim meta is not an object", nil)
	case len(c.meta) > maxMeta:
		return refuse(fmt.Sprintf("the claim meta has %d bytes: it may have %d", len(c.meta), maxMeta), nil)
	}
	return nil
}

func (c *claims) checkRooms() error {
	if n := len(c.rooms) + len(c.limited); n > maxRooms {
		return refuse(fmt.Sprintf("the claim rooms has %d patterns: it may have %d", n, maxRooms), nil)
	}
	for _, p := range c.rooms {
		if !isPattern(p) {
			return badPattern(p)
		}
	}
	for _, g := range c.limited {
		switch {
		case !isPattern(g.room):
			return badPattern(g.room)
		case !g.given:
			return refuse("the claim rooms has an object without actions, for "+quote(g.room)+": a room for all actions is a string", nil)
		case len(g.actions) > maxActions:
			return refuse(fmt.Sprintf("the claim rooms has %d actions for %s: it may have %d", len(g.actions), quote(g.room), maxActions), nil)
		}
		for _, a := range g.actions {
			if !isPattern(a) {
				return badPattern(a)
			}
		}
	}
	return nil
}

func isPattern(p []byte) bool { return len(p) > 0 && len(p) <= maxPattern && !hasControl(p) }

func badPattern(p []byte) error {
	return refuse("the claim rooms has "+quote(p)+": a pattern is 1 to 256 bytes without control characters", nil)
}

// maxDate is the end of the year 9999; a date in milliseconds is beyond it.
const maxDate = 253402300799

func millis(seconds float64) int64 { return int64(seconds * 1000) }

func date(seconds float64) string { return utc(time.UnixMilli(millis(seconds))) }

func utc(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// maxQuote bounds what an answer repeats of a token, in bytes.
const maxQuote = 80

func quote[T string | []byte](text T) string {
	s := string(text)
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
