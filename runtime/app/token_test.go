package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/authenticate"
)

// secrets sign the tenants' tokens.
var secrets = map[string]string{
	"acme":   "acme-secret-of-more-than-32-bytes-length",
	"globex": "globex-secret-of-more-than-32-bytes-length",
}

// privateKey signs tokens of acme too, with ES256.
var privateKey, publicKey = newKey()

func newKey() (*ecdsa.PrivateKey, string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		panic(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// claims are a good token's; change what the case needs.
func claims(tenant, user string) authenticate.Claims {
	return authenticate.Claims{Tenant: tenant, User: user, Expires: time.Now().Add(time.Hour)}
}

func mint(t testing.TB, c authenticate.Claims) string {
	t.Helper()
	token, err := authenticate.Mint([]byte(secrets[c.Tenant]), "k1", c)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// mintES256 signs with acme's other key.
func mintES256(t testing.TB, user string) string {
	t.Helper()
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	signed := part(map[string]string{"alg": "ES256", "kid": "e1"}) + "." +
		part(map[string]any{"tenant": "acme", "sub": user, "exp": time.Now().Add(time.Hour).Unix()})
	hash := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, privateKey, hash[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := make([]byte, 64) // RFC 7518 section 3.4
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}
