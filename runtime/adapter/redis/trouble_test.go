package redis

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/adapter/redis/redistest"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/session"
)

// refuses expects that Connect fails with one line that has all of that.
func refuses(t *testing.T, cfg Config, want ...string) {
	t.Helper()
	c, err := Connect(cfg)
	if err == nil {
		c.Close()
		t.Fatalf("connected; want an error with %q", want)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) || strings.Contains(err.Error(), "\n") {
			t.Errorf("the error is %q, want %q in it", err, w)
		}
	}
}

func to(s *redistest.Server, change func(*Config)) Config {
	cfg := at(&redistest.Group{Addresses: []string{s.Addr}})
	if change != nil {
		change(&cfg)
	}
	return cfg
}

func TestConnectRefuses(t *testing.T) {
	refuses(t, Config{}, "no addresses")
	refuses(t, Config{Addresses: []string{"127.0.0.1:1"}, Timeout: time.Second}, "nobody listens", "127.0.0.1:1")
	open, locked := redistest.Start(t), redistest.Start(t, "--requirepass", "secret")
	refuses(t, to(locked, nil), "set redis.password")
	refuses(t, to(locked, func(c *Config) { c.Password = "wrong" }), "refuses the password")
	open.Do(t, "ACL", "SETUSER", "heddle", "on", ">secret", "~*", "&*", "+@all", "-info")
	refuses(t, to(open, func(c *Config) { c.Username, c.Password = "heddle", "secret" }), "widen its ACL")
	open.Do(t, "REPLICAOF", "127.0.0.1", "1")
	refuses(t, to(open, nil), "is a replica", "name the master", open.Addr)
}

func TestConnectByTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := certificate(t, dir, "server")
	other, _ := certificate(t, dir, "other")
	plain := redistest.Start(t)
	locked := redistest.Start(t, "--tls-auth-clients", "no", "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert, "--tls")
	by := func(ca string) func(*Config) { return func(c *Config) { c.TLS.Enabled, c.TLS.CA = true, ca } }
	refuses(t, to(plain, func(c *Config) { by(cert)(c); c.Timeout = 200 * time.Millisecond }), "does not encrypt")
	refuses(t, to(locked, nil), "set redis.tls.enabled")
	refuses(t, to(locked, by(other)), "set redis.tls.ca")
	refuses(t, to(locked, by(cert+"x")), "tls.ca")
	c, err := Connect(to(locked, by(cert)))
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// certificate makes one that signs itself.
func certificate(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(kind, file string, b []byte) string {
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("CERTIFICATE", name+".pem", der), write("PRIVATE KEY", name+".key", secret)
}

// TestConnectToAnOldRedis that answers as version 6 does.
func TestConnectToAnOldRedis(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil { // it is closed
				return
			}
			group.Go(func() { old(c) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); group.Wait() })
	refuses(t, Config{Addresses: []string{l.Addr().String()}, Timeout: time.Second}, "is version 6.2.14", "want 7.0 or later")
}

// old answers until its client hangs up.
func old(c net.Conn) {
	defer c.Close() // nobody reads what it may tell
	for r := bufio.NewReader(c); ; {
		var n, size int
		if _, err := fmt.Fscanf(r, "*%d\r\n", &n); err != nil {
			return
		}
		words := make([]string, n)
		for i := range words {
			if _, err := fmt.Fscanf(r, "$%d\r\n", &size); err != nil {
				return
			}
			b := make([]byte, size+len("\r\n"))
			for at := 0; at < len(b); {
				n, err := r.Read(b[at:])
				if err != nil {
					return
				}
				at += n
			}
			words[i] = string(b[:size])
		}
		info, answer := "redis_version:6.2.14\r\nrole:master\r\n", "+OK\r\n"
		switch words[0] {
		case "HELLO":
			answer = "%3\r\n+server\r\n+redis\r\n+version\r\n+6.2.14\r\n+proto\r\n:3\r\n"
		case "CLUSTER":
			answer = "-ERR This instance has cluster support disabled\r\n"
		case "INFO":
			answer = fmt.Sprintf("$%d\r\n%s\r\n", len(info), info)
		}
		if _, err := c.Write([]byte(answer)); err != nil {
			return
		}
	}
}

// TestConnectToOneThatLoads waits for the data to be there.
func TestConnectToOneThatLoads(t *testing.T) {
	server := redistest.Start(t, "--dbfilename", "data", "--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024")
	server.Do(t, "EVAL", "for i = 1, 1000 do redis.call('SET', i, string.rep('x', 2000)) end", "0")
	server.Do(t, "SAVE")
	server.Kill()
	server.Run(t)
	refuses(t, to(server, nil), "still loading")
	for late := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if c, err := Connect(to(server, nil)); err == nil {
			c.Close()
			return
		} else if time.Now().After(late) {
			t.Fatal(err)
		}
	}
}

func TestValidate(t *testing.T) {
	if err := (&Config{}).Validate(); err == nil {
		t.Error("without an address")
	}
}

// TestTroubleAndRecovery: requests say what is the matter, and work again without anything
// being done here.
func TestTroubleAndRecovery(t *testing.T) {
	server := redistest.Start(t)
	c := connect(t, server)
	s := NewSessions(c, time.Now)
	save := func() error {
		return s.Save(t.Context(), session.Record{Tenant: "acme", User: "ann", ID: "s1", Expires: time.Now().Add(time.Hour).UnixMilli()})
	}
	for name, x := range map[string]struct {
		broken, whole []string
		want          string
		check         bool // Check sees it, too
	}{
		"no memory": {[]string{"CONFIG", "SET", "maxmemory", "1"}, []string{"CONFIG", "SET", "maxmemory", "0"}, "raise maxmemory", false},
		"a replica": {[]string{"REPLICAOF", "127.0.0.1", "1"}, []string{"REPLICAOF", "NO", "ONE"}, "replica", true},
		"alone":     {[]string{"CONFIG", "SET", "min-replicas-to-write", "1"}, []string{"CONFIG", "SET", "min-replicas-to-write", "0"}, "too few replicas", false},
	} {
		server.Do(t, x.broken...)
		err := save()
		if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err := c.Check(t.Context()); (err != nil) != x.check {
			t.Errorf("%s: checked with %v", name, err)
		}
		server.Do(t, x.whole...)
		redistest.Eventually(t, name+" is over", func() bool { return save() == nil && c.Check(t.Context()) == nil })
	}
}

// TestEmpty: a Redis that has forgotten everything, its scripts too, is one that works.
func TestEmpty(t *testing.T) {
	server := redistest.Start(t)
	s := NewSessions(connect(t, server), time.Now)
	r := session.Record{Tenant: "acme", User: "ann", ID: "s1", Generation: 7, Expires: time.Now().Add(time.Hour).UnixMilli()}
	if err := s.Save(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	server.Do(t, "FLUSHALL")
	server.Do(t, "SCRIPT", "FLUSH")
	if _, found, err := s.Load(t.Context(), "acme", "s1"); err != nil || found {
		t.Error(found, err)
	}
	if err := s.Save(t.Context(), r, r); err != nil {
		t.Error(err)
	}
	if got, found, err := s.Load(t.Context(), "acme", "s1"); err != nil || !found || got.Generation != 7 {
		t.Error(got, found, err)
	}
}
