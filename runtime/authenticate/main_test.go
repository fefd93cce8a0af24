package authenticate

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	secretA = "acme's secret, which has 32 bytes and more"
	secretB = "globex' secret, which has 32 bytes and more"
)

var (
	epoch  = time.Unix(1767225600, 0)
	rsaOf  = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	rsaTwo = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
	ecOf   = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	edOf   = sync.OnceValue(func() ed25519.PrivateKey {
		_, k, err := ed25519.GenerateKey(rand.Reader)
		return must(k, err)
	})
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func pemOf(public any) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(public))}))
}

// sign makes a token of any two texts, so that what no library would write can be
// written. The key decides how it is signed.
func sign(key any, header, claims string) string {
	signed := b64([]byte(header)) + "." + b64([]byte(claims))
	return signed + "." + b64(signatureOf(key, []byte(signed)))
}

func signatureOf(key any, signed []byte) []byte {
	sum := sha256.Sum256(signed)
	switch k := key.(type) {
	case string:
		mac := hmac.New(sha256.New, []byte(k))
		mac.Write(signed)
		return mac.Sum(nil)
	case *rsa.PrivateKey:
		return must(rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:]))
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, k, sum[:])
		must(r, err)
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	case ed25519.PrivateKey:
		return ed25519.Sign(k, signed)
	case nil:
		return nil
	}
	panic(fmt.Sprintf("no key: %T", key))
}

// jwkOf is a public key as an issuer publishes it.
func jwkOf(kid string, public any) string {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf(`{"kty":"RSA","kid":%q,"use":"sig","alg":"RS256","n":%q,"e":%q}`, kid, b64(k.N.Bytes()), b64(big.NewInt(int64(k.E)).Bytes()))
	case *ecdsa.PublicKey:
		point := must(k.Bytes())
		return fmt.Sprintf(`{"kty":"EC","crv":"P-256","kid":%q,"x":%q,"y":%q}`, kid, b64(point[1:33]), b64(point[33:]))
	case ed25519.PublicKey:
		return fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","kid":%q,"key_ops":["verify"],"x":%q}`, kid, b64(k))
	}
	panic(fmt.Sprintf("no key: %T", public))
}

// house is two tenants, of which acme has a key of every algorithm.
func house() map[string]Config {
	return map[string]Config{
		"acme": {
			Issuer: "https://id.acme.example", Audience: "heddle", Leeway: 30 * time.Second,
			Keys: []KeyConfig{
				{ID: "h", Algorithm: "HS256", Secret: secretA},
				{ID: "r", Algorithm: "RS256", PublicKey: pemOf(rsaOf().Public())},
				{ID: "e", Algorithm: "ES256", PublicKey: pemOf(ecOf().Public())},
				{ID: "d", Algorithm: "EdDSA", PublicKey: pemOf(edOf().Public())},
			},
		},
		"globex": {Keys: []KeyConfig{
			{ID: "g", Algorithm: "HS256", Secret: secretB},
			{ID: "g2", Algorithm: "HS256", Secret: secretB + "2"},
		}},
	}
}

func newVerifier(tb testing.TB, tenants map[string]Config) *Verifier {
	tb.Helper()
	v, err := New(tenants, Deps{Clock: func() time.Time { return epoch }})
	if err != nil {
		tb.Fatal(err)
	}
	return v
}
