package redis

import (
	"time"

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
