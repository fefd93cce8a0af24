package observe

import (
	"log/slog"
	"net"
	"net/netip"
	"time"
)

// Config is the admin server: metrics, health and profiles, for operators only.
type Config struct {
	Listen       string        `yaml:"listen" default:"127.0.0.1:9090" doc:"Address of the admin server, host:port."`
	Expose       bool          `yaml:"expose" default:"false" doc:"Whether the admin server may listen on an address that other machines reach; it asks for no password."`
	Pprof        bool          `yaml:"pprof" default:"true" doc:"Whether profiles are served under /debug/pprof/."`
	CheckTimeout time.Duration `yaml:"check_timeout" default:"2s" min:"10ms" max:"1m" doc:"How long a check of /readyz may take."`
	StopTimeout  time.Duration `yaml:"stop_timeout" default:"5s" min:"0s" max:"1m" doc:"How long requests may go on when the node stops."`
}

// Check refuses to show the insides of a node to a network by accident.
func (c Config) Check(report func(path, problem string)) {
	host, _, err := net.SplitHostPort(c.Listen)
	switch {
	case err != nil:
		report("listen", "want host:port")
	case !c.Expose && !loopback(host):
		report("listen", "other machines reach this address; set expose: true if that is meant")
	}
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// MetricsConfig bounds what is measured.
type MetricsConfig struct {
	MaxLabelSets int `yaml:"max_label_sets" default:"1000" min:"10" max:"100000" doc:"How many label sets one metric may have; the rest is counted together under the label \"other\"."`
}

// LogConfig is how the node writes its log.
type LogConfig struct {
	Format    string        `yaml:"format" default:"json" enum:"json,text" doc:"Form of a line."`
	Level     slog.Level    `yaml:"level" default:"INFO" doc:"Least level that is written: DEBUG, INFO, WARN or ERROR."`
	AddSource bool          `yaml:"add_source" default:"false" doc:"Whether a line names the file and line that wrote it."`
	Repeats   int           `yaml:"repeats" default:"20" min:"0" max:"100000" doc:"How often one message is written within an interval before it is only counted; 0 for always."`
	Interval  time.Duration `yaml:"interval" default:"10s" min:"100ms" max:"1h" doc:"Interval over which repeats are counted."`
}
