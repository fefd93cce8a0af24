package native

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"

	"github.com/heddle-rt/heddle/plugins/native/wire"
)

// child is a program that runs, and the connection to it.
type child struct {
	client  *plugin.Client
	process *process // nil until go-plugin has asked for it; written by who starts it
	conn    *grpc.ClientConn

	mu     sync.Mutex // for who writes process, and who reads it meanwhile
	doomed bool       // what is started is killed
}

// began is told of the process before it is started.
func (c *child) began(p *process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.process = p
	if c.doomed {
		p.kill()
	}
}

// doom kills the process, also one that is still to be started.
func (c *child) doom() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.doomed = true
	if c.process != nil {
		c.process.kill()
	}
}

// dispensed hands out the connection; which service the program has shows when its
// stream is opened.
type dispensed struct {
	plugin.NetRPCUnsupportedPlugin
}

func (dispensed) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return nil }

func (dispensed) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return conn, nil
}

// start checks the program, starts it and connects; an error leaves nothing behind.
func start(ctx context.Context, cfg *Config, out *output) (*child, error) {
	if err := verify(cfg.Path, cfg.Hash); err != nil {
		return nil, err
	}
	c, life := &child{}, out.life()
	c.client = plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  plugin.HandshakeConfig{MagicCookieKey: wire.CookieKey, MagicCookieValue: wire.CookieValue},
		VersionedPlugins: map[int]plugin.PluginSet{wire.Version: {cfg.Kind: dispensed{}}},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		StartTimeout:     cfg.Start,
		Logger:           hclog.New(&hclog.LoggerOptions{Level: hclog.Off}), // we tell what counts; off, it takes no line of the program apart
		Stderr:           life.stream("stderr"),
		SyncStderr:       life.stream("stderr"),
		SyncStdout:       life.stream("stdout"),
		GRPCDialOptions:  []grpc.DialOption{grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(wire.MaxMessage))},
		RunnerFunc: func(_ hclog.Logger, spec *exec.Cmd, dir string) (runner.Runner, error) {
			p, err := newProcess(cfg, spec.Env, dir, life.stream("stdout"))
			if err != nil {
				return nil, err
			}
			c.began(p)
			return p, nil
		},
	})
	if err := c.connect(ctx, cfg); err != nil {
		why := c.stop(0)
		return nil, because(err, why)
	}
	return c, nil
}

// connect starts the program; the end of ctx kills it.
func (c *child) connect(ctx context.Context, cfg *Config) error {
	started := make(chan struct{})
	defer close(started)
	go func() { // ends with connect
		select {
		case <-ctx.Done():
			c.doom()
		case <-started:
		}
	}()
	protocol, err := c.client.Client()
	if err != nil {
		return errors.New(oneLine(err))
	}
	conn, err := protocol.Dispense(cfg.Kind)
	if err != nil {
		return err
	}
	c.conn = conn.(*grpc.ClientConn)
	return ctx.Err()
}

// oneLine is go-plugin's message for a log.
func oneLine(err error) string {
	return strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
}

// connected removes the socket's name: nobody else needs it, and a node that is killed
// leaves nothing behind.
func (c *child) connected() {
	_ = os.RemoveAll(c.process.dir) // go-plugin tries again
}

// stop ends the program, by force after the time, and returns how it ended, nil if by
// force.
func (c *child) stop(grace time.Duration) error {
	if c.process == nil {
		return nil
	}
	if grace <= 0 {
		_ = c.process.Kill(context.Background()) // never fails
	}
	force := time.AfterFunc(grace, c.process.kill) // a program that hangs would hold go-plugin for ever
	c.client.Kill()
	force.Stop()
	<-c.process.exited
	c.process.release()
	return c.process.err
}

// because adds how the program ended.
func because(err, end error) error {
	var exit *exec.ExitError
	if errors.As(end, &exit) {
		return fmt.Errorf("%w (the program: %v)", err, exit)
	}
	return err
}
