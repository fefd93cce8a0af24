package main

import (
	"fmt"
	"os"

	"github.com/heddle-rt/heddle/runtime/app"
	"github.com/heddle-rt/heddle/runtime/config"
)

type configCmd struct {
	Check     checkCmd     `cmd:"" help:"Report every fault with file, line and path; exit 1 if there is one."`
	Print     printCmd     `cmd:"" help:"Print what is in force, with the origin of each value. Secrets are hidden."`
	Schema    schemaCmd    `cmd:"" help:"Print a JSON Schema of the file, for editors."`
	Reference referenceCmd `cmd:"" help:"Print all options as Markdown."`
}

type checkCmd struct{ sources }

func (*checkCmd) Help() string {
	return `Reads the files, the environment (HEDDLE_...) and --set as serve does, and starts nothing. Examples:
  heddle config check --config heddle.yaml
  heddle config check --config heddle.yaml --config production.yaml`
}

func (c *checkCmd) Run() error {
	_, err := c.load("")
	switch {
	case err != nil && len(c.Config) == 0:
		return fmt.Errorf("%w\n(no --config FILE was given)", err)
	case err != nil:
		return err
	}
	fmt.Println("the configuration is valid")
	return nil
}

type printCmd struct{ sources }

func (*printCmd) Help() string {
	return `Prints YAML that can be a --config again, save for its secrets. Example:
  heddle config print --config heddle.yaml --set socket.listen=:9000`
}

func (c *printCmd) Run() error {
	r, err := c.load("")
	if err != nil {
		return err
	}
	return r.Print(os.Stdout)
}

type schemaCmd struct{}

func (*schemaCmd) Help() string {
	return `Example, for editors with the YAML language server, whose files begin with
"# yaml-language-server: $schema=heddle.schema.json":
  heddle config schema > heddle.schema.json`
}

func (*schemaCmd) Run() error {
	schema, err := config.Schema[app.Config]()
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(schema)
	return err
}

type referenceCmd struct{}

func (*referenceCmd) Help() string {
	return `Example:
  heddle config reference > CONFIG.md`
}

func (*referenceCmd) Run() error { return config.Reference[app.Config](os.Stdout) }
