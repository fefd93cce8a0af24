package main

import (
	"context"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/heddle-rt/heddle/clients/go/wire"
	"github.com/heddle-rt/heddle/cmd/heddle/loadtest"
	"github.com/heddle-rt/heddle/runtime/authenticate"
)

type loadtestCmd struct {
	Scenario string        `arg:"" enum:"idle,fanout,chat,storm" help:"idle, fanout, chat or storm."`
	URL      string        `default:"ws://127.0.0.1:8080/v1/ws" help:"Where clients connect."`
	Secret   string        `xor:"secret" env:"HEDDLE_SECRET" help:"The tenant's HS256 secret, to mint a token for each user."`
	File     string        `xor:"secret" type:"existingfile" placeholder:"FILE" help:"File with that secret; data/dev.secret of heddle dev."`
	Key      string        `help:"Key id (kid) of the secret, if the tenant has several keys."`
	Tenant   string        `default:"dev" help:"Tenant."`
	Conns    int           `help:"Connections, each a user of its own (default 1000)."`
	Rooms    int           `help:"Rooms that they are spread over (default one for 10 connections)."`
	Rate     int           `help:"chat: messages a second, of all together (default 1000)."`
	Window   int           `help:"fanout: messages without an answer (default 64)."`
	Size     int           `help:"Bytes of a message's text (default 128)."`
	Duration time.Duration `default:"10s" help:"How long to measure."`
	Durable  bool          `help:"Send durable messages; losing one is an error."`
	Resume   bool          `help:"storm: then drop all connections but those of the rooms' owners, and resume them."`
	Type     string        `default:"channel" help:"Type of the rooms."`
	Dialect  string        `enum:"json,msgpack" default:"json" help:"json or msgpack."`
	Metrics  string        `placeholder:"URL" help:"The node's /metrics, to report its memory."`
	JSON     bool          `help:"Report as JSON."`
}

func (c *loadtestCmd) Help() string {
	return `Verifies what it receives: lost, repeated or disordered durable messages end it with status 1.
Examples:
  heddle loadtest chat --file data/dev.secret --conns 500 --rooms 50 --rate 2000 --durable
  heddle loadtest storm --file data/dev.secret --conns 5000 --resume --json
  heddle loadtest idle --file data/dev.secret --conns 5000 --metrics http://127.0.0.1:9090/metrics`
}

func (c *loadtestCmd) Run() error {
	secret := []byte(c.Secret)
	if c.File != "" {
		text, err := os.ReadFile(c.File)
		if err != nil {
			return err
		}
		secret = []byte(strings.TrimSpace(string(text)))
	}
	dialect := wire.JSON
	if c.Dialect == "msgpack" {
		dialect = wire.MessagePack
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	report, err := loadtest.Run(ctx, loadtest.Options{
		URL: c.URL, Scenario: loadtest.Scenario(c.Scenario), Conns: c.Conns, Rooms: c.Rooms, Rate: c.Rate, Window: c.Window,
		Size: c.Size, Duration: c.Duration, Durable: c.Durable, Resume: c.Resume, RoomType: c.Type, Dialect: dialect,
		MetricsURL: c.Metrics, JSON: c.JSON, Out: os.Stdout, Progress: os.Stderr,
		Token: func(user string) (string, error) {
			now := time.Now()
			return authenticate.Mint(secret, c.Key, authenticate.Claims{Tenant: c.Tenant, User: user, Issued: now, Expires: now.Add(time.Hour)})
		},
	})
	if err != nil {
		return err
	}
	return report.Err()
}
