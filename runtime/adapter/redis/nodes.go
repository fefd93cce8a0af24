package redis

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// Node is one node of the cluster.
type Node struct {
	ID       string   `json:"-"`
	Roles    []string `json:"roles"`
	Address  string   `json:"address"`            // where its clients connect; what a load balancer knows
	Draining bool     `json:"draining,omitempty"` // it takes nothing over any more
}

// NodesConfig says how nodes know of each other.
type NodesConfig struct {
	Heartbeat time.Duration `yaml:"heartbeat" default:"300ms" min:"20ms" max:"10s" doc:"How often a node says that it is alive, and asks who else is."`
	Lease     time.Duration `yaml:"lease" default:"1500ms" min:"100ms" max:"1m" doc:"How long a node is taken to be alive that says nothing."`
}

// Nodes is who is alive. Leases end by the clock of Redis, which is the same for all.
type Nodes struct {
	c       *Client
	cfg     NodesConfig
	log     *slog.Logger
	self    atomic.Pointer[Node]
	view    atomic.Pointer[View]
	changed func(View)
	beat    chan struct{}
}

// View is who was alive when Redis was asked last.
type View struct {
	Nodes []Node // in the order of their ids
	Asked time.Time
}

// NewNodes is of one node; changed is called, on Run's goroutine, whenever others come,
// go or change.
func NewNodes(c *Client, cfg NodesConfig, self Node, log *slog.Logger, changed func(View)) *Nodes {
	n := &Nodes{c: c, cfg: cfg, log: log, changed: changed, beat: make(chan struct{}, 1)}
	n.self.Store(&self)
	n.view.Store(&View{})
	return n
}

// View is the last one. It is kept when Redis does not answer.
func (n *Nodes) View() View { return *n.view.Load() }

// Drain tells the others that this one takes nothing over any more.
func (n *Nodes) Drain() {
	self := *n.self.Load()
	self.Draining = true
	n.self.Store(&self)
	select {
	case n.beat <- struct{}{}:
	default: // it is about to be told
	}
}

// alive renews a lease, forgets who is gone, and lists the others.
//
//	KEYS: leases (a sorted set), what nodes say of themselves (a hash)
//	ARGV: the node, what it says, its lease in milliseconds
var alive = newScript(`
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
local gone = redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE')
for _, id in ipairs(gone) do
  redis.call('HDEL', KEYS[2], id)
  redis.call('ZREM', KEYS[1], id)
end
return redis.call('HGETALL', KEYS[2])
`)

func (n *Nodes) keys() []string {
	return []string{n.c.key("{nodes}", "leases"), n.c.key("{nodes}", "about")}
}

// Run keeps the node's lease until ctx ends, and gives it up then.
func (n *Nodes) Run(ctx context.Context) error {
	tick := time.NewTicker(n.cfg.Heartbeat)
	defer tick.Stop()
	lost := false
	for {
		err := n.ask(ctx)
		switch {
		case ctx.Err() != nil:
			n.leave(context.WithoutCancel(ctx))
			return nil
		case err != nil && !lost:
			n.log.Error("Redis does not say who is alive; the nodes known last are taken to be", "error", err)
		case err == nil && lost:
			n.log.Info("Redis says again who is alive")
		}
		lost = err != nil
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-n.beat:
		}
	}
}

func (n *Nodes) ask(ctx context.Context) error {
	began := time.Now() // the lease runs at least so long from here on
	ctx, cancel := context.WithTimeout(ctx, n.c.cfg.Timeout)
	defer cancel()
	self := n.self.Load()
	about, err := json.Marshal(self)
	if err != nil {
		return err
	}
	said, err := alive.run(ctx, n.c.r, call{n.keys(), []string{self.ID, string(about), fmt.Sprint(n.cfg.Lease.Milliseconds())}})[0].AsStrMap()
	if err != nil {
		return explain(err)
	}
	v := View{Asked: began}
	for id, about := range said {
		other := Node{ID: id}
		if err := json.Unmarshal([]byte(about), &other); err != nil {
			return fmt.Errorf("node %s: %w", id, err)
		}
		v.Nodes = append(v.Nodes, other)
	}
	slices.SortFunc(v.Nodes, func(a, b Node) int { return strings.Compare(a.ID, b.ID) })
	was := n.view.Swap(&v)
	if !slices.EqualFunc(was.Nodes, v.Nodes, func(a, b Node) bool {
		return a.ID == b.ID && a.Address == b.Address && a.Draining == b.Draining && slices.Equal(a.Roles, b.Roles)
	}) {
		n.changed(v)
	}
	return nil
}

// leave gives the lease up; if that fails it ends by itself.
func (n *Nodes) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, n.c.cfg.Timeout)
	defer cancel()
	b, keys, id := n.c.r.B(), n.keys(), n.self.Load().ID
	for _, a := range n.c.r.DoMulti(ctx, b.Zrem().Key(keys[0]).Member(id).Build(), b.Hdel().Key(keys[1]).Field(id).Build()) {
		if err := a.Error(); err != nil {
			n.log.Warn("the node's lease could not be given up; it ends by itself", "error", err)
			return
		}
	}
}
