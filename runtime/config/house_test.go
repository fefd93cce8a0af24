package config_test

import (
	"log/slog"
	"net/netip"
	"time"

	"github.com/heddle-rt/heddle/runtime/config"
)

// house is a config with every kind of field.
type house struct {
	Socket  socket               `yaml:"socket"`
	Tenants map[string]tenant    `yaml:"tenants" doc:"Tenants by name." max:"50"`
	Types   map[string]*roomType `yaml:"room_types" default:"{conv: {}, channel: {publishers: 3}}" doc:"Room types by name."`
	Hooks   []hook               `yaml:"hooks" doc:"What is called when something happens." max:"3"`
	TLS     *tls                 `yaml:"tls" doc:"Encryption; without it the node speaks plain TCP."`
	Log     logging              `yaml:"log"`
	Data    string               `yaml:"data_dir" default:"./data" doc:"Folder for the node's own files."`
}

type common struct {
	Name string `yaml:"name" doc:"For people."`
	Note string `yaml:"note" max:"10" doc:"For people | too."`
}

type socket struct {
	Listen    string        `yaml:"listen" default:":8080" doc:"Address for clients, host:port."`
	Idle      time.Duration `yaml:"idle" default:"25s" min:"1s" max:"10m" doc:"How long a silent connection is kept. The text is long enough to be wrapped when it is printed."`
	Frame     config.Size   `yaml:"max_frame" default:"64KiB" min:"1KiB" max:"16MiB" doc:"Largest frame."`
	Origins   []string      `yaml:"origins" default:"a.example,b.example" doc:"Allowed origins."`
	Codecs    []string      `yaml:"codecs" default:"json" enum:"json,msgpack" min:"1" doc:"Codecs offered."`
	Ratio     float64       `yaml:"ratio" default:"0.6" min:"0" max:"1" doc:"Share of processors."`
	Workers   int16         `yaml:"workers" min:"1" max:"300" doc:"Workers; unset, one per processor."`
	Seats     uint8         `yaml:"seats" doc:"Seats."`
	Compress  bool          `yaml:"compress" doc:"Whether frames are compressed."`
	Low, High int           `yaml:"-"`
	Soft      int           `yaml:"soft" default:"10" doc:"Soft limit."`
	Hard      int           `yaml:"hard" default:"20" doc:"Hard limit."`
	Burst     *int          `yaml:"burst" default:"5" doc:"Burst; null for none."`
}

func (s socket) Check(report func(path, problem string)) {
	if s.Soft > s.Hard {
		report("soft and hard", "the first is above the second")
	}
}

type tenant struct {
	Common common         `yaml:",inline"`
	Secret string         `yaml:"secret" required:"true" secret:"true" doc:"Key of its tokens."`
	Old    []string       `yaml:"old_secrets" secret:"true" doc:"Keys still accepted."`
	Quota  int            `yaml:"quota" default:"100" min:"1" doc:"Events a second."`
	Labels map[string]int `yaml:"labels" doc:"Anything."`
	Nets   []netip.Prefix `yaml:"nets" doc:"Networks."`
}

type roomType struct {
	Publishers int        `yaml:"publishers" default:"1" doc:"Who may publish."`
	Keep       [][]string `yaml:"keep" doc:"Lists of lists."`
}

type hook struct {
	URL     string        `yaml:"url" required:"true" doc:"Where to."`
	Timeout time.Duration `yaml:"timeout" default:"2s" doc:"How long to wait."`
	On      []string      `yaml:"on" enum:"join,leave" doc:"When."`
}

type tls struct {
	Cert string `yaml:"cert" required:"true" doc:"Certificate file."`
}

type logging struct {
	Level  slog.Level `yaml:"level" default:"INFO" enum:"DEBUG,INFO,WARN,ERROR" doc:"Least level."`
	Format string     `yaml:"format" default:"json" enum:"json,text" doc:"Form of a line."`
	Mode   string     `yaml:"mode" enum:"a,b" doc:"No default."`
}

func (h *house) Check(report func(path, problem string)) {
	for name, t := range h.Tenants {
		if name == t.Secret {
			report("tenants."+name+".secret", "the same as the name")
		}
	}
	for name, r := range h.Types {
		if r.Publishers > 9 {
			report("room_types."+name, "too many publishers")
		}
	}
	if h.TLS == nil && h.Socket.Listen == ":443" {
		report("tls", "needed on port 443")
	}
	if h.TLS != nil && h.TLS.Cert == "" {
		report("tls", "0 certificates are set: it must be one")
	}
}
