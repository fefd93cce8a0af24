package app

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/heddle-rt/heddle/builtin/notification"
	"github.com/heddle-rt/heddle/builtin/presence"
	"github.com/heddle-rt/heddle/builtin/typing"
	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/native"
	"github.com/heddle-rt/heddle/runtime/adapter/embedded"
	"github.com/heddle-rt/heddle/runtime/adapter/kafka"
	"github.com/heddle-rt/heddle/runtime/adapter/mongo"
	"github.com/heddle-rt/heddle/runtime/adapter/redis"
	"github.com/heddle-rt/heddle/runtime/api"
	"github.com/heddle-rt/heddle/runtime/authenticate"
	"github.com/heddle-rt/heddle/runtime/deliver"
	"github.com/heddle-rt/heddle/runtime/engineio"
	"github.com/heddle-rt/heddle/runtime/limit"
	"github.com/heddle-rt/heddle/runtime/observe"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/rule"
	"github.com/heddle-rt/heddle/runtime/sequence"
	"github.com/heddle-rt/heddle/runtime/session"
	"github.com/heddle-rt/heddle/runtime/socket"
	"github.com/heddle-rt/heddle/runtime/socketio"
	"github.com/heddle-rt/heddle/runtime/worker"
)

// Config is a node's whole configuration.
type Config struct {
	Node     string                     `yaml:"node" doc:"Name of this node in logs and metrics, and to others of its cluster; the host's name if left out."`
	Roles    []string                   `yaml:"roles" default:"[edge, worker]" enum:"edge,worker" doc:"What the process does in a cluster: edge has the connections, worker writes the log to MongoDB. A node that is alone does all."`
	Log      observe.LogConfig          `yaml:"log" doc:"Logging, to standard error."`
	Admin    observe.Config             `yaml:"admin" doc:"Metrics, health and profiles, on an address of their own."`
	Metrics  observe.MetricsConfig      `yaml:"metrics" doc:"Bounds on metrics."`
	Socket   socket.Config              `yaml:"socket" doc:"Connections of end users."`
	EngineIO engineio.Config            `yaml:"engineio" doc:"HTTP long-polling, and the transport of clients of Socket.IO."`
	SocketIO socketio.Config            `yaml:"socketio" doc:"Clients of Socket.IO 4."`
	Session  session.Config             `yaml:"session" doc:"Sessions and resume."`
	Limit    limit.Config               `yaml:"limit" doc:"Budgets of connections, users, addresses, tenants and actions, and what becomes of those who misbehave."`
	Presence presence.Config            `yaml:"presence" doc:"Who is here."`
	Typing   typing.Config              `yaml:"typing" doc:"Who is typing."`
	Notify   notification.Config        `yaml:"notifications" doc:"Who is told of messages that the user does not see."`
	Sequence sequence.Config            `yaml:"sequence" doc:"Committer of durable events."`
	Deliver  deliver.Config             `yaml:"deliver" doc:"Delivery and catching up."`
	Storage  embedded.Config            `yaml:"storage" doc:"The embedded store of a node that is alone: log, history, rooms, sessions."`
	Cluster  ClusterConfig              `yaml:"cluster" doc:"Nodes that act as one, on Redis, Kafka and MongoDB."`
	Redis    redis.Config               `yaml:"redis" doc:"Redis of a cluster: messages between nodes, who is alive, sessions."`
	Kafka    kafka.Config               `yaml:"kafka" doc:"Kafka of a cluster: the log."`
	Mongo    mongo.Config               `yaml:"mongo" doc:"MongoDB of a cluster: what workers have kept of the log."`
	Worker   worker.Config              `yaml:"worker" doc:"The worker role: from the log to MongoDB."`
	Rooms    map[string]room.TypeConfig `yaml:"rooms" default:"{conv: {members: true, join: members, max_events: 1000000, max_age: 8640h}, channel: {}, user: {join: self, publish: server, max_events: 10000}}" doc:"Types of rooms, by the part of a room's name before the colon. What is written of conv, channel and user goes over their defaults."`
	Tenants  map[string]Tenant          `yaml:"tenants" doc:"Tenants by name. At least one."`
	Plugins  PluginsConfig              `yaml:"plugins" doc:"Tenants' own WebAssembly in the route."`
	Native   []native.Config            `yaml:"native" max:"100" doc:"Programs of the operator's own that check tokens, bring notifications, store events elsewhere or moderate."`
	Heap     HeapConfig                 `yaml:"heap" doc:"Pace of the garbage collector."`
	Workers  int                        `yaml:"workers" default:"64" min:"1" max:"10000" doc:"Requests that read the store or check a token, at once."`
	Timeout  time.Duration              `yaml:"timeout" default:"10s" min:"100ms" max:"10m" doc:"Deadline of a request that reads the store, after which it is refused as timeout."`
	Reload   ReloadConfig               `yaml:"reload" doc:"When the configuration is read again while the node runs."`
	Drain    time.Duration              `yaml:"drain" default:"10s" min:"0s" max:"1h" doc:"Over this time clients are sent away when the node is told to stop."`
}

// Tenant is one tenant's part.
type Tenant struct {
	Auth  authenticate.Config `yaml:"auth" doc:"Who issues the tenant's tokens, and how they are checked."`
	Rules []rule.Config       `yaml:"rules" max:"1000" doc:"What must be true of the tenant's events, beside the permissions of actions."`
	Limit limit.Override      `yaml:"limit" doc:"The tenant's own budgets; what is left out is as in limit."`
	Quota limit.Quota         `yaml:"quota" doc:"What the tenant may have, so that it cannot take from others."`

	Notifications notification.TenantConfig `yaml:"notifications" doc:"How the tenant's users are notified who are not there."`

	Plugins host.Policy `yaml:"plugins" doc:"What the tenant's plugins may do."`

	APIKeys []api.Key `yaml:"api_keys" max:"1000" doc:"Keys with which the tenant's own backend uses the server API."`
}

var tenantName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

// Check reports what the single options can not tell.
func (c *Config) Check(report func(path, problem string)) {
	if len(c.Tenants) == 0 {
		report("tenants", "at least one tenant is needed")
	}
	for name, t := range c.Tenants {
		auth := t.Auth
		if authenticated(c.Native, name) {
			auth = withKeys(auth)
		}
		if _, err := authenticate.New(map[string]authenticate.Config{name: auth}, authenticate.Deps{}); err != nil {
			_, why, _ := strings.Cut(err.Error(), ": auth: ")
			report("tenants."+name+".auth", why)
		}
		api.CheckKeys(t.APIKeys, func(path, problem string) { report("tenants."+name+"."+path, problem) })
		if !tenantName.MatchString(name) {
			report("tenants."+name, "a tenant's name is 1 to 63 of a-z, 0-9, _ and -, not beginning with _ or -")
		}
		for _, p := range rule.Check(t.Rules) {
			report("tenants."+name+"."+p.Path, p.Text)
		}
	}
	c.checkNative(report)
	c.checkCluster(report)
	for name := range c.Rooms {
		switch {
		case !room.IsWord(name):
			report("rooms."+name, "a room type is 1 to 32 of a-z, 0-9, _ and -, beginning with a letter")
		case name == room.RootType:
			report("rooms."+name, "rooms of this type are the node's own")
		}
	}
	if c.Deliver.PageBytes > c.Socket.Queue.Bytes/pagesQueued { // a product could overflow
		report("socket.queue.bytes and deliver.page_bytes", fmt.Sprintf("%v is less than %d times %v: a client that catches up is sent a page while another waits",
			c.Socket.Queue.Bytes, pagesQueued, c.Deliver.PageBytes))
	}
	if c.Storage.Window < minWindow {
		report("storage.window", "retries must be recognised for at least 5m")
	}
}

// name gives the node its name, if it has none.
func (c *Config) name() {
	if c.Node == "" {
		c.Node, _ = os.Hostname()
	}
}

// checkCluster wants all of what a cluster needs, or nothing.
func (c *Config) checkCluster(report func(path, problem string)) {
	if !c.Clustered() {
		return
	}
	for path, there := range map[string]bool{"redis.addresses": len(c.Redis.Addresses) > 0, "kafka.brokers": len(c.Kafka.Brokers) > 0, "mongo.uri": c.Mongo.URI != ""} {
		if !there {
			report(path, "a node of a cluster needs Redis, Kafka and MongoDB")
		}
	}
	for name, t := range c.Tenants {
		if t.Quota.Rooms > 0 || t.Quota.Storage > 0 {
			report("tenants."+name+".quota", "rooms and storage are counted by a node that is alone, and not in a cluster")
		}
	}
	if len(c.Roles) == 0 {
		report("roles", "at least one is needed")
	}
	if c.Cluster.Nodes.Lease < 2*c.Cluster.Nodes.Heartbeat {
		report("cluster.nodes.lease", "it has to be at least twice cluster.nodes.heartbeat")
	}
}

const (
	minWindow   = 5 * time.Minute // promise P3
	pagesQueued = 2               // of history at most, for one connection
)
