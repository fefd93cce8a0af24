package engineio

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/heddle-rt/heddle/runtime/config"
	"github.com/heddle-rt/heddle/runtime/socket"
)

// Config is what an operator writes under "engineio". Origins, trusted proxies and
// the bounds of queues are those of "socket".
type Config struct {
	Poll           string        `yaml:"poll_path" default:"/v1/poll/" doc:"URL path at which clients of the native protocol poll; empty: they can not."`
	PingInterval   time.Duration `yaml:"ping_interval" default:"25s" min:"100ms" max:"10m" doc:"Time between a client's answer to a ping of Engine.IO and the next ping."`
	PingTimeout    time.Duration `yaml:"ping_timeout" default:"20s" min:"100ms" max:"10m" doc:"How long a client may take to answer such a ping; its connection is closed with 4002 then."`
	MaxPayload     config.Size   `yaml:"max_payload" default:"1000000" min:"1KiB" max:"64MiB" doc:"Size of the largest POST of a client that polls, and of the largest answer to a poll but for a single larger message. Clients are told it."`
	MaxPolling     int           `yaml:"max_polling" default:"4000" min:"1" max:"1000000" doc:"Connections over HTTP long-polling at once. Each needs one of socket.max_http_connections while it polls, and a second one while it sends."`
	UnopenedShare  float64       `yaml:"unopened_share" default:"0.125" min:"0.001" max:"1" doc:"Part of max_polling that one address (of IPv6, one /64) may have as connections on which no session is open yet; clients that are refused try again."`
	UpgradeTimeout time.Duration `yaml:"upgrade_timeout" default:"10s" min:"100ms" max:"5m" doc:"How long an upgrade from polling to WebSocket may take, and the handshake of a client that polls."`
}

// Deps is what code hands over.
type Deps struct {
	Endpoints    []Endpoint
	Node         string        // its name; in the ids of connections, if it fits
	Sockets      Sockets       // a *socket.Server
	Queue        socket.Queue  // bounds of what waits for one client, and for how long it may take nothing
	CloseTimeout time.Duration // how long a connection that is closed waits for a poll to say so to
	Logger       *slog.Logger  // nil discards
	// Malformed is told of an address that has sent what is no packet; it may be nil.
	Malformed func(ip netip.Addr)
}

// Sockets is what is needed of a *socket.Server.
type Sockets interface {
	// Judge and Allows are for the requests of clients that poll.
	Judge(r *http.Request) (*socket.Handshake, error)
	Allows(r *http.Request) bool
	// Hold and Shedding are the node's budget of what waits for clients.
	Hold(bytes int64)
	Shedding() bool
}

// Endpoint is a path at which connections are served.
type Endpoint struct {
	Path    string // begins and ends with a slash; it is served without the last one, too
	Handler Handler
	// Bare frames hold messages without Engine.IO's packet type. There is no
	// WebSocket then, and refusals are the error objects of docs/PROTOCOL.md.
	Bare bool
}

// Paths are the URL paths of an endpoint.
func (e Endpoint) Paths() []string {
	return []string{e.Path, strings.TrimSuffix(e.Path, "/")}
}

// Check reports what the single options can not tell.
func (c Config) Check(report func(path, problem string)) {
	for _, n := range []struct {
		path  string
		value int64
	}{
		{"ping_interval", int64(c.PingInterval)},
		{"ping_timeout", int64(c.PingTimeout)},
		{"max_payload", int64(c.MaxPayload)},
		{"max_polling", int64(c.MaxPolling)},
		{"upgrade_timeout", int64(c.UpgradeTimeout)},
	} {
		if n.value <= 0 {
			report(n.path, "must be positive")
		}
	}
	if !(c.UnopenedShare > 0 && c.UnopenedShare <= 1) {
		report("unopened_share", "must be a part of one")
	}
}

func (c Config) check(d *Deps) error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("engineio: "+format, args...)) }
	c.Check(func(path, problem string) { wrong("%s: %s", path, problem) })
	if d.Sockets == nil {
		wrong("no sockets")
	}
	if d.Queue.Bytes <= 0 || d.Queue.WriteTimeout <= 0 || d.CloseTimeout <= 0 {
		wrong("no bounds")
	}
	for _, e := range d.Endpoints {
		if e.Handler == nil || len(e.Path) < 3 || e.Path[0] != '/' || e.Path[len(e.Path)-1] != '/' {
			wrong("endpoint %q: needs a handler, and a path between slashes", e.Path)
		}
	}
	return errors.Join(errs...)
}
