// Command child is a plugin with a fault for each test.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/heddle-rt/heddle/plugins/native/serve"
	"github.com/heddle-rt/heddle/plugins/native/wire"
)

func main() {
	mode, arg := os.Args[1], ""
	if len(os.Args) > 2 {
		arg = os.Args[2]
	}
	switch mode {
	case "echo":
		serve.Authenticator(func(_ context.Context, c serve.Credentials) (*serve.Identity, error) {
			return &serve.Identity{User: c.Token, EveryRoom: true}, nil
		})
	case "answers":
		serve.Authenticator(answers)
	case "environment":
		serve.Authenticator(environment)
	case "stuck":
		serve.Authenticator(func(context.Context, serve.Credentials) (*serve.Identity, error) { select {} })
	case "strays":
		conversation(wire.Version, &strays{})
	case "version":
		conversation(wire.Version+1, &strays{})
	case "nothing":
		fmt.Println("hello")
	case "outcomes":
		serve.Notifier(outcomes())
	case "notifier-crash":
		serve.Notifier(func(_ context.Context, batch []*serve.Notification) []serve.Outcome {
			crashOnce(arg)
			return make([]serve.Outcome, len(batch))
		})
	case "poison":
		serve.Moderator(poison)
	case "slow":
		serve.Moderator(func(_ context.Context, batch []*serve.Message) []serve.Verdict {
			time.Sleep(250 * time.Millisecond)
			return flags(batch)
		})
	case "hang":
		serve.Moderator(func(_ context.Context, batch []*serve.Message) []serve.Verdict {
			if first(arg) {
				select {}
			}
			return flags(batch)
		})
	case "flood":
		serve.Moderator(flood)
	case "orphan":
		serve.Moderator(func(_ context.Context, batch []*serve.Message) []serve.Verdict {
			if first(arg) {
				orphan()
			}
			return flags(batch)
		})
	case "family":
		cmd := exec.Command(os.Args[0], "stall")
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		fmt.Fprintln(os.NewFile(2, "stderr"), "my child is", cmd.Process.Pid)
		serve.Moderator(family)
	case "sleep":
		time.Sleep(4 * time.Second)
	case "stall":
		time.Sleep(10 * time.Minute)
	case "third":
		serve.Sink(third(arg))
	case "refuse":
		serve.Sink(refuse(arg))
	case "discard":
		serve.Sink(func(context.Context, serve.Batch) error { return nil })
	case "gate":
		serve.Sink(gate(arg))
	default:
		panic("no such mode: " + mode)
	}
}

// first reports whether nobody has asked for this file before.
func first(file string) bool {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return false
	}
	_ = f.Close()
	return true
}

func crashOnce(file string) {
	if first(file) {
		panic("as told")
	}
}

// answers are what the token says, in JSON.
func answers(_ context.Context, c serve.Credentials) (*serve.Identity, error) {
	var say struct {
		Identity *serve.Identity
		Refusal  *serve.Refusal
		Error    string
	}
	if err := json.Unmarshal([]byte(c.Token), &say); err != nil {
		return nil, err
	}
	switch {
	case say.Refusal != nil:
		return nil, say.Refusal
	case say.Error != "":
		return nil, errors.New(say.Error)
	}
	return say.Identity, nil
}

func environment(context.Context, serve.Credentials) (*serve.Identity, error) {
	names := []string{}
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		names = append(names, name)
	}
	stdin, err := os.Stdin.Stat()
	if err != nil {
		return nil, err
	}
	meta, err := json.Marshal(map[string]any{"names": names, "args": os.Args[2:], "secret": os.Getenv("SECRET"), "stdin": stdin.Mode().String()})
	return &serve.Identity{User: "env", Metadata: meta}, err
}

// conversation serves an authenticator that is not made by package serve.
func conversation(version int, s *strays) {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  plugin.HandshakeConfig{MagicCookieKey: wire.CookieKey, MagicCookieValue: wire.CookieValue},
		VersionedPlugins: map[int]plugin.PluginSet{version: {wire.KindAuthenticator: s}},
		GRPCServer:       plugin.DefaultGRPCServer,
	})
}

// strays answers numbers that nobody has asked.
type strays struct {
	plugin.NetRPCUnsupportedPlugin
	wire.UnimplementedAuthenticatorServer
}

func (s *strays) GRPCServer(_ *plugin.GRPCBroker, server *grpc.Server) error {
	wire.RegisterAuthenticatorServer(server, s)
	return nil
}

func (s *strays) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("the other side")
}

func (s *strays) Authenticate(stream grpc.BidiStreamingServer[wire.Tokens, wire.Decisions]) error {
	if err := stream.SendHeader(nil); err != nil {
		return err
	}
	for {
		in, err := stream.Recv()
		if err != nil {
			return err
		}
		out := &wire.Decisions{}
		for _, t := range in.Tokens {
			out.Decisions = append(out.Decisions, &wire.Decision{
				Number: t.Number + 1000, Decision: &wire.Decision_Identity{Identity: &wire.Identity{Tenant: "acme", User: "eve", EveryRoom: true}},
			})
		}
		if err := stream.Send(out); err != nil {
			return err
		}
	}
}

// outcomes are what the text says; one to be tried again is delivered at the third time.
func outcomes() func(context.Context, []*serve.Notification) []serve.Outcome {
	tried := map[string]int{}
	return func(_ context.Context, batch []*serve.Notification) []serve.Outcome {
		var out []serve.Outcome
		for _, n := range batch {
			tried[n.Id]++
			switch {
			case n.Text == "dead":
				out = append(out, serve.Dead("no such device"))
			case n.Text == "never":
				out = append(out, serve.Retry("busy", 0))
			case n.Text == "third" && tried[n.Id] < 3:
				out = append(out, serve.Retry("busy", time.Millisecond))
			default:
				out = append(out, serve.Delivered())
			}
		}
		return out
	}
}

func flags(batch []*serve.Message) []serve.Verdict {
	out := make([]serve.Verdict, len(batch))
	for i, m := range batch {
		out[i] = serve.Flag(m.Id)
	}
	return out
}

func poison(_ context.Context, batch []*serve.Message) []serve.Verdict {
	fmt.Fprintln(os.NewFile(2, "stderr"), "it judges")
	for _, m := range batch {
		if strings.Contains(string(m.Data), "poison") {
			panic("poison")
		}
	}
	return flags(batch)
}

// flood writes much more than a log can bear, and what go-plugin's own reader panics of.
func flood(_ context.Context, batch []*serve.Message) []serve.Verdict {
	raw := os.NewFile(2, "stderr")
	fmt.Fprintln(raw, `{"@message":5,"@level":{}}`)
	fmt.Fprintln(raw, `{"level":"WARN","msg":"a line with a level","n":1}`)
	fmt.Fprintln(raw, strings.Repeat("x", 200<<10))
	for i := range 20_000 {
		fmt.Fprintln(raw, "line", i)
	}
	fmt.Println("on standard output")
	return flags(batch)
}

// family ends, or hangs.
func family(_ context.Context, batch []*serve.Message) []serve.Verdict {
	for _, m := range batch {
		switch {
		case strings.Contains(string(m.Data), "panic"):
			panic("as told")
		case strings.Contains(string(m.Data), "exit"):
			os.Exit(0)
		case strings.Contains(string(m.Data), "hang"):
			select {}
		}
	}
	return flags(batch)
}

// orphan leaves a process behind that holds the outputs, in a group of its own, and
// crashes.
func orphan() {
	cmd := exec.Command(os.Args[0], "sleep")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Stdout, cmd.Stderr = os.NewFile(1, "stdout"), os.NewFile(2, "stderr")
	if err := cmd.Start(); err != nil {
		panic(err)
	}
	panic("as told")
}

// write adds what a sink has stored to a file: the ids of records, on a line the batch.
func write(file string, b serve.Batch) {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	var ids []string
	for _, r := range b.Records {
		ids = append(ids, r.Id)
	}
	if _, err := fmt.Fprintf(f, "%d %s\n", b.Lost, strings.Join(ids, " ")); err != nil {
		panic(err)
	}
}

// third crashes on every third batch.
func third(file string) func(context.Context, serve.Batch) error {
	n := 0
	return func(_ context.Context, b serve.Batch) error {
		if n++; n == 3 {
			panic("the third batch")
		}
		write(file, b)
		return nil
	}
}

// refuse refuses twice, when several batches may be on their way.
func refuse(file string) func(context.Context, serve.Batch) error {
	var n atomic.Int32
	return func(_ context.Context, b serve.Batch) error {
		if k := n.Add(1); k == 20 || k == 40 {
			return errors.New("the disk is full")
		}
		write(file, b)
		return nil
	}
}

// gate stores nothing before the file's neighbour is there.
func gate(file string) func(context.Context, serve.Batch) error {
	return func(ctx context.Context, b serve.Batch) error {
		for {
			if _, err := os.Stat(file + ".open"); err == nil {
				break
			}
			select {
			case <-time.After(2 * time.Millisecond):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		write(file, b)
		return nil
	}
}
