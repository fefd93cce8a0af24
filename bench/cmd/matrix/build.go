package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const (
	natsModule = "github.com/nats-io/nats-server/v2@v2.15.2"
	socketIO   = "servers/socketio"
)

// build makes what the servers need, and returns those that can run: a server
// whose runtime is not installed on this machine is left out, with a word.
func build(ctx context.Context, o *options, list []server) ([]server, error) {
	bin, err := filepath.Abs(o.bin)
	if err != nil {
		return nil, err
	}
	if err := command(ctx, "", nil, "go", "build", "-o", bin+"/", "./cmd/...", "./servers/..."); err != nil {
		return nil, err
	}
	done := map[part]error{partOwn: nil}
	list = without(list, func(p part) error {
		if _, tried := done[p]; !tried {
			done[p] = install(ctx, o, p, bin)
		}
		return done[p]
	})
	return list, done[partHeddle]
}

// without leaves out the servers of which something is missing, with a word. Heddle
// stays: that it does not build is no reason to measure the others alone.
func without(list []server, missing func(part) error) []server {
	return slices.DeleteFunc(list, func(s server) bool {
		err := missing(s.needs)
		if err != nil {
			fmt.Fprintf(os.Stderr, "without %s: %v\n", s.name, err)
		}
		return err != nil && s.needs != partHeddle
	})
}

// installed says what is missing of a part that is neither built nor given here.
func installed(p part) error {
	if p != partNode {
		return nil
	}
	if _, err := exec.LookPath("node"); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(socketIO, "node_modules", "socket.io")); err != nil {
		return fmt.Errorf("npm ci was not run in %s: %w", socketIO, err)
	}
	return nil
}

func install(ctx context.Context, o *options, p part, bin string) error {
	switch p {
	case partHeddle:
		return command(ctx, "..", nil, "go", "build", "-o", filepath.Join(bin, "heddle"), "./cmd/heddle")
	case partNATS:
		if _, err := os.Stat(o.nats); err == nil {
			return nil
		}
		return command(ctx, "", []string{"GOBIN=" + bin}, "go", "install", natsModule)
	case partNode:
		if installed(p) == nil {
			return nil
		}
		if _, err := exec.LookPath("node"); err != nil {
			return err
		}
		return command(ctx, socketIO, nil, "npm", "ci", "--no-audit", "--no-fund")
	case partCentrifugo:
		if o.centrifugo == "" {
			return errors.New("-centrifugo does not say where it is")
		}
	}
	return nil
}

// command runs a program to its end in a folder; what it prints goes to standard
// error.
func command(ctx context.Context, dir string, env []string, args ...string) error {
	fmt.Fprintln(os.Stderr, strings.Join(args, " "))
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	c.Dir, c.Env = dir, append(os.Environ(), env...)
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	return nil
}
