package worker

import (
	"log/slog"
	"time"

	"github.com/heddle-rt/heddle/runtime/config"
)

// Config says how the log is kept.
type Config struct {
	Batch      int         `yaml:"batch" default:"1000" min:"1" max:"10000" doc:"Most events of a partition that are written to the store at once."`
	BatchBytes config.Size `yaml:"batch_bytes" default:"1MiB" min:"64KiB" max:"64MiB" doc:"Most bytes of events that are written to the store at once; a partition has up to three times as many in memory."`

	Timeout  time.Duration `yaml:"timeout" default:"30s" min:"100ms" max:"10m" doc:"How long one write to the store may take before it is tried again."`
	RetryMin time.Duration `yaml:"retry_min" default:"100ms" min:"1ms" max:"1m" doc:"Pause before the first time that something is tried again."`
	RetryMax time.Duration `yaml:"retry_max" default:"10s" min:"10ms" max:"10m" doc:"Pause that each time doubles to."`

	Keep       time.Duration `yaml:"keep" default:"24h" min:"10m" max:"24h" doc:"How long events stay in the log behind their being in the store, to mend holes from."`
	Rooms      int           `yaml:"rooms" default:"16384" min:"64" max:"10000000" doc:"Rooms of a partition whose newest offset is remembered, to see holes; of others some are looked up."`
	LagWarning time.Duration `yaml:"lag_warning" default:"1m" min:"1s" max:"24h" doc:"A partition that is further behind is warned of, once a minute."`
}

// Deps are what a Worker works with.
type Deps struct {
	Log     Log
	Keeper  Keeper
	Streams Streams
	Letters Letters
	Window  time.Duration    // how much of the log committers read, however short Config.Keep is
	Now     func() time.Time // nil: time.Now
	Logger  *slog.Logger     // nil: discards
}
