package socket

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/heddle-rt/heddle/runtime/frame"
)

func TestProxyProtocol(t *testing.T) {
	src, dst := &net.TCPAddr{IP: net.IPv4(203, 0, 113, 9), Port: 4711}, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80}
	for _, tc := range []struct {
		name    string
		version byte
		trusted string
		want    string // "" is cut
	}{
		{"version 1", 1, "127.0.0.0/8", "203.0.113.9:4711"},
		{"version 2", 2, "127.0.0.1", "203.0.113.9:4711"},
		{"none", 0, "127.0.0.1", "self"},
		{"not trusted", 2, "10.0.0.0/8", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := newApp()
			s := serve(t, a, func(c *Config, _ *Deps) {
				c.Proxies.Trusted, c.Proxies.Protocol = []string{tc.trusted}, true
			})
			c := connect(t, s)
			if tc.version > 0 {
				if _, err := proxyproto.HeaderProxyFromAddrs(tc.version, src, dst).WriteTo(c); err != nil {
					t.Fatal(err)
				}
			}
			_, _ = io.WriteString(c, request("/v1/ws"))
			r, err := http.ReadResponse(c.br, nil)
			if tc.want == "" {
				if err == nil && r.StatusCode != http.StatusBadRequest {
					t.Errorf("status %d", r.StatusCode)
				}
				return
			}
			if err != nil || r.StatusCode != 101 {
				t.Fatal(r, err)
			}
			want := strings.Replace(tc.want, "self", c.LocalAddr().String(), 1)
			if got := receive(t, "open", a.opened).Remote().String(); got != want {
				t.Errorf("remote %s, want %s", got, want)
			}
		})
	}
}

func TestForwarded(t *testing.T) {
	trusted, err := prefixes([]string{"10.0.0.0/8", "2001:db8::/32"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, header, line, peer, want string }{
		{"one hop", "x-forwarded-for", "203.0.113.9", "10.0.0.1:80", "203.0.113.9:0"},
		{"forged first hop", "x-forwarded-for", "1.1.1.1, 203.0.113.9", "10.0.0.1:80", "203.0.113.9:0"},
		{"two proxies", "x-forwarded-for", "1.1.1.1, 203.0.113.9, 10.0.0.7", "10.0.0.1:80", "203.0.113.9:0"},
		{"with port", "x-forwarded-for", "203.0.113.9:1234", "10.0.0.1:80", "203.0.113.9:1234"},
		{"garbage", "x-forwarded-for", "203.0.113.9, unknown", "10.0.0.1:80", "10.0.0.1:80"},
		{"none", "x-forwarded-for", "", "10.0.0.1:80", "10.0.0.1:80"},
		{"rfc 7239", "forwarded", `for=1.1.1.1, For="[2001:db9::7]:4711";proto=https`, "10.0.0.1:80", "[2001:db9::7]:4711"},
		{"rfc 7239, two proxies", "forwarded", `for=203.0.113.9;by=x, for="[2001:db8::7]"`, "10.0.0.1:80", "203.0.113.9:0"},
		{"switched off", "none", "203.0.113.9", "10.0.0.1:80", "10.0.0.1:80"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := http.Header{}
			h.Set(tc.header, tc.line)
			if got := forwarded(h, tc.header, trusted, netip.MustParseAddrPort(tc.peer)); got.String() != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

// writeCert makes a certificate for one name in dir.
func writeCert(t *testing.T, dir, name string) TLS {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotAfter: time.Now().Add(time.Hour), DNSNames: []string{name},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	files := TLS{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"), Reload: 20 * time.Millisecond}
	for file, block := range map[string]*pem.Block{
		files.Cert: {Type: "CERTIFICATE", Bytes: cert},
		files.Key:  {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func dialTLS(t *testing.T, s *Server) (*client, string) {
	t.Helper()
	c, err := tls.Dial("tcp", s.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return &client{Conn: c, br: bufio.NewReader(c), t: t}, c.ConnectionState().PeerCertificates[0].Subject.CommonName
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	files := writeCert(t, dir, "one")
	a := newApp()
	s := serve(t, a, func(c *Config, _ *Deps) { c.TLS = files })
	c, name := dialTLS(t, s)
	if name != "one" {
		t.Errorf("certificate of %s", name)
	}
	c.ask(request("/v1/ws"))
	conn := receive(t, "open", a.opened)
	c.send(0x81, "hello")
	c.expect(0x81, "hello")
	for range 300 { // more than one write, and more than the buffer
		conn.Push(message(strings.Repeat("t", 1000), frame.Durable, ""))
	}
	conn.Close(1000, "done")
	for range 300 {
		c.expect(0x81, strings.Repeat("t", 1000))
	}
	c.expectClose(1000, "done")
	_ = c.Close()

	writeCert(t, dir, "two")
	later := time.Now().Add(time.Hour)
	_ = os.Chtimes(files.Cert, later, later)
	eventually(t, "new certificate", func() bool {
		c, name := dialTLS(t, s)
		_ = c.Close()
		return name == "two"
	})
	_ = os.WriteFile(files.Key, []byte("broken"), 0o600)
	if s.Reload() == nil {
		t.Error("a broken key was taken")
	}
	if _, name := dialTLS(t, s); name != "two" {
		t.Errorf("certificate of %s", name)
	}
}

func TestSlowTLSClientIsCut(t *testing.T) {
	files := writeCert(t, t.TempDir(), "one")
	a := newApp()
	s := serve(t, a, func(c *Config, _ *Deps) {
		c.TLS, c.Queue.WriteTimeout, c.CloseTimeout = files, 100*time.Millisecond, time.Second
	})
	c, _ := dialTLS(t, s)
	c.ask(request("/v1/ws"))
	conn := receive(t, "open", a.opened)
	for conn.Push(message(strings.Repeat("t", 64<<10), frame.Durable, "")) {
	}
	receive(t, "closed", a.closed)
}
