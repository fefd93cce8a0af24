package authenticate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

func TestNewRefuses(t *testing.T) {
	smallRSA := &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 1023, 1), E: 65537}
	evenRSA := &rsa.PublicKey{N: rsaOf().N, E: 4}
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	private := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(edOf()))}))
	garbage := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")}))
	edPEM := pemOf(edOf().Public())
	key := func(k KeyConfig) Config {
		return Config{Keys: []KeyConfig{{ID: "ok", Algorithm: "HS256", Secret: secretA}, k}}
	}
	for _, c := range []struct {
		name    string
		config  Config
		message string
	}{
		{"nothing", Config{}, "neither keys nor jwks_url"},
		{"leeway too long", Config{Leeway: 6 * time.Minute}, "leeway: 6m0s"},
		{"leeway negative", Config{Leeway: -1}, "leeway"},
		{"max_age negative", Config{MaxAge: -1}, "max_age"},
		{"no algorithm", key(KeyConfig{ID: "k", Secret: secretA}), `keys[1] (id "k"): algorithm: ""`},
		{"unknown algorithm", key(KeyConfig{ID: "k", Algorithm: "none", Secret: secretA}), `keys[1] (id "k"): algorithm: "none"`},
		{"no key at all", key(KeyConfig{ID: "k", Algorithm: "HS256"}), "0 of secret"},
		{"two keys in one", key(KeyConfig{ID: "k", Algorithm: "EdDSA", Secret: secretA, PublicKey: edPEM}), "2 of secret"},
		{"a short secret", key(KeyConfig{ID: "k", Algorithm: "HS256", Secret: "short"}), "secret: 5 bytes"},
		{"a public key as secret", key(KeyConfig{ID: "k", Algorithm: "HS256", Secret: edPEM}), "in PEM"},
		{"HS256 with a public key", key(KeyConfig{ID: "k", Algorithm: "HS256", PublicKey: edPEM}), "HS256 needs a secret"},
		{"RS256 with a secret", key(KeyConfig{ID: "k", Algorithm: "RS256", Secret: secretA}), "RS256 needs a public key"},
		{"another algorithm's key", key(KeyConfig{ID: "k", Algorithm: "RS256", PublicKey: edPEM}), "a key for EdDSA, but algorithm is RS256"},
		{"a private key", key(KeyConfig{ID: "k", Algorithm: "EdDSA", PublicKey: private}), "PRIVATE KEY"},
		{"no PEM", key(KeyConfig{ID: "k", Algorithm: "EdDSA", PublicKey: "x"}), "public_key: not in PEM"},
		{"garbage in PEM", key(KeyConfig{ID: "k", Algorithm: "EdDSA", PublicKey: garbage}), "public_key: "},
		{"two PEM blocks", key(KeyConfig{ID: "k", Algorithm: "EdDSA", PublicKey: edPEM + edPEM}), "more than one"},
		{"a small RSA key", key(KeyConfig{ID: "k", Algorithm: "RS256", PublicKey: pemOf(smallRSA)}), "1024 bits"},
		{"an even RSA exponent", key(KeyConfig{ID: "k", Algorithm: "RS256", PublicKey: pemOf(evenRSA)}), "exponent"},
		{"another curve", key(KeyConfig{ID: "k", Algorithm: "ES256", PublicKey: pemOf(p384.Public())}), "P-384"},
		{"no file", key(KeyConfig{ID: "k", Algorithm: "EdDSA", PublicKeyFile: "testdata/none.pem"}), "public_key_file: open"},
		{"an id twice", key(KeyConfig{ID: "ok", Algorithm: "EdDSA", PublicKey: edPEM}), "another key has this id"},
		{"two keys without an id", Config{Keys: []KeyConfig{{Algorithm: "HS256", Secret: secretA}, {Algorithm: "HS256", Secret: secretB}}}, "keys[1]: a second key without an id"},
		{"a relative URL", Config{JWKSURL: "/jwks"}, "jwks_url"},
		{"a file URL", Config{JWKSURL: "file:///etc/keys"}, "jwks_url"},
		{"plain http", Config{JWKSURL: "http://id.example/jwks"}, "insecure_jwks_http"},
		{"refreshing too often", Config{JWKSURL: "https://id.example/jwks", JWKSRefresh: time.Second}, "jwks_refresh"},
		{"HS256 from a key set", Config{JWKSURL: "https://id.example/jwks", JWKSAlgorithms: []string{"HS256"}}, `jwks_algorithms: "HS256"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := New(map[string]Config{"acme": c.config}, Deps{})
			if err == nil || !strings.Contains(err.Error(), c.message) || !strings.Contains(err.Error(), `tenant "acme"`) {
				t.Fatalf("got %v", err)
			}
			if strings.Contains(err.Error(), secretA) {
				t.Errorf("leaks: %v", err)
			}
		})
	}
	if _, err := New(nil, Deps{}); err == nil {
		t.Error("no tenants were accepted")
	}
	if _, err := New(map[string]Config{"": house()["acme"]}, Deps{}); err == nil {
		t.Error("a tenant without a name was accepted")
	}
}

func TestNewAccepts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, []byte(pemOf(ecOf().Public())+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	pkcs1 := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&rsaOf().PublicKey)}))
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der := must(x509.CreateCertificate(rand.Reader, template, template, edOf().Public(), edOf()))
	certificate := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	v := newVerifier(t, map[string]Config{"acme": {
		JWKSURL: "http://keycloak:8080/jwks", InsecureHTTP: true,
		Keys: []KeyConfig{
			{ID: "file", Algorithm: "ES256", PublicKeyFile: file},
			{ID: "pkcs1", Algorithm: "RS256", PublicKey: pkcs1},
			{ID: "certificate", Algorithm: "EdDSA", PublicKey: certificate},
			{ID: "short", Algorithm: "HS256", Secret: "dev", InsecureShortSecret: true},
		},
	}})
	for header, key := range map[string]any{
		`{"alg":"ES256","kid":"file"}`: ecOf(), `{"alg":"RS256","kid":"pkcs1"}`: rsaOf(),
		`{"alg":"EdDSA","kid":"certificate"}`: edOf(), `{"alg":"HS256","kid":"short"}`: "dev",
	} {
		if _, err := v.Verify(t.Context(), sign(key, header, claimsOf())); err != nil {
			t.Errorf("%s: %v", header, err)
		}
	}
}

func TestReadmeConfig(t *testing.T) {
	text := must(os.ReadFile("README.md"))
	_, block, _ := strings.Cut(string(text), "```yaml\n")
	block, _, _ = strings.Cut(block, "```")
	var doc struct {
		Tenants map[string]struct {
			Auth Config `yaml:"auth"`
		} `yaml:"tenants"`
	}
	if err := yaml.UnmarshalWithOptions([]byte(block), &doc, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	tenants := map[string]Config{}
	for name, tenant := range doc.Tenants {
		tenants[name] = tenant.Auth
	}
	if len(tenants) != 2 {
		t.Fatalf("%d tenants", len(tenants))
	}
	newVerifier(t, tenants)
}
