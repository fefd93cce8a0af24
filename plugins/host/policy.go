package host

import (
	"fmt"
	"slices"
	"time"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest"
	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/runtime/config"
)

// Config is the operator's, for all tenants.
type Config struct {
	Cache     string        `yaml:"cache" doc:"Folder for compiled code, which nobody else may write to; empty: compiled in storage.dir, in a cluster memory alone."`
	CacheSize config.Size   `yaml:"cache_size" default:"1GiB" min:"0" doc:"Bytes in that folder from which on the oldest are removed, once a minute; 0: no bound."`
	Lanes     int           `yaml:"lanes" default:"0" min:"0" max:"256" doc:"Instances of one plugin, and goroutines that run one tenant's plugins, at most; 0: half of the processors."`
	Queue     int           `yaml:"queue" default:"1024" min:"1" max:"100000" doc:"Events that may wait for an instance; more are refused as overloaded."`
	Idle      time.Duration `yaml:"idle" default:"5m" min:"1s" doc:"An instance that was not called for so long is ended."`
	BreakFrom int           `yaml:"break_from" default:"20" min:"1" doc:"Failures in a row from which on a plugin is not asked for a while."`
	BreakFor  time.Duration `yaml:"break_for" default:"1s" min:"10ms" max:"1h" doc:"How long it is not asked, doubled each time up to 60 times that."`
	Canary    CanaryConfig  `yaml:"canary" doc:"When a canary is taken back by itself."`
}

// CanaryConfig says what is too bad.
type CanaryConfig struct {
	Events  uint64  `yaml:"events" default:"50" min:"1" doc:"Events that it must have seen first."`
	Failed  float64 `yaml:"failed" default:"0.02" min:"0" max:"1" doc:"Part of its events on which it may fail beyond that of the live version."`
	Slower  float64 `yaml:"slower" default:"3" min:"1" doc:"How many times as long as the live version's median event its own may take, and a tenth of its events as all but a fiftieth of the live version's; what takes less than a millisecond is never too slow."`
	History int     `yaml:"history" default:"10" min:"1" max:"1000" doc:"Versions of a plugin that are kept; fewer if the tenant's bundles are more than its policy's bundles permits."`
}

// Policy is what the operator lets one tenant's plugins do.
type Policy struct {
	Plugins      int                          `yaml:"plugins" default:"20" min:"0" max:"1000" doc:"Plugins at most; 0: none."`
	Capabilities []string                     `yaml:"capabilities" default:"emit,http,kv,lookup,secrets,timers" doc:"What manifests may ask for."`
	Limits       Ceilings                     `yaml:"limits" doc:"What no manifest may ask more than."`
	Memory       config.Size                  `yaml:"memory" default:"512MiB" min:"0" doc:"Memory of all plugins together, of instances between calls and of images of initialised guests; above it instances begin anew after each call, and no plugin comes whose image does not fit. 0: no limit."`
	Storage      config.Size                  `yaml:"storage" default:"64MiB" min:"0" doc:"Keys and values of all plugins together; 0: no limit."`
	Bundles      config.Size                  `yaml:"bundles" default:"256MiB" min:"0" doc:"Bundles of all plugins' versions together that are kept; above it the oldest that are not in use are let go of, and at last a deploy is refused. 0: no limit."`
	Writes       config.Size                  `yaml:"writes_per_second" default:"4MiB" min:"0" doc:"Bytes that all plugins together may write to their store and of timers a second: key and value of each write, and 64 beside; 0: no limit."`
	WritesOnce   config.Size                  `yaml:"writes_at_once" default:"16MiB" min:"64KiB" doc:"Of these, at once: no call writes more."`
	Emits        float64                      `yaml:"emits_per_second" default:"1000" min:"0" doc:"Events that one plugin may send a second, and twice as many at once."`
	HTTP         float64                      `yaml:"http_per_second" default:"50" min:"0" doc:"HTTP requests that one plugin may send a second, and twice as many at once."`
	Timers       int                          `yaml:"timers" default:"10000" min:"0" doc:"Timers that one plugin may have set."`
	Firings      float64                      `yaml:"timers_per_second" default:"100" min:"1" max:"10000" doc:"Timers of one plugin that fire a second; more wait."`
	Logs         float64                      `yaml:"logs_per_second" default:"100" min:"0" doc:"Lines of one plugin's log that are kept a second."`
	Secrets      map[string]map[string]Secret `yaml:"secrets" doc:"By the plugin's name, what it may ask for by its name."`
}

// Ceilings are the operator's bounds of guest.Limits.
type Ceilings struct {
	Memory  config.Size   `yaml:"memory" default:"128MiB" min:"64KiB" doc:"As limits.memory of a manifest."`
	Fuel    int64         `yaml:"fuel" default:"10000000000" min:"1000" doc:"As limits.fuel."`
	Timeout time.Duration `yaml:"timeout" default:"200ms" min:"1ms" doc:"As limits.timeout."`
	Start   time.Duration `yaml:"start" default:"10s" min:"10ms" doc:"As limits.start."`
	Stack   config.Size   `yaml:"stack" default:"1MiB" min:"16KiB" doc:"As limits.stack."`
	Module  config.Size   `yaml:"module" default:"32MiB" min:"1KiB" doc:"As limits.module."`

	Output    config.Size `yaml:"output" default:"1MiB" min:"1KiB" doc:"As limits.output."`
	HostCalls int         `yaml:"host_calls" default:"100000" min:"0" doc:"As limits.host_calls."`
	Logs      config.Size `yaml:"logs" default:"64KiB" min:"0" doc:"As limits.logs."`
}

// Secret is a value that is not printed.
type Secret string

// allow refuses a manifest that asks for more than the policy grants.
func (p *Policy) allow(m *manifest.Manifest) error {
	for _, c := range m.Capabilities {
		if !slices.Contains(p.Capabilities, c) {
			return fmt.Errorf("the plugin asks for the capability %s, which the operator does not grant to this tenant", c)
		}
	}
	l := &m.Limits
	for _, x := range []struct {
		name      string
		asks, may int64
	}{
		{"memory", int64(l.Memory), int64(p.Limits.Memory)},
		{"fuel", l.Fuel, p.Limits.Fuel},
		{"timeout", int64(l.Timeout), int64(p.Limits.Timeout)},
		{"start", int64(l.Start), int64(p.Limits.Start)},
		{"stack", int64(l.Stack), int64(p.Limits.Stack)},
		{"module", int64(l.Module), int64(p.Limits.Module)},
		{"output", int64(l.Output), int64(p.Limits.Output)},
		{"host_calls", int64(l.HostCalls), int64(p.Limits.HostCalls)},
		{"logs", int64(l.Logs), int64(p.Limits.Logs)},
	} {
		if x.asks > x.may {
			return fmt.Errorf("limits.%s of the manifest is more than the operator permits this tenant", x.name)
		}
	}
	return nil
}

// plan is what the module is compiled for.
func plan(m *manifest.Manifest, h guest.Host, now func() time.Time) guest.Plan {
	return guest.Plan{Limits: m.Limits, Granted: granted(m), Config: m.Config, Host: h, Now: now}
}

func granted(m *manifest.Manifest) []hostapi.Capability { return m.Granted() }
