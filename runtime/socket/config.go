package socket

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/heddle-rt/heddle/runtime/config"
)

// Config is what an operator writes under "socket".
type Config struct {
	Listen         string        `yaml:"listen" default:":8080" doc:"Address to accept connections on, host:port."`
	Paths          []string      `yaml:"paths" default:"[/v1/ws]" doc:"URL paths that are upgraded to WebSocket; all others are served over HTTP."`
	Origins        []string      `yaml:"origins" default:"[same-host]" doc:"Origins that browsers may connect from: same-host, *, https://app.example.com or https://*.example.com. Clients without an Origin header are always let in."`
	QueryToken     bool          `yaml:"query_token" default:"false" doc:"Accept a token in the URL's query, where it may land in logs."`
	MaxConnections int           `yaml:"max_connections" default:"250000" min:"1" max:"10000000" doc:"WebSocket connections that this node holds at once."`
	MaxHTTP        int           `yaml:"max_http_connections" default:"8192" min:"1" max:"1000000" doc:"Connections at once that do not become WebSockets. When there are no more, those without a request are closed."`
	MaxFrameBytes  config.Size   `yaml:"max_frame_bytes" default:"64KiB" min:"1KiB" max:"16MiB" doc:"Size of the largest message that a client may send, after inflating."`
	ReadBuffer     config.Size   `yaml:"read_buffer" default:"4KiB" min:"512" max:"64KiB" doc:"Size of the pooled buffers for reading; only a TLS connection keeps one while it is idle."`
	CloseTimeout   time.Duration `yaml:"close_timeout" default:"5s" min:"100ms" max:"1m" doc:"How long a connection that is being closed may take to flush, and then to answer."`
	Handshake      Handshakes    `yaml:"handshake" doc:"Bounds on handshakes."`
	Queue          Queue         `yaml:"queue" doc:"What may wait for slow clients."`
	Heartbeat      Heartbeat     `yaml:"heartbeat" doc:"How dead clients are found."`
	Compression    Compression   `yaml:"compression" doc:"permessage-deflate (RFC 7692)."`
	Proxies        Proxies       `yaml:"proxies" doc:"Load balancers in front of this node."`
	TLS            TLS           `yaml:"tls" doc:"Certificate; without one the node speaks plain TCP."`
}

// Handshakes bounds what strangers can make the node do.
type Handshakes struct {
	Timeout        time.Duration `yaml:"timeout" default:"10s" min:"100ms" max:"2m" doc:"From accepting a connection to the end of its handshake."`
	MaxHeaderBytes config.Size   `yaml:"max_header_bytes" default:"16KiB" min:"1KiB" max:"1MiB" doc:"Size of the largest request head."`
	Max            int           `yaml:"max" default:"2048" min:"1" max:"100000" doc:"Handshakes under way at once; more wait in the kernel's queue."`
	MaxPerIP       int           `yaml:"max_per_ip" default:"256" min:"1" max:"100000" doc:"Handshakes under way at once from one address (of IPv6, one /64)."`
	RatePerIP      float64       `yaml:"rate_per_ip" default:"100" min:"0" max:"100000" doc:"Upgrades a second from one address; 0 is no limit."`
	BurstPerIP     int           `yaml:"burst_per_ip" default:"500" min:"1" max:"1000000" doc:"Upgrades that one address may make at once before the rate counts."`
	Addresses      int           `yaml:"addresses" default:"65536" min:"1024" max:"10000000" doc:"Addresses remembered for these limits; an idle one is forgotten first."`
}

// Queue bounds what waits for clients.
type Queue struct {
	Bytes        config.Size   `yaml:"bytes" default:"1MiB" min:"64KiB" max:"1GiB" doc:"Bytes that may wait for one connection; one that needs more is closed with 4001."`
	NodeBytes    config.Size   `yaml:"node_bytes" default:"256MiB" min:"1MiB" max:"1024GiB" doc:"Bytes that may wait for all connections together."`
	WriteTimeout time.Duration `yaml:"write_timeout" default:"10s" min:"100ms" max:"5m" doc:"How long a client may take nothing of what waits for it."`
	MaxDelay     time.Duration `yaml:"max_write_delay" default:"25ms" min:"0s" max:"100ms" doc:"How long a write may wait for more when the node is loaded."`
}

// Heartbeat says how often clients are pinged.
type Heartbeat struct {
	Interval  time.Duration `yaml:"interval" default:"25s" min:"1s" max:"10m" doc:"Time between WebSocket pings to one client."`
	MaxMissed int           `yaml:"max_missed" default:"2" min:"1" max:"100" doc:"Intervals without any sign of life after which a connection is closed with 4002."`
}

// Compression is off by default: it costs processor time and memory.
type Compression struct {
	Enabled   bool        `yaml:"enabled" default:"false" doc:"Negotiate permessage-deflate with clients that offer it."`
	Threshold config.Size `yaml:"threshold" default:"512" min:"64" max:"1MiB" doc:"Size of the smallest message that is compressed."`
	Level     int         `yaml:"level" default:"1" min:"1" max:"9" doc:"1 is fastest, 9 is smallest."`
}

// Proxies names who may speak for others.
type Proxies struct {
	Trusted   []string `yaml:"trusted" doc:"Addresses or CIDR ranges of load balancers, whose word about clients' addresses counts."`
	Protocol  bool     `yaml:"protocol" default:"false" doc:"Read the PROXY protocol, version 1 or 2, from trusted addresses."`
	Forwarded string   `yaml:"forwarded" default:"x-forwarded-for" enum:"x-forwarded-for,forwarded,none" doc:"Header in which trusted proxies name the client; the other one is ignored, since clients can write it."`
}

// TLS names a certificate. Its files are read again when they change.
type TLS struct {
	Cert   string        `yaml:"cert" doc:"File with the certificate chain, PEM."`
	Key    string        `yaml:"key" doc:"File with the private key, PEM."`
	Reload time.Duration `yaml:"reload" default:"10s" min:"1s" max:"24h" doc:"How often to look whether the files changed."`
}

// Deps is what code hands over.
type Deps struct {
	Handler Handler
	// HTTP serves every request that is not an upgrade; nil answers 404.
	HTTP http.Handler
	// Subprotocols are the ones that can be selected. Of those that a client
	// offers, its first known one is proposed to Handler.Admit.
	Subprotocols []string
	Logger       *slog.Logger // nil discards
	// OnQuality, if set, hears when a connection's grade changes. It must not
	// block.
	OnQuality func(*Conn, Quality)
	// Relieve, if set, is called when too much waits for clients: of what Server.Hold
	// counts it is to give up at least so many bytes. It must not block.
	Relieve func(bytes int64)
}

// Check reports what the single options can not tell.
func (c Config) Check(report func(path, problem string)) {
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		report("tls", "cert and key go together")
	}
	if len(c.Paths) == 0 {
		report("paths", "at least one is needed")
	}
	for _, n := range []struct {
		path  string
		value int64
	}{
		{"max_connections", int64(c.MaxConnections)},
		{"max_http_connections", int64(c.MaxHTTP)},
		{"max_frame_bytes", int64(c.MaxFrameBytes)},
		{"read_buffer", int64(c.ReadBuffer)},
		{"close_timeout", int64(c.CloseTimeout)},
		{"handshake.timeout", int64(c.Handshake.Timeout)},
		{"handshake.max_header_bytes", int64(c.Handshake.MaxHeaderBytes)},
		{"handshake.max", int64(c.Handshake.Max)},
		{"handshake.max_per_ip", int64(c.Handshake.MaxPerIP)},
		{"handshake.addresses", int64(c.Handshake.Addresses)},
		{"queue.bytes", int64(c.Queue.Bytes)},
		{"queue.node_bytes", int64(c.Queue.NodeBytes)},
		{"queue.write_timeout", int64(c.Queue.WriteTimeout)},
		{"heartbeat.interval", int64(c.Heartbeat.Interval)},
		{"heartbeat.max_missed", int64(c.Heartbeat.MaxMissed)},
	} {
		if n.value <= 0 { // would make the server hang or panic
			report(n.path, "must be positive")
		}
	}
	if c.TLS.Cert != "" && c.TLS.Reload <= 0 {
		report("tls.reload", "must be positive")
	}
	c.checkTexts(report)
}

// checkTexts reads what the server will read: a certificate that is missing is
// told before it is needed.
func (c Config) checkTexts(report func(path, problem string)) {
	tell := func(path string, err error) {
		if err != nil {
			report(path, strings.TrimPrefix(err.Error(), "socket: "))
		}
	}
	if c.TLS.Cert != "" && c.TLS.Key != "" {
		_, err := newCertificate(c.TLS)
		tell("tls", err)
	}
	_, err := parseOrigins(c.Origins)
	tell("origins", err)
	_, err = prefixes(c.Proxies.Trusted)
	tell("proxies.trusted", err)
	for _, p := range c.Paths {
		if !strings.HasPrefix(p, "/") {
			report("paths", "\""+p+"\" does not begin with a slash")
		}
	}
	_, port, err := net.SplitHostPort(c.Listen)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	tell("listen", err)
}

func (c Config) check(d *Deps) error {
	var errs []error
	c.Check(func(path, problem string) { errs = append(errs, fmt.Errorf("socket: %s: %s", path, problem)) })
	if d.Handler == nil {
		errs = append(errs, errors.New("socket: no handler"))
	}
	return errors.Join(errs...)
}
