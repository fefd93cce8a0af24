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
	return slices.DeleteFunc(list, func(s server) bool {
		if _, tried := done[s.needs]; !tried {
			done[s.needs] = install(ctx, o, s.needs, bin)
		}
		if done[s.needs] != nil {
			fmt.Fprintf(os.Stderr, "without %s: %v\n", s.name, done[s.needs])
			return s.needs != partHeddle
		}
		return false
	}), done[partHeddle]
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
		if _, err := os.Stat(filepath.Join(socketIO, "node_modules")); err == nil {
			return nil
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
