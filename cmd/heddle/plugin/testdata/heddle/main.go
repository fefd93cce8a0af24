// Command heddle is the binary, as far as it is package plugin's.
package main

import (
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"github.com/heddle-rt/heddle/cmd/heddle/plugin"
)

func main() {
	var c struct {
		Plugin plugin.Cmd `cmd:""`
	}
	parser, err := kong.New(&c, kong.Name("heddle"), kong.ConfigureHelp(kong.HelpOptions{Compact: true}), kong.UsageOnError())
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
