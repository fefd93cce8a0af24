package app

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/plugins/kv"
	"github.com/heddle-rt/heddle/runtime/adapter/kafka"
	"github.com/heddle-rt/heddle/runtime/adapter/mongo"
	"github.com/heddle-rt/heddle/runtime/adapter/redis"
	"github.com/heddle-rt/heddle/runtime/cluster"
	"github.com/heddle-rt/heddle/runtime/config"
	"github.com/heddle-rt/heddle/runtime/deliver"
	"github.com/heddle-rt/heddle/runtime/directory"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/limit"
	"github.com/heddle-rt/heddle/runtime/observe"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/sequence"
	"github.com/heddle-rt/heddle/runtime/session"
	"github.com/heddle-rt/heddle/runtime/tail"
	"github.com/heddle-rt/heddle/runtime/worker"
)

// ClusterConfig is of nodes that act as one.
type ClusterConfig struct {
	Nodes   redis.NodesConfig    `yaml:"nodes" doc:"How nodes know of each other."`
	Bus     redis.BusConfig      `yaml:"bus" doc:"Messages between nodes."`
	Peers   cluster.PeersConfig  `yaml:"peers" doc:"Requests to other nodes."`
	Route   cluster.RouterConfig `yaml:"route" doc:"Events on their way to the node that commits them."`
	Spread  cluster.SpreadConfig `yaml:"spread" doc:"Events on their way to the sessions of all nodes."`
	Owned   tail.Config          `yaml:"owned" doc:"What a node knows of the rooms that it commits for."`
	Budgets limit.PoolConfig     `yaml:"budgets" doc:"Budgets of users, tenants and API keys, over all nodes."`
	Queries int                  `yaml:"queries" default:"256" min:"1" max:"100000" doc:"Questions of other nodes that are answered at once."`
	Behind  config.Size          `yaml:"behind" default:"256MiB" min:"1MiB" max:"1024GiB" doc:"Bytes of events of one partition that the workers may be behind with, which its node has in memory; above it the node refuses events."`
}

// Roles of a process.
const (
	roleEdge   = "edge"
	roleWorker = "worker"
)

// clustered is what a node of a cluster has beside.
type clustered struct {
	a      *App
	cfg    Config
	redis  *redis.Client
	base   *mongo.Store
	marks  *marks
	log    *kafka.Log
	nodes  *redis.Nodes
	bus    *redis.Bus
	peers  *cluster.Peers
	router *cluster.Router
	owned  *cluster.Owned
	reads  *cluster.Reads
	spread *cluster.Spread
	worker *worker.Worker // nil: other processes have that role
	ctx    context.Context
	stop   context.CancelFunc

	directory *directory.Directory
	pool      *limit.Pool
	plugins   *pluginNodes
	terms     termsOf        // by partition
	alives    chan []string  // the newest edge nodes, until somebody has taken them
	missed    chan int       // partitions of which messages may have been missed
	behind    []atomic.Int64 // by partition: bytes of events that the workers have not kept
}

// space reports whether the workers are not too far behind.
func (c *clustered) space() bool {
	for p := range c.behind {
		if c.behind[p].Load() > int64(c.cfg.Cluster.Behind) {
			return false
		}
	}
	return true
}

// join makes what a node shares with others.
func (a *App) join(cfg Config, b *Backends) (*stores, error) {
	c := &clustered{a: a, cfg: cfg, redis: b.redis, base: b.mongo, behind: make([]atomic.Int64, cfg.Sequence.Partitions), terms: make(termsOf, cfg.Sequence.Partitions), alives: make(chan []string, 1), missed: make(chan int, 2*cfg.Sequence.Partitions)}
	c.marks = &marks{Store: b.mongo, known: map[int]kafka.Mark{}}
	c.ctx, c.stop = context.WithCancel(context.Background())
	a.cluster = c
	var err error
	c.log, err = kafka.New(cfg.Kafka, kafka.Deps{
		Node: cfg.Node, Partitions: cfg.Sequence.Partitions, Buffered: cfg.Sequence.Partitions * cfg.Sequence.MaxBatch * cfg.Sequence.MaxInFlight,
		Timeout: cfg.Sequence.Timeout, Base: c.marks, Tables: c.table, Logger: a.log,
	})
	if err != nil {
		return nil, err
	}
	c.nodes = redis.NewNodes(c.redis, cfg.Cluster.Nodes, redis.Node{ID: cfg.Node, Roles: cfg.Roles}, a.log, c.view)
	c.bus = redis.NewBus(c.redis, cfg.Cluster.Bus, redis.BusDeps{
		Node: cfg.Node, Partitions: cfg.Sequence.Partitions, Log: a.log,
		Received:  func(m []byte) { c.peers.Receive(m) },
		Published: func(p int, m []byte) { c.spread.Received(p, m) },
		Missed: func(p int) {
			c.spread.Missed(p)
			select {
			case c.missed <- p:
			default: // it is gathered already, or all are about to be
			}
		},
	})
	c.peers = cluster.NewPeers(cfg.Cluster.Peers, cfg.Node, c.bus, a.log)
	c.router = cluster.NewRouter(cfg.Cluster.Route, cluster.RouterDeps{Self: cfg.Node, Partitions: cfg.Sequence.Partitions, Peers: c.peers, Now: a.now})
	c.owned = cluster.NewOwned(cfg.Cluster.Queries, c.alive)
	c.reads = cluster.NewReads(c.ctx, c.router, c.owned, func(name string) bool {
		t, err := a.rooms.Type(name)
		return err == nil && t.Members
	})
	s := &stores{
		log: cluster.NewLog(terms{c}, c.owned), rooms: c.reads, sessions: redis.NewSessions(c.redis, a.now),
		cells: c.base, kv: kv.NewShared(redis.NewCells(c.redis), c.mine, a.now), usage: unmetered{}, space: c.space,
		parts: []part{
			{"mongo", c.base.Run}, {"marks", c.follows}, {"bus", c.bus.Run}, {"peers", c.peers.Run}, {"nodes", c.nodes.Run},
		},
		checks:  c.checks(),
		metrics: c.metrics,
		close:   func() error { c.stop(); c.log.Close(); return b.close() },
	}
	if slices.Contains(cfg.Roles, roleWorker) {
		c.worker = b.worker(cfg, c.log, a.log)
		s.parts = append(s.parts, part{"worker", c.worker.Run}, part{"sweep", c.base.RunSweep})
	}
	return s, nil
}

// unmetered does not count what tenants store.
type unmetered struct{}

func (unmetered) Used(string) (rooms, bytes int64) { return 0, 0 }

// serve has the node commit, and deliver what others have committed.
func (c *clustered) serve() {
	a := c.a
	c.router.Use(a.committer)
	c.spread = cluster.NewSpread(c.cfg.Cluster.Spread, cluster.SpreadDeps{
		Self: c.cfg.Node, Router: c.router, Owned: c.owned, Channel: c.bus, Hub: observed{a.hub, a}, Told: func(m []byte) { c.directory.Receive(m) }, Log: a.log,
	})
	a.submit, a.emit, a.publish = sequence.Direct{Submitter: c.router}, c.spread, c.spread
}

// observed is the hub, and who has to know of some events that any node has committed.
type observed struct {
	*deliver.Hub
	a *App
}

func (o observed) Publish(records []event.Record) {
	o.Hub.Publish(records)
	for i := range records {
		o.a.revocations.Observe(&records[i])
	}
}

// who makes what knows the sessions of all nodes.
func (c *clustered) who() {
	a := c.a
	c.directory = directory.New(directory.Deps{
		Node: c.cfg.Node, Presence: a.presence, Sessions: here{a}, Clock: func() int64 { return a.pipeline.Now() }, Now: a.now, Log: a.log,
		Heard: c.heard, Broadcast: c.spread.Tell,
		Ask: func(node string, kind byte, body []byte, done func([]byte, error)) error {
			return c.peers.Ask(node, cluster.Kind(kind), body, done)
		},
		Shared: func(name string) bool {
			t, err := a.rooms.Type(name)
			return err == nil && room.Base(name) == name && (t.PresenceMode() != room.PresenceOff || t.NotifyMode() == room.NotifyAll)
		},
	})
	for _, k := range directory.Kinds() {
		c.peers.Handle(cluster.Kind(k), func(_ string, body []byte, answer func([]byte, error)) { c.directory.Answer(k, body, answer) })
	}
}

// budgets has those of users, tenants and keys hold over all nodes.
func (c *clustered) budgets() {
	a := c.a
	c.pool = limit.NewPool(c.cfg.Cluster.Budgets, redis.NewCounters(c.redis), func() int { return len(c.nodes.View().Nodes) }, a.log)
	a.limits.Share(c.pool, func() int64 { return a.pipeline.Now() })
	a.keys.Share(c.pool)
}

// heard takes what another node has told all.
func (c *clustered) heard(note []byte) {
	if !c.plugins.heard(note) {
		c.a.typing.Told(note)
	}
}

// here are the sessions of this node, which are made after the directory.
type here struct{ a *App }

func (h here) OpenedElsewhere(p session.Place) { h.a.sessions.OpenedElsewhere(p) }

func (h here) Release(ctx context.Context, tenant, id string) error {
	return h.a.sessions.Release(ctx, tenant, id)
}

func (h here) Hangup(ctx context.Context, f session.Filter, reconnect bool) int {
	return h.a.sessions.Hangup(ctx, f, reconnect)
}

func (h here) DirectHere(env *event.Envelope, user, device string) int {
	return h.a.sessions.DirectHere(env, user, device)
}

// parts run beside the committer.
func (c *clustered) parts() []part {
	if c == nil {
		return nil
	}
	return []part{{"plugin nodes", c.plugins.run}, {"spread", c.spread.Run}, {"directory", c.directory.Run}, {"cluster", c.follow}, {"budgets", c.pool.Run}}
}

// gather is how long partitions are collected of which messages may have been missed.
const gather = 200 * time.Millisecond

// follow does what takes its time when nodes come or go, or messages were missed, until
// ctx ends.
func (c *clustered) follow(ctx context.Context) error {
	missed := map[int]bool{}
	var due <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case nodes := <-c.alives:
			c.directory.Alive(nodes)
		case p := <-c.missed:
			if missed[p] = true; due == nil {
				due = time.After(gather)
			}
		case <-due:
			c.a.presence.Recheck(func(tenant, user string) bool { return missed[c.router.PartitionOf(tenant, room.OfUser(user))] })
			if err := c.a.revocations.Load(ctx); err != nil {
				c.a.log.Warn("what other nodes may have revoked could not be read; it is tried again with the next messages that are missed", "error", err)
			}
			due = nil
			clear(missed)
		}
	}
}

// locate says which node commits for a room; nil for a node that is alone.
func (c *clustered) locate() func(tenant, room string) string {
	if c == nil {
		return nil
	}
	return func(tenant, room string) string { return c.router.OwnerOf(c.router.PartitionOf(tenant, room)) }
}

// tell hands a note to all other nodes; nil for a node that is alone.
func (c *clustered) tell() func(note []byte) {
	if c == nil {
		return nil
	}
	return func(note []byte) { c.directory.Say(note) }
}

// drain has other nodes commit for this one's partitions.
func (c *clustered) drain() {
	if c != nil {
		c.nodes.Drain()
	}
}

// view learns who is there.
func (c *clustered) view(v redis.View) {
	var edges, committing []string
	for _, n := range v.Nodes {
		if !slices.Contains(n.Roles, roleEdge) {
			continue
		}
		if edges = append(edges, n.ID); !n.Draining {
			committing = append(committing, n.ID)
		}
	}
	c.a.log.Info("nodes that commit", "nodes", committing)
	c.router.Assign(committing)
	signal(c.plugins.moved)
	select {
	case <-c.alives: // nobody has seen it
	default:
	}
	c.alives <- edges // it is empty: this goroutine alone puts into it
}

// alive reports whether the others still take this node to be so, for all it knows.
func (c *clustered) alive() bool { return time.Since(c.nodes.View().Asked) < c.cfg.Cluster.Nodes.Lease }

// table is that of a term of a partition.
func (c *clustered) table(partition int) kafka.Table {
	return &table{c: c, partition: partition, Tail: tail.New(c.cfg.Cluster.Owned, tail.Deps{Base: c.base, Projections: projections(), Now: c.a.now})}
}

// table is a Tail that forgets what the workers have kept, and says which rooms it has
// found in the log: some of their events may not have reached anybody.
type table struct {
	*tail.Tail
	c         *clustered
	partition int
	open      bool
}

func (t *table) Apply(records []event.Record, at []int64) {
	t.Tail.Apply(records, at)
	t.Trim(t.c.base.Passed(t.partition))
	t.c.behind[t.partition].Store(t.Dirty())
	if !t.open {
		t.c.spread.Note(t.partition, records)
	}
}

// terms are those of the log in Kafka.
type terms struct{ c *clustered }

func (t terms) Open(ctx context.Context, partition int) (sequence.Partition, cluster.Tables, func(context.Context) error, error) {
	ctx, cancel := context.WithTimeout(ctx, t.c.cfg.Sequence.Timeout)
	defer cancel()
	p, err := t.c.log.Open(ctx, partition)
	if err != nil {
		return nil, nil, nil, err
	}
	own := p.(*kafka.Partition)
	tables := own.Table().(*table)
	tables.open = true
	t.c.terms[partition].begun.Store(own.Term())
	t.c.plugins.renew()
	return p, tables, own.Last, nil
}

// checks are what /readyz asks of a node of a cluster.
func (c *clustered) checks() []observe.Check {
	return []observe.Check{
		{Name: "redis", Probe: func(ctx context.Context) error {
			if !c.alive() {
				return cmp.Or(c.redis.Check(ctx), errors.New("no answer from Redis about who is alive"))
			}
			return nil
		}},
		{Name: "mongo", Probe: c.base.Ping},
	}
}

var _ deliver.Emitter = (*cluster.Spread)(nil)
