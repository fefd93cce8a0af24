package plugin

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// Cmd is heddle plugin.
type Cmd struct {
	New     newCmd     `cmd:"" help:"Begin a plugin: a folder with source, SDK, manifest and a fixture. No network is needed."`
	Build   buildCmd   `cmd:"" help:"Build the bundle, and refuse what a node would refuse."`
	Test    testCmd    `cmd:"" help:"Build it and run its fixtures."`
	Bench   benchCmd   `cmd:"" help:"Measure what an event costs, with the events of its fixtures."`
	Inspect inspectCmd `cmd:"" help:"Show what is in a bundle or module."`

	Dev      devCmd      `cmd:"" help:"Put it into a node, again after each change, and print its log."`
	Deploy   deployCmd   `cmd:"" help:"Put it into a node: live, as a canary, or as a shadow."`
	List     listCmd     `cmd:"" help:"List the plugins of the tenant."`
	Status   statusCmd   `cmd:"" help:"Show a plugin's versions and how they do."`
	Promote  promoteCmd  `cmd:"" help:"Make the canary live."`
	Rollback rollbackCmd `cmd:"" help:"Make an earlier version live."`
	Stop     stopCmd     `cmd:"" help:"End the canary and the shadow."`
	Remove   removeCmd   `cmd:"" help:"Take a plugin away with all its versions."`
	Logs     logsCmd     `cmd:"" help:"Print a plugin's log."`
	Diffs    diffsCmd    `cmd:"" help:"Show events about which the shadow decided otherwise."`
	Replay   replayCmd   `cmd:"" help:"Run events of rooms' history through a new version, and show what it decides otherwise."`
}

// Help is printed above the list of commands.
func (*Cmd) Help() string {
	return `From nothing to a live plugin:
  heddle plugin new --lang go links
  cd links
  heddle plugin test
  heddle plugin dev --url http://127.0.0.1:8080 --key ID.SECRET

URL and key may also come from HEDDLE_URL and HEDDLE_KEY: heddle dev starts a node, and prints both.`
}

// interruptible ends with the first SIGINT or SIGTERM.
func interruptible() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}
