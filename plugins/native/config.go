package native

import (
	"encoding/hex"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/heddle-rt/heddle/plugins/native/wire"
	"github.com/heddle-rt/heddle/runtime/config"
)

// Config is one plugin.
type Config struct {
	Name string            `yaml:"name" required:"true" doc:"Name of the plugin in logs and metrics."`
	Kind string            `yaml:"kind" required:"true" enum:"authenticator,notifier,sink,moderator" doc:"What the plugin does."`
	Path string            `yaml:"path" required:"true" doc:"The program's file; it is not looked up in PATH, and no shell is involved."`
	Hash string            `yaml:"sha256" required:"true" doc:"SHA-256 of the file in hexadecimal digits; another file is not started."`
	Args []string          `yaml:"args" max:"100" doc:"Arguments of the program."`
	Env  map[string]string `yaml:"env" max:"100" secret:"true" doc:"The program's environment; it gets no other variables than these and those of the protocol."`

	Tenants []string `yaml:"tenants" max:"10000" doc:"Tenants that the plugin is for; empty: all."`
	Actions []string `yaml:"actions" max:"100" doc:"Actions whose events a sink or a moderator gets, each a name or the beginning of one followed by *; empty: all for a sink, message:send and message:edit for a moderator."`

	Timeout    time.Duration `yaml:"timeout" default:"5s" min:"10ms" max:"10m" doc:"Longest wait for an answer. A token is refused as unavailable then; the program is started again if it answers nothing at all for so long, an authenticator for three times as long."`
	Queue      int           `yaml:"queue" default:"4096" min:"1" max:"1000000" doc:"Items that may wait for the plugin or for its answer."`
	QueueBytes config.Size   `yaml:"queue_bytes" default:"16MiB" min:"64KiB" max:"4GiB" doc:"Bytes of these items, likewise."`
	Batch      int           `yaml:"batch" default:"64" min:"1" max:"1000" doc:"Items that are sent in one message at most; nobody waits for a batch to be full."`
	Overflow   string        `yaml:"overflow" default:"drop_oldest" enum:"drop_oldest,block" doc:"What a full queue of a sink does: drop_oldest drops the event that waits longest, block makes the publisher wait for block, then drops the new one."`
	Block      time.Duration `yaml:"block" default:"100ms" min:"1ms" max:"10s" doc:"Longest wait of the publisher with overflow block."`

	Start   time.Duration `yaml:"start" default:"10s" min:"100ms" max:"10m" doc:"Longest time from the program's start until it is ready."`
	Stop    time.Duration `yaml:"stop" default:"5s" min:"0s" max:"5m" doc:"Longest time for what waits in a sink or a moderator when the node stops."`
	Health  time.Duration `yaml:"health" default:"10s" min:"50ms" max:"10m" doc:"How often the program is asked whether it is there; it has as long to answer."`
	Restart RestartConfig `yaml:"restart" doc:"Pauses between two starts of the program."`
}

// RestartConfig bounds the pause before a program is started again.
type RestartConfig struct {
	Min time.Duration `yaml:"min" default:"250ms" min:"1ms" max:"10m" doc:"The first pause; it doubles with every failure, less a random part of up to a half."`
	Max time.Duration `yaml:"max" default:"30s" min:"1ms" max:"1h" doc:"The longest pause; a program that was ready for so long begins with the first one again."`
}

var pluginName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)

// Check reports what the single options can not tell.
func (c *Config) Check(report func(option, problem string)) {
	if c.Name != "" && !pluginName.MatchString(c.Name) {
		report("name", "a plugin's name is 1 to 63 of a-z, 0-9, _ and -, beginning with a letter")
	}
	if sum, err := hex.DecodeString(c.Hash); c.Hash != "" && (err != nil || len(sum) != 32) {
		report("sha256", "want the 64 hexadecimal digits that sha256sum prints")
	}
	if c.Path != "" && !strings.ContainsRune(c.Path, filepath.Separator) {
		report("path", "is looked up nowhere: write ./"+c.Path+" or an absolute path")
	}
	for name := range c.Env {
		switch {
		case name == "" || strings.ContainsAny(name, "=\x00"):
			report("env."+name, "is not the name of an environment variable")
		case reserved(name):
			report("env."+name, "is set by the node")
		}
	}
	if c.Restart.Max < c.Restart.Min {
		report("restart.min and restart.max", fmt.Sprintf("%v is more than %v", c.Restart.Min, c.Restart.Max))
	}
	if c.Overflow == overflowBlock && c.Kind != wire.KindSink {
		report("overflow", "block is for a sink alone")
	}
	if len(c.Actions) > 0 && c.Kind != wire.KindSink && c.Kind != wire.KindModerator {
		report("actions", "are for a sink or a moderator")
	}
}

// largest is the size of the largest item that the plugin gets, in bytes.
func (c *Config) largest() int64 { return min(int64(c.QueueBytes), wire.MaxMessage/2) }

// reserved are the variables of the handshake.
func reserved(name string) bool {
	return name == wire.CookieKey || name == wire.LifelineEnv || strings.HasPrefix(name, "PLUGIN_")
}

// Policies of a sink's full queue.
const (
	overflowDrop  = "drop_oldest"
	overflowBlock = "block"
)

// CheckAll reports what must be true of the plugins of a node together; Load has asked
// each one's Check.
func CheckAll(plugins []Config, report func(path, problem string)) {
	seen := map[string]bool{}
	for i := range plugins {
		if name := plugins[i].Name; name != "" && seen[name] {
			report(fmt.Sprintf("[%d].name", i), fmt.Sprintf("%q is another plugin's name", name))
		}
		seen[plugins[i].Name] = true
	}
}
