package meter

import (
	"errors"
	"fmt"

	"github.com/heddle-rt/heddle/plugins/wasm"
	"github.com/heddle-rt/heddle/runtime/config"
)

// PageSize is the number of bytes in a page of WebAssembly memory.
const PageSize = 64 << 10

// Config is what a module may be, and how it is metered. The zero value of a
// number is not its default: start from Default.
type Config struct {
	Limit  int         `yaml:"limit" default:"256" min:"1" max:"65536" doc:"Weight of the code between two charges: about as many instructions run at most without fuel being counted."`
	Depth  config.Size `yaml:"depth" default:"1MiB" min:"4KiB" max:"16MiB" doc:"Stack that nested calls may take, as estimated from what the functions declare."`
	Frame  config.Size `yaml:"frame" default:"128KiB" min:"1KiB" max:"1MiB" doc:"Stack that one function may take."`
	Memory config.Size `yaml:"memory" default:"64MiB" min:"64KiB" max:"4GiB" doc:"Memory that a module may grow to, in whole pages of 64 KiB; one that starts with more is refused."`
	Table  int         `yaml:"table" default:"131072" min:"1" max:"1048576" doc:"Elements that a table may grow to; a module whose table starts with more is refused."`

	Module    config.Size `yaml:"module" default:"16MiB" min:"1KiB" max:"64MiB" doc:"Size of a module."`
	Body      config.Size `yaml:"body" default:"1MiB" min:"1KiB" max:"16MiB" doc:"Size of one function's code."`
	Compile   config.Size `yaml:"compile" default:"1GiB" min:"1MiB" max:"64GiB" doc:"Memory that compiling one function may take, as estimated; it limits the time too, to a few seconds, and that of the module to 24 times as much."`
	Functions int         `yaml:"functions" default:"50000" min:"1" max:"1000000" doc:"Functions of a module."`
	Locals    int         `yaml:"locals" default:"10000" min:"1" max:"100000" doc:"Local variables of a function."`
	Arity     int         `yaml:"arity" default:"256" min:"1" max:"1000" doc:"Parameters of a function or block, and results."`
	Globals   int         `yaml:"globals" default:"1000" min:"1" max:"10000" doc:"Global variables of a module."`
	Tables    int         `yaml:"tables" default:"16" min:"1" max:"100" doc:"Tables of a module."`
	Elements  int         `yaml:"elements" default:"262144" min:"1" max:"10000000" doc:"Entries of all element segments."`
	Segments  int         `yaml:"segments" default:"200000" min:"1" max:"1000000" doc:"Element segments, and data segments, of which a Go module has tens of thousands."`
	Types     int         `yaml:"types" default:"10000" min:"1" max:"100000" doc:"Function types of a module."`
	Imports   int         `yaml:"imports" default:"1000" min:"1" max:"10000" doc:"Imports of a module."`
	Exports   int         `yaml:"exports" default:"10000" min:"1" max:"100000" doc:"Exports of a module."`

	// Validate reports whether a module is valid; wazero's CompileModule is meant.
	// It is called once, after the limits were checked (so that a small module
	// cannot make it allocate gigabytes) and before anything is rewritten, with
	// the original as Rewrite understood it, less its custom sections.
	Validate func(module []byte) error `yaml:"-"`
}

// Default is the configuration with the defaults that the tags name.
func Default(validate func(module []byte) error) Config {
	return Config{
		Limit: 256, Depth: 1 << 20, Frame: 128 << 10, Memory: 64 << 20, Table: 131072,
		Module: 16 << 20, Body: 1 << 20, Compile: 1 << 30, Functions: 50000, Locals: 10000, Arity: 256, Globals: 1000,
		Tables: 16, Elements: 262144, Segments: 200000, Types: 10000, Imports: 1000, Exports: 10000,
		Validate: validate,
	}
}

// check refuses a configuration that could not hold what doc.go promises.
func (c *Config) check() error {
	switch {
	case c.Validate == nil:
		return errors.New("meter: Config.Validate is nil: a module must be validated before it is rewritten")
	case c.Limit < 1 || c.Limit > 1<<16:
		return fmt.Errorf("meter: Config.Limit %d is not within 1 to 65536", c.Limit)
	case c.Depth < 1 || c.Depth > 1<<30 || c.Frame < 1 || c.Frame > 1<<20:
		return errors.New("meter: Config.Depth or Config.Frame is out of range")
	case c.Memory < PageSize || c.Memory > 4<<30 || c.Memory%PageSize != 0:
		return fmt.Errorf("meter: Config.Memory %s is not a number of whole pages of 64KiB, up to 4GiB", c.Memory)
	case c.Table < 1 || c.Table > 1<<20:
		return fmt.Errorf("meter: Config.Table %d is not within 1 to 1048576", c.Table)
	}
	return nil
}

// limits are those that the reader holds.
func (c *Config) limits() wasm.Limits {
	return wasm.Limits{
		Types: c.Types, Arity: c.Arity, Imports: c.Imports, Functions: c.Functions, Tables: c.Tables,
		Globals: c.Globals, Exports: c.Exports, Segments: c.Segments, Elements: c.Elements,
		Locals: c.Locals, Body: int(c.Body),
	}
}
