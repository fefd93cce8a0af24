package socket

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// certificate is the one in the files, as they were when last read.
type certificate struct {
	cfg     TLS
	config  *tls.Config
	current atomic.Pointer[tls.Certificate]
	changed [2]time.Time // modification times, of the watching goroutine
}

func newCertificate(cfg TLS) (*certificate, error) {
	c := &certificate{cfg: cfg}
	c.config = &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.current.Load(), nil
		},
	}
	c.changed = c.times()
	return c, c.load()
}

// load reads the files. After an error the old certificate stays.
func (c *certificate) load() error {
	pair, err := tls.LoadX509KeyPair(c.cfg.Cert, c.cfg.Key)
	if err != nil {
		return fmt.Errorf("socket: certificate: %w", err)
	}
	c.current.Store(&pair)
	return nil
}

func (c *certificate) times() (t [2]time.Time) {
	for i, name := range [...]string{c.cfg.Cert, c.cfg.Key} {
		if info, err := os.Stat(name); err == nil {
			t[i] = info.ModTime()
		}
	}
	return t
}

// watch reloads when a file has changed, until ctx ends.
func (c *certificate) watch(ctx context.Context, log *slog.Logger) {
	ticker := time.NewTicker(c.cfg.Reload)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		now := c.times()
		if now == c.changed {
			continue
		}
		c.changed = now
		if err := c.load(); err != nil {
			log.Error("the certificate changed, but cannot be used", "error", err)
			continue
		}
		log.Info("the certificate was read again")
	}
}
