// Package clienttls has the options of connections to servers of others', as adapters
// have them. It owns nothing.
package clienttls

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// Config says how connections are encrypted.
type Config struct {
	Enabled bool   `yaml:"enabled" doc:"Whether connections are encrypted."`
	CA      string `yaml:"ca" doc:"File with the certificates that may have signed the servers'; empty: the system's."`
	Cert    string `yaml:"cert" doc:"File with the certificate of this client, if the servers want one."`
	Key     string `yaml:"key" doc:"File with its key."`
}

// TLS is what to dial with; nil if connections are not encrypted.
func (c *Config) TLS() (*tls.Config, error) {
	if !c.Enabled {
		return nil, nil //nolint:nilnil // see above
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("tls.ca: %w", err)
		}
		if t.RootCAs = x509.NewCertPool(); !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca: no certificate in %s", c.CA)
		}
	}
	if c.Cert != "" || c.Key != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("tls.cert: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}
