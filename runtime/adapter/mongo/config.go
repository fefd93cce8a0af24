package mongo

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/heddle-rt/heddle/runtime/adapter/clienttls"
	"github.com/heddle-rt/heddle/runtime/room"
)

// Config says where MongoDB is.
type Config struct {
	URI         string        `yaml:"uri" doc:"Connection string of MongoDB, mongodb://user:password@host:port,.../?replicaSet=name; without one the node is alone. ${NAME} is that of the environment."`
	Database    string        `yaml:"database" default:"heddle" doc:"Name of the database: several clusters can share one MongoDB."`
	Timeout     time.Duration `yaml:"timeout" default:"10s" min:"100ms" max:"5m" doc:"How long one request may take."`
	Connections int           `yaml:"connections" default:"32" min:"2" max:"1000" doc:"Most connections to each server."`

	SweepInterval time.Duration `yaml:"sweep_interval" default:"1s" min:"10ms" max:"1m" doc:"How often a slice of rooms is checked for what has expired."`
	SweepRooms    int           `yaml:"sweep_rooms" default:"256" min:"1" max:"100000" doc:"Rooms that one check looks at."`
	SweepRest     time.Duration `yaml:"sweep_rest" default:"1m" min:"0s" max:"24h" doc:"Time between the end of one pass over all rooms and the next."`

	TLS clienttls.Config `yaml:"tls" doc:"Encryption of the connections."`
}

// Deps are what a Store works with.
type Deps struct {
	Node string // who sweeps
	// Projections derive table rows from the records of an action, by its name.
	Projections map[string]room.Projection
	// Retention says how many events of a room are kept and for how long; zero means no
	// bound. nil keeps everything.
	Retention func(tenant, room string) (maxEvents uint64, maxAge time.Duration)
	// Window is how long committers know the ids of events: a room that was deleted is
	// kept for twice as long.
	Window time.Duration
	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: discards
}

func (c *Config) options() (*options.ClientOptions, error) {
	if c.URI == "" || c.Database == "" {
		return nil, errors.New("mongo: uri and database must be set")
	}
	opts := options.Client().ApplyURI(c.URI)
	encrypted, err := c.TLS.TLS()
	if err != nil {
		return nil, fmt.Errorf("mongo: %w", err)
	}
	if encrypted != nil {
		opts.SetTLSConfig(encrypted)
	}
	opts.SetAppName("heddle").
		SetTimeout(c.Timeout).SetServerSelectionTimeout(c.Timeout).SetConnectTimeout(c.Timeout).
		SetMaxPoolSize(uint64(c.Connections)).
		SetWriteConcern(writeconcern.Majority()).SetReadConcern(readconcern.Majority()).SetReadPreference(readpref.Primary())
	if err := opts.Validate(); err != nil {
		return nil, fmt.Errorf("mongo: uri: %w", err)
	}
	return opts, nil
}
