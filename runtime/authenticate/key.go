package authenticate

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash"
	"math/big"
	"sync"
)

// The algorithms of RFC 7518 and RFC 8037 that are known here.
const (
	algHS256 = "HS256"
	algRS256 = "RS256"
	algES256 = "ES256"
	algEdDSA = "EdDSA"
)

var (
	algorithms = []string{algHS256, algRS256, algES256, algEdDSA}
	asymmetric = algorithms[1:]
)

// Bounds of an RSA modulus in bits: below, it can be factored; above, a
// verification costs an attacker less than us.
const (
	minRSA = 2048
	maxRSA = 8192
)

// signatureVerifier is a key that knows its algorithm.
type signatureVerifier interface {
	verify(signed, signature []byte) bool
}

// keyName finds a key. The algorithm is part of the name, so that a header can
// only reach a key by naming the algorithm that the key is for.
type keyName struct {
	id, algorithm string
}

// keyset is immutable.
type keyset struct {
	named map[keyName]signatureVerifier
	sole  map[string]signatureVerifier // by algorithm, where there is one key; nil where there are more
}

func newKeyset() *keyset {
	return &keyset{named: map[keyName]signatureVerifier{}, sole: map[string]signatureVerifier{}}
}

// add reports false if the name is taken.
func (s *keyset) add(name keyName, key signatureVerifier) bool {
	if _, taken := s.named[name]; taken {
		return false
	}
	s.named[name] = key
	if _, more := s.sole[name.algorithm]; more {
		key = nil
	}
	s.sole[name.algorithm] = key
	return true
}

type hmacKey struct {
	pool sync.Pool // of *keyed
}

// keyed is a hash that has taken the secret in: from its first Reset on it goes
// back to the state behind that, instead of hashing the secret again.
type keyed struct {
	hash.Hash
	sum [sha256.Size]byte
}

func newHMACKey(secret []byte) *hmacKey {
	return &hmacKey{pool: sync.Pool{New: func() any { return &keyed{Hash: hmac.New(sha256.New, secret)} }}}
}

func (k *hmacKey) verify(signed, signature []byte) bool {
	h := k.pool.Get().(*keyed)
	defer k.pool.Put(h)
	h.Reset()
	h.Write(signed)
	return subtle.ConstantTimeCompare(h.Sum(h.sum[:0]), signature) == 1
}

type rsaKey rsa.PublicKey

func (k *rsaKey) verify(signed, signature []byte) bool {
	sum := sha256.Sum256(signed)
	return rsa.VerifyPKCS1v15((*rsa.PublicKey)(k), crypto.SHA256, sum[:], signature) == nil
}

type ecKey ecdsa.PublicKey

// A JWS has r and s in 32 bytes each, RFC 7518 section 3.4.
const ecHalf = 32

func (k *ecKey) verify(signed, signature []byte) bool {
	if len(signature) != 2*ecHalf {
		return false
	}
	sum := sha256.Sum256(signed)
	r, s := new(big.Int).SetBytes(signature[:ecHalf]), new(big.Int).SetBytes(signature[ecHalf:])
	return ecdsa.Verify((*ecdsa.PublicKey)(k), sum[:], r, s)
}

type edKey ed25519.PublicKey

func (k edKey) verify(signed, signature []byte) bool {
	return ed25519.Verify(ed25519.PublicKey(k), signed, signature)
}

var errRSAExponent = errors.New("the exponent of the RSA key is not odd, or less than 3")

// newPublicKey binds a public key of the standard library to its algorithm.
func newPublicKey(public any) (string, signatureVerifier, error) {
	switch k := public.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSA || bits > maxRSA {
			return "", nil, fmt.Errorf("an RSA key of %d bits: it must have %d to %d", bits, minRSA, maxRSA)
		}
		if k.E < 3 || k.E%2 == 0 {
			return "", nil, errRSAExponent
		}
		return algRS256, (*rsaKey)(k), nil
	case *ecdsa.PublicKey:
		if name := k.Curve.Params().Name; name != "P-256" {
			return "", nil, fmt.Errorf("a key on the curve %s: ES256 needs P-256", name)
		}
		return algES256, (*ecKey)(k), nil
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return "", nil, fmt.Errorf("an Ed25519 key of %d bytes: it must have %d", len(k), ed25519.PublicKeySize)
		}
		return algEdDSA, edKey(k), nil
	}
	return "", nil, fmt.Errorf("a key of type %T: it must be RSA, EC P-256 or Ed25519", public)
}
