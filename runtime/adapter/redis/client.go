package redis

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

// Client is a connection to Redis.
type Client struct {
	cfg Config
	r   rueidis.Client // for requests
	sub rueidis.Client // for subscriptions: one connection to each Redis

	// Dialed counts the connections made for requests, Subscribed those for subscriptions:
	// what is above one for each Redis and pipeline was made anew.
	Dialed, Subscribed *atomic.Uint64
}

// oldest is the oldest version of Redis that has all that is used: sharded channels.
const oldest = 7

// How often somebody looks whether nodes of Redis have other tasks now, if no answer has
// told so.
const topology = 5 * time.Second

// Validate refuses what can never be right.
func (c *Config) Validate() error {
	_, err := options(*c)
	return err
}

// Connect finds Redis, and fails if it is not there or cannot be used.
func Connect(cfg Config) (*Client, error) {
	opt, err := options(cfg)
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, Dialed: &atomic.Uint64{}, Subscribed: &atomic.Uint64{}}
	if c.r, err = open(opt, c.Dialed); err != nil {
		return nil, err
	}
	opt.PipelineMultiplex = -1 // one connection
	ctx, cancel := context.WithTimeout(context.Background(), cfg.Timeout)
	defer cancel()
	if err = c.Check(ctx); err == nil {
		c.sub, err = open(opt, c.Subscribed)
	}
	if err != nil {
		c.r.Close()
		return nil, err
	}
	return c, nil
}

func open(opt rueidis.ClientOption, dialed *atomic.Uint64) (rueidis.Client, error) {
	opt.DialCtxFn = func(ctx context.Context, address string, d *net.Dialer, t *tls.Config) (conn net.Conn, err error) {
		if t != nil {
			conn, err = (&tls.Dialer{NetDialer: d, Config: t}).DialContext(ctx, "tcp", address)
		} else {
			conn, err = d.DialContext(ctx, "tcp", address)
		}
		if err == nil {
			dialed.Add(1)
		}
		return conn, err
	}
	r, err := rueidis.NewClient(opt)
	if err != nil {
		return nil, explain(err)
	}
	return r, nil
}

// options fails if cfg can not be right.
func options(cfg Config) (rueidis.ClientOption, error) {
	opt := rueidis.ClientOption{
		InitAddress: cfg.Addresses, Username: cfg.Username, Password: cfg.Password, ClientName: "heddle",
		Sentinel: rueidis.SentinelOption{
			MasterSet: cfg.Sentinel.Master, Username: cfg.Sentinel.Username, Password: cfg.Sentinel.Password, TopologyRefreshInterval: topology,
		},
		ClusterOption:     rueidis.ClusterOption{ShardsRefreshInterval: topology},
		DisableCache:      true,
		PipelineMultiplex: cfg.Pipelines,
		ConnWriteTimeout:  cfg.Timeout,
	}
	if len(cfg.Addresses) == 0 {
		return opt, errors.New("redis: no addresses")
	}
	t, err := cfg.TLS.TLS()
	if err != nil {
		return opt, fmt.Errorf("redis: %w", err)
	}
	if cfg.Pipelines == 0 { // which is as many as rueidis likes
		opt.PipelineMultiplex = -1
	}
	opt.TLSConfig, opt.Sentinel.TLSConfig = t, t
	opt.Dialer.Timeout = cfg.Timeout
	opt.Sentinel.Dialer.Timeout = cfg.Timeout
	return opt, nil
}

// Close ends the connections.
func (c *Client) Close() {
	c.sub.Close()
	c.r.Close()
}

// Check reports why Redis cannot be used.
func (c *Client) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	var first error
	answered := false
	for address, node := range c.r.Nodes() {
		info, err := node.Do(ctx, node.B().Info().Build()).ToString()
		if err != nil { // a Cluster can do without one
			first = cmp.Or(first, explain(err))
			continue
		}
		answered = true
		if err := usable(info, c.r.Mode() == rueidis.ClientModeCluster); err != nil {
			return fmt.Errorf("redis: %s %w", address, err)
		}
	}
	if answered {
		return nil
	}
	return cmp.Or(first, errors.New("redis: no node is known"))
}

// usable judges by what a Redis says of itself.
func usable(info string, cluster bool) error {
	said := map[string]string{}
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		said[name] = value
	}
	version := said["redis_version"]
	major, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(major)
	switch {
	case err != nil:
		return fmt.Errorf("says no version: %q", version)
	case n < oldest:
		return fmt.Errorf("is version %s: want %d.0 or later", version, oldest)
	case said["role"] == "slave" && !cluster:
		return errors.New("is a replica: redis.addresses must name the master, or Sentinels with redis.sentinel.master")
	case said["role"] == "master" && said["loading"] == "1":
		return errors.New("is still loading its data: wait")
	}
	return nil
}

// key is the name of what is kept of a kind. Parts are told apart by slashes.
func (c *Client) key(kind string, parts ...string) string {
	b := append(make([]byte, 0, 64), c.cfg.Prefix...)
	b = append(b, kind...)
	for i, p := range parts {
		b = append(b, ":/"[min(i, 1)])
		b = append(b, p...)
	}
	return string(b)
}
