package authenticate

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Config is a tenant's "auth": who issues its tokens, and how they are checked.
type Config struct {
	Issuer         string        `yaml:"issuer" doc:"What the claim iss must be, exactly; empty: not checked."`
	Audience       string        `yaml:"audience" doc:"What the claim aud must be or contain, exactly; empty: not checked."`
	Leeway         time.Duration `yaml:"leeway" default:"30s" min:"0s" max:"5m" doc:"How far the issuer's clock may be off."`
	MaxAge         time.Duration `yaml:"max_age" min:"0s" doc:"How long after its iat a token is good for, whatever its exp; 0: as long as exp says."`
	Keys           []KeyConfig   `yaml:"keys" doc:"The keys that tokens are signed with."`
	JWKSURL        string        `yaml:"jwks_url" doc:"Where the issuer publishes its keys as a JSON Web Key Set."`
	JWKSRefresh    time.Duration `yaml:"jwks_refresh" default:"10m" min:"30s" max:"24h" doc:"How often the key set is read; an unknown key id has it read sooner, at most every 30s."`
	JWKSAlgorithms []string      `yaml:"jwks_algorithms" default:"RS256,ES256,EdDSA" enum:"RS256,ES256,EdDSA" doc:"Algorithms that keys of the key set may be used with."`
	InsecureHTTP   bool          `yaml:"insecure_jwks_http" doc:"Allows a jwks_url of http to another machine: whoever sits between can sign tokens."`
}

// KeyConfig is one key of a tenant: a secret, or a public key in one of two ways.
type KeyConfig struct {
	ID                  string `yaml:"id" doc:"The key id (kid) in the header of its tokens; empty: for tokens without one."`
	Algorithm           string `yaml:"algorithm" required:"true" enum:"HS256,RS256,ES256,EdDSA" doc:"The only algorithm that the key is used with."`
	Secret              string `yaml:"secret" secret:"true" doc:"Of HS256: the shared secret, at least 32 bytes."`
	InsecureShortSecret bool   `yaml:"insecure_short_secret" doc:"Allows a secret of less than 32 bytes, which can be guessed from one token."`
	PublicKey           string `yaml:"public_key" doc:"Of the other algorithms: the public key or certificate in PEM."`
	PublicKeyFile       string `yaml:"public_key_file" doc:"A file with the public key or certificate in PEM."`
}

const (
	maxLeeway      = 5 * time.Minute
	minRefresh     = 30 * time.Second
	maxRefresh     = 24 * time.Hour
	defaultRefresh = 10 * time.Minute
	minSecret      = 32 // bytes: the hash's own length, RFC 7518 section 3.2
)

var errPlainHTTP = errors.New("http to another machine lets whoever sits between sign tokens: use https, or set insecure_jwks_http")

func (c *Config) check() error {
	switch {
	case c.Leeway < 0 || c.Leeway > maxLeeway:
		return fmt.Errorf("leeway: %v is not between 0s and %v", c.Leeway, maxLeeway)
	case c.MaxAge < 0:
		return fmt.Errorf("max_age: %v is negative", c.MaxAge)
	case len(c.Keys) == 0 && c.JWKSURL == "":
		return errors.New("neither keys nor jwks_url is set: no token could be verified")
	case c.JWKSURL == "":
		return nil
	case c.JWKSRefresh != 0 && (c.JWKSRefresh < minRefresh || c.JWKSRefresh > maxRefresh):
		return fmt.Errorf("jwks_refresh: %v is not between %v and %v", c.JWKSRefresh, minRefresh, maxRefresh)
	}
	for _, a := range c.JWKSAlgorithms {
		if !slices.Contains(asymmetric, a) {
			return fmt.Errorf("jwks_algorithms: %q is not one of %s", a, strings.Join(asymmetric, ", "))
		}
	}
	u, err := url.Parse(c.JWKSURL)
	if err != nil {
		return fmt.Errorf("jwks_url: %w", err)
	}
	if err := c.checkURL(u); err != nil {
		return fmt.Errorf("jwks_url: %w", err)
	}
	return nil
}

// checkURL holds for the configured URL and for the one that redirects end at.
func (c *Config) checkURL(u *url.URL) error {
	if u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return fmt.Errorf("%q is not an absolute https URL", u.Redacted())
	}
	if u.Scheme == "http" && !c.InsecureHTTP && !loopback(u.Hostname()) {
		return errPlainHTTP
	}
	return nil
}

func loopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}
