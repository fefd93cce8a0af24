package serve

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/heddle-rt/heddle/plugins/native/wire"
)

// Log is a logger whose lines come into the node's log as they are.
func Log() *slog.Logger {
	return slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// service is what a program offers, and how it ends.
type service struct {
	plugin.NetRPCUnsupportedPlugin
	register func(*grpc.Server)
	server   atomic.Pointer[grpc.Server]
	calls    sync.WaitGroup // conversations
}

// GRPCServer registers the service.
func (s *service) GRPCServer(_ *plugin.GRPCBroker, server *grpc.Server) error {
	s.register(server)
	return nil
}

// GRPCClient is the node's side, which is not here.
func (s *service) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("serve: this is the program's side")
}

// lastWork is how long conversations may take to end once the node has stopped or died.
const lastWork = 2 * time.Second

// run serves until the node says stop, or has died.
func (s *service) run(kind string) {
	// Terminals and service managers signal all of a group; the node says when to stop.
	// A channel that nobody reads, because ignored signals would be inherited.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	if fd := os.Getenv(wire.LifelineEnv); fd != "" {
		go s.watch(fd) // ends with the process
	}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  plugin.HandshakeConfig{MagicCookieKey: wire.CookieKey, MagicCookieValue: wire.CookieValue},
		VersionedPlugins: map[int]plugin.PluginSet{wire.Version: {kind: s}},
		Logger:           hclog.New(&hclog.LoggerOptions{Name: "go-plugin", Level: hclog.Warn, Output: os.Stderr}),
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			server := grpc.NewServer(append(opts, grpc.MaxRecvMsgSize(wire.MaxMessage))...)
			s.server.Store(server)
			return server
		},
	})
	ended := make(chan struct{})
	go func() { s.calls.Wait(); close(ended) }() // ends with the process
	select {
	case <-ended:
	case <-time.After(lastWork):
	}
}

// converse answers message by message, until the node closes its side.
func converse[Q, A any](s *service, stream grpc.BidiStreamingServer[Q, A], handle func(context.Context, *Q) *A) error {
	s.calls.Add(1)
	defer s.calls.Done()
	if err := stream.SendHeader(nil); err != nil {
		return err
	}
	for {
		in, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := stream.Send(handle(stream.Context(), in)); err != nil {
			return err
		}
	}
}

// milliseconds is a time to wait, in the protocol's form.
func milliseconds(d time.Duration) uint32 {
	return uint32(min(max(d.Milliseconds(), 0), math.MaxUint32))
}

// within is the context of one batch.
func within(ctx context.Context, ms uint32) (context.Context, context.CancelFunc) {
	if ms == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Duration(ms)*time.Millisecond)
}
