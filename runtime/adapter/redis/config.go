package redis

import (
	"errors"
	"fmt"
	"time"

	"github.com/redis/rueidis"

	"github.com/heddle-rt/heddle/runtime/adapter/clienttls"
)

// Config says where Redis is.
type Config struct {
	Addresses []string      `yaml:"addresses" doc:"Addresses of Redis, host:port: of the one, of nodes of the Cluster, or with sentinel.master of Sentinels; without any the node is alone."`
	Username  string        `yaml:"username" doc:"Name of the ACL's user; empty: the default one."`
	Password  string        `yaml:"password" doc:"Password; ${NAME} is that of the environment."`
	Prefix    string        `yaml:"prefix" default:"heddle:" doc:"What the names of all keys and channels begin with: several clusters can share one Redis."`
	Timeout   time.Duration `yaml:"timeout" default:"2s" min:"50ms" max:"1m" doc:"How long one request may take."`
	Pipelines int           `yaml:"pipelines" default:"2" min:"0" max:"8" doc:"Connections to each Redis over which requests are pipelined, as a power of two."`

	Sentinel Sentinel         `yaml:"sentinel" doc:"Where Sentinels say which Redis is the master."`
	TLS      clienttls.Config `yaml:"tls" doc:"Encryption of the connections."`
}

// Sentinel says what to ask Sentinels.
type Sentinel struct {
	Master   string `yaml:"master" doc:"Name of the master that they watch."`
	Username string `yaml:"username" doc:"Name at the Sentinels, if they want one."`
	Password string `yaml:"password" doc:"Password at the Sentinels; ${NAME} is that of the environment."`
}

// Client is a connection to Redis.
type Client struct {
	cfg Config
	r   rueidis.Client
}

// Connect finds Redis, and fails if it is not there.
func Connect(cfg Config) (*Client, error) {
	if len(cfg.Addresses) == 0 {
		return nil, errors.New("redis: no addresses")
	}
	opt := rueidis.ClientOption{
		InitAddress: cfg.Addresses, Username: cfg.Username, Password: cfg.Password, ClientName: "heddle",
		Sentinel:          rueidis.SentinelOption{MasterSet: cfg.Sentinel.Master, Username: cfg.Sentinel.Username, Password: cfg.Sentinel.Password},
		DisableCache:      true,
		PipelineMultiplex: cfg.Pipelines,
		ConnWriteTimeout:  cfg.Timeout,
	}
	opt.Dialer.Timeout = cfg.Timeout
	var err error
	if opt.TLSConfig, err = cfg.TLS.TLS(); err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	r, err := rueidis.NewClient(opt)
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	return &Client{cfg, r}, nil
}

// Close ends the connections.
func (c *Client) Close() { c.r.Close() }

func (c *Client) key(kind string, parts ...string) string {
	b := append(make([]byte, 0, 64), c.cfg.Prefix...)
	b = append(b, kind...)
	for i, p := range parts {
		b = append(b, ":/"[min(i, 1)])
		b = append(b, p...)
	}
	return string(b)
}
