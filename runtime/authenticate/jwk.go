package authenticate

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// jwk is a public key of RFC 7517, as far as it is read: private members and
// certificates are not.
type jwk struct {
	Type      string   `json:"kty"`
	ID        string   `json:"kid"`
	Algorithm string   `json:"alg"`
	Use       string   `json:"use"`
	Ops       []string `json:"key_ops"`
	Curve     string   `json:"crv"`
	N         string   `json:"n"`
	E         string   `json:"e"`
	X         string   `json:"x"`
	Y         string   `json:"y"`
}

var errNoKeys = errors.New(`not a JSON Web Key Set: there is no array "keys"`)

// parseJWKS reads a key set. A key that cannot be used is left out and counted, as
// RFC 7517 section 5 asks: the issuer may have it for others.
func parseJWKS(body []byte, allowed []string) (set *keyset, skipped int, err error) {
	var doc struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return nil, 0, fmt.Errorf("not a JSON Web Key Set: %w", err)
	}
	if doc.Keys == nil {
		return nil, 0, errNoKeys
	}
	set = newKeyset()
	for _, raw := range doc.Keys {
		var k jwk
		if json.Unmarshal(raw, &k) != nil {
			skipped++
			continue
		}
		algorithm, key, err := k.key()
		if err != nil || !slices.Contains(allowed, algorithm) || !set.add(keyName{k.ID, algorithm}, key) {
			skipped++
		}
	}
	return set, skipped, nil
}

func (k *jwk) key() (string, signatureVerifier, error) {
	if (k.Use != "" && k.Use != "sig") || (k.Ops != nil && !slices.Contains(k.Ops, "verify")) {
		return "", nil, errors.New("not for signatures")
	}
	public, err := k.public()
	if err != nil {
		return "", nil, err
	}
	algorithm, key, err := newPublicKey(public)
	if err != nil {
		return "", nil, err
	}
	if k.Algorithm != "" && k.Algorithm != algorithm {
		return "", nil, fmt.Errorf("a key for %s, but alg is %q", algorithm, k.Algorithm)
	}
	return algorithm, key, nil
}

// public knows no symmetric key ("oct"): what is published is no secret.
func (k *jwk) public() (any, error) {
	switch {
	case k.Type == "RSA":
		n, errN := bytesOf(k.N)
		e, errE := bytesOf(k.E)
		if errN != nil || errE != nil || len(e) > 4 {
			return nil, errors.New("not an RSA key")
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}, nil
	case k.Type == "EC" && k.Curve == "P-256":
		x, errX := bytesOf(k.X)
		y, errY := bytesOf(k.Y)
		if errX != nil || errY != nil || len(x) != ecHalf || len(y) != ecHalf {
			return nil, errors.New("not a P-256 key")
		}
		return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
	case k.Type == "OKP" && k.Curve == "Ed25519":
		x, err := bytesOf(k.X)
		return ed25519.PublicKey(x), err
	}
	return nil, fmt.Errorf("a key of type %q", k.Type)
}

func bytesOf(s string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(s) }
