package ferret

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"

	"github.com/FerretDB/FerretDB/ferretdb"
	"golang.org/x/sync/errgroup"
)

// Config says where the server is, and where it keeps its data.
type Config struct {
	Listen string      // host:port
	Dir    string      // where the data stay; empty: nowhere
	TLS    *tls.Config // nil: connections are not encrypted
}

// Run runs a server until ctx ends. ready is told the connection string, when clients
// can connect.
func Run(ctx context.Context, cfg Config, ready func(uri string)) error {
	scratch, err := os.MkdirTemp("", "ferret")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	if cfg.Dir == "" {
		cfg.Dir = scratch
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return err
	}
	socket := filepath.Join(scratch, "socket")
	db, err := ferretdb.New(&ferretdb.Config{
		Listener: ferretdb.ListenerConfig{Unix: socket},
		Logger:   slog.New(slog.DiscardHandler),
		Handler:  "sqlite",
		// Nothing need survive the machine.
		SQLiteURL: (&url.URL{Scheme: "file", Opaque: dir + "/", RawQuery: "_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(off)"}).String(),
	})
	if err != nil {
		return fmt.Errorf("ferret: %w", err)
	}
	l, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return errors.Join(err, ended(ctx, db))
	}
	uri := url.URL{Scheme: "mongodb", Host: l.Addr().String(), Path: "/"}
	if cfg.TLS != nil {
		l = tls.NewListener(l, cfg.TLS)
		uri.RawQuery = "tls=true"
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return db.Run(ctx) })
	g.Go(func() error { return (&gate{upstream: socket}).run(ctx, l) })
	ready(uri.String())
	return g.Wait()
}

// ended closes a server that was never run.
func ended(ctx context.Context, db *ferretdb.FerretDB) error {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return db.Run(ctx)
}
