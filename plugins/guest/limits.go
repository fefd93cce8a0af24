package guest

import (
	"time"

	"github.com/heddle-rt/heddle/plugins/meter"
	"github.com/heddle-rt/heddle/runtime/config"
)

// Limits are what one call of a guest may use.
type Limits struct {
	Memory    config.Size   `yaml:"memory" default:"32MiB" min:"64KiB" max:"1GiB" doc:"Memory of an instance; a part of a page of 64 KiB does not count."`
	Fuel      int64         `yaml:"fuel" default:"2000000000" min:"1000" max:"100000000000" doc:"Fuel for each event. Code is charged by the heaviest way through it: a millisecond takes about 1,000,000 of a tight loop and 25,000,000 of a Go guest's collector. The default is more than a call can use in the default timeout, which stops it first."`
	Timeout   time.Duration `yaml:"timeout" default:"50ms" min:"1ms" max:"10s" doc:"How long a call may last."`
	Start     time.Duration `yaml:"start" default:"2s" min:"10ms" max:"1m" doc:"How long initialising may last, at a deploy. A guest whose state cannot be captured then has limits.timeout for it."`
	Stack     config.Size   `yaml:"stack" default:"1MiB" min:"16KiB" max:"16MiB" doc:"Stack of nested calls."`
	Output    config.Size   `yaml:"output" default:"256KiB" min:"1KiB" max:"16MiB" doc:"What a call may write, of actions."`
	HostCalls int           `yaml:"host_calls" default:"1000" min:"0" max:"1000000" doc:"Calls of host functions for each event."`
	Logs      config.Size   `yaml:"logs" default:"4KiB" min:"0" max:"1MiB" doc:"Text that a call may log; the rest is cut off."`
	Module    config.Size   `yaml:"module" default:"16MiB" min:"1KiB" max:"256MiB" doc:"Size of a module."`
}

// memory is how much of it an instance may have: whole pages.
func (l *Limits) memory() config.Size { return l.Memory / meter.PageSize * meter.PageSize }

// meter is how a module is rewritten for the limits.
func (l *Limits) meter(validate func([]byte) error) meter.Config {
	c := meter.Default(validate)
	c.Memory, c.Depth, c.Module = l.memory(), l.Stack, l.Module
	c.Segments = 100000 // Go writes a data segment for each stretch without zeros
	return c
}
