// Command heddle is the whole product: server, development node, and tools.
package main

import (
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"github.com/heddle-rt/heddle/cmd/heddle/plugin"
)

type cli struct {
	Serve       serveCmd       `cmd:"" help:"Run a node from a config file."`
	Dev         devCmd         `cmd:"" help:"Run a node for development: embedded defaults, a tenant called dev, a page to chat on."`
	Token       tokenCmd       `cmd:"" help:"Mint a token (HS256) for development and tests."`
	Config      configCmd      `cmd:"" help:"Check, print or describe the configuration."`
	Loadtest    loadtestCmd    `cmd:"" help:"Drive load against a node and verify what comes back."`
	Deadletters deadlettersCmd `cmd:"" help:"List, replay or drop events that failed by a fault of the node."`
	Worker      workerCmd      `cmd:"" help:"Look after what workers bring from the log into the store."`
	Plugin      plugin.Cmd     `cmd:"" help:"Build, test and deploy plugins."`
	Version     versionCmd     `cmd:"" help:"Print the version."`
}

const description = `A programmable edge for real-time applications.

Examples:
  heddle dev                                     a node and a chat page on http://127.0.0.1:8080
  heddle serve --config heddle.yaml              a node as configured
  heddle config check --config heddle.yaml       every fault with file, line and path
  HEDDLE_SECRET="$SECRET" heddle token --tenant acme --user ann
  HEDDLE_SECRET="$SECRET" heddle loadtest chat --tenant acme --conns 500 --rooms 50 --rate 1000
  heddle plugin new --lang go links              begin a plugin`

func main() {
	var c cli
	parser, err := kong.New(&c, kong.Name("heddle"), kong.Description(description),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.UsageOnError())
	if err != nil {
		fmt.Fprintln(os.Stderr, "heddle:", err)
		os.Exit(2)
	}
	k, err := parser.Parse(os.Args[1:])
	parser.FatalIfErrorf(err)
	if err := k.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "heddle:", err)
		os.Exit(1)
	}
}
