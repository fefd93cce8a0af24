package authenticate

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// maxPEM bounds a public key file in bytes.
const maxPEM = 64 << 10

// staticKeys makes the keys that the configuration itself holds.
func staticKeys(configs []KeyConfig) (*keyset, error) {
	set := newKeyset()
	ids := map[string]bool{}
	for i := range configs {
		c := &configs[i]
		name := fmt.Sprintf("keys[%d]", i)
		if c.ID != "" {
			name = fmt.Sprintf("keys[%d] (id %q)", i, c.ID)
		}
		if c.ID != "" && ids[c.ID] {
			return nil, fmt.Errorf("%s: another key has this id", name)
		}
		ids[c.ID] = true
		key, err := c.key()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if !set.add(keyName{c.ID, c.Algorithm}, key) {
			return nil, fmt.Errorf("%s: a second key without an id for %s: no token could choose between them", name, c.Algorithm)
		}
	}
	return set, nil
}

func (c *KeyConfig) key() (signatureVerifier, error) {
	if !slices.Contains(algorithms, c.Algorithm) {
		return nil, fmt.Errorf("algorithm: %q is not one of %s", c.Algorithm, strings.Join(algorithms, ", "))
	}
	set := 0
	for _, s := range []string{c.Secret, c.PublicKey, c.PublicKeyFile} {
		if s != "" {
			set++
		}
	}
	if set != 1 {
		return nil, fmt.Errorf("%d of secret, public_key and public_key_file are set: it must be one", set)
	}
	if c.Algorithm == algHS256 {
		return c.secretKey()
	}
	if c.Secret != "" {
		return nil, fmt.Errorf("secret: %s needs a public key", c.Algorithm)
	}
	return c.publicKey()
}

func (c *KeyConfig) secretKey() (signatureVerifier, error) {
	switch {
	case c.Secret == "":
		return nil, errors.New("HS256 needs a secret, not a public key")
	case strings.Contains(c.Secret, "-----BEGIN "):
		return nil, errors.New("secret: a key in PEM, which others may know: HS256 needs a secret")
	case len(c.Secret) < minSecret && !c.InsecureShortSecret:
		return nil, fmt.Errorf("secret: %d bytes can be guessed from one token: use at least %d, or set insecure_short_secret", len(c.Secret), minSecret)
	}
	return newHMACKey([]byte(c.Secret)), nil
}

func (c *KeyConfig) publicKey() (signatureVerifier, error) {
	field, text := "public_key", []byte(c.PublicKey)
	if c.PublicKeyFile != "" {
		var err error
		if text, err = readFile(c.PublicKeyFile); err != nil {
			return nil, fmt.Errorf("public_key_file: %w", err)
		}
		field = "public_key_file"
	}
	public, err := parsePEM(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	algorithm, key, err := newPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", field, err)
	}
	if algorithm != c.Algorithm {
		return nil, fmt.Errorf("%s: a key for %s, but algorithm is %s", field, algorithm, c.Algorithm)
	}
	return key, nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPEM+1))
	if err == nil && len(text) > maxPEM {
		err = fmt.Errorf("%s: more than %d bytes", path, maxPEM)
	}
	return text, err
}

// parsePEM reads a file of exactly one public key or certificate.
func parsePEM(text []byte) (any, error) {
	block, rest := pem.Decode(text)
	if block == nil {
		return nil, errors.New("not in PEM")
	}
	if strings.TrimSpace(string(rest)) != "" {
		return nil, errors.New("more than one PEM block")
	}
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return cert.PublicKey, nil
	}
	return nil, fmt.Errorf("a PEM block %q: it must be PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE", block.Type)
}
