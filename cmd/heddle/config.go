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

func (c *checkCmd) Run() error {
	if _, err := c.load(""); err != nil {
		return err
	}
	fmt.Println("the configuration is valid")
	return nil
}

type printCmd struct{ sources }

func (c *printCmd) Run() error {
	r, err := c.load("")
	if err != nil {
		return err
	}
	return r.Print(os.Stdout)
}

type schemaCmd struct{}

func (*schemaCmd) Run() error {
	schema, err := config.Schema[app.Config]()
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(schema)
	return err
}

type referenceCmd struct{}

func (*referenceCmd) Run() error { return config.Reference[app.Config](os.Stdout) }
