package mongo

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/heddle-rt/heddle/backends/ferret"
	"github.com/heddle-rt/heddle/runtime/adapter/clienttls"
	"github.com/heddle-rt/heddle/runtime/adapter/mongo"
)

// certificate is one that signs itself, and the file that it is in.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &secret.PublicKey, secret)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: secret}, file
}

// foreign is a server of something else, which answers in its own words.
func foreign(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() { // ended by the cleanup
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1024))
			_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
			_ = c.Close()
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	return l.Addr().String()
}

// TestWrongServer: the error says what an operator has to look at, and has no password.
func TestWrongServer(t *testing.T) {
	cert, file := certificate(t)
	plain, _ := ferret.Serve(t, ferret.Config{Listen: "127.0.0.1:0"})
	encrypted, _ := ferret.Serve(t, ferret.Config{Listen: "127.0.0.1:0", TLS: &tls.Config{Certificates: []tls.Certificate{cert}}})
	host := func(uri string) string { return strings.TrimSuffix(strings.TrimPrefix(uri, "mongodb://"), "/") }
	tlsHost, _, _ := strings.Cut(host(encrypted), "/")
	for _, c := range []struct {
		name, uri string
		tls       clienttls.Config
		want      string // "": it works
	}{
		{"a server", plain, clienttls.Config{}, ""},
		{"encrypted", "mongodb://" + tlsHost, clienttls.Config{Enabled: true, CA: file}, ""},
		{"nobody there", "mongodb://127.0.0.1:1", clienttls.Config{}, "does not answer"},
		{"wrong password", "mongodb://heddle:secret@" + host(plain) + "/?authMechanism=SCRAM-SHA-256", clienttls.Config{}, "refuses the name or password"},
		{"something else", "mongodb://" + foreign(t), clienttls.Config{}, "does not answer as MongoDB does"},
		{"not encrypted here", "mongodb://" + tlsHost, clienttls.Config{}, "may want mongo.tls"},
		{"not encrypted there", plain, clienttls.Config{Enabled: true}, "no encrypted connection"},
		{"a certificate of others", "mongodb://" + tlsHost, clienttls.Config{Enabled: true}, "no encrypted connection"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, deps := settings(t, c.uri)
			cfg.TLS = c.tls
			if c.want != "" {
				cfg.Timeout = 500 * time.Millisecond
			}
			s := connect(t, cfg, deps)
			err := s.Migrate(t.Context())
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v; want %s", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("there is the password in %v", err)
			}
		})
	}
}

// TestMigrate: several nodes start at once, and later again; one that is older than the
// database refuses it.
func TestMigrate(t *testing.T) {
	uri := ferret.Start(t)
	cfg, deps := settings(t, uri)
	var nodes sync.WaitGroup
	for range 2 {
		s := connect(t, cfg, deps)
		nodes.Go(func() {
			for range 2 {
				if err := s.Migrate(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	nodes.Wait()
	client, err := driver.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Disconnect(t.Context())
	db := client.Database(cfg.Database)
	indexes, err := db.Collection("rows").Indexes().ListSpecifications(t.Context())
	if err != nil || len(indexes) != 2 {
		t.Errorf("%d indexes, %v", len(indexes), err)
	}
	if _, err := db.Collection("meta").UpdateOne(t.Context(), bson.D{{Key: "_id", Value: "schema"}}, bson.D{{Key: "$inc", Value: bson.D{{Key: "version", Value: 1}}}}); err != nil {
		t.Fatal(err)
	}
	if err := connect(t, cfg, deps).Migrate(t.Context()); err == nil || !strings.Contains(err.Error(), "schema 2, and this program knows up to 1") {
		t.Errorf("%v", err)
	}
}

func TestConfig(t *testing.T) {
	for name, change := range map[string]func(*mongo.Config){
		"no uri":       func(c *mongo.Config) { c.URI = "" },
		"no database":  func(c *mongo.Config) { c.Database = "" },
		"not a uri":    func(c *mongo.Config) { c.URI = "http://user:secret@127.0.0.1" },
		"not a number": func(c *mongo.Config) { c.URI = "mongodb://user:secret@127.0.0.1:port" },
		"no such file": func(c *mongo.Config) { c.TLS = clienttls.Config{Enabled: true, CA: "/none"} },
	} {
		cfg, deps := settings(t, "mongodb://127.0.0.1")
		change(&cfg)
		if _, err := mongo.Connect(cfg, deps); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
