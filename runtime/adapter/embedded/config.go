package embedded

import (
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heddle-rt/heddle/runtime/config"
	"github.com/heddle-rt/heddle/runtime/room"
)

// Config says where and how the store keeps its data.
type Config struct {
	Dir           string        `yaml:"dir" default:"data" doc:"Directory of the data; made if it is missing. One process at a time."`
	CacheSize     config.Size   `yaml:"cache_size" default:"64MiB" doc:"Memory for blocks that were read." min:"1MiB" max:"64GiB"`
	MemTable      config.Size   `yaml:"mem_table" default:"64MiB" doc:"Size of one table of recent writes in memory; up to four exist at a time." min:"1MiB" max:"1GiB"`
	MinFree       config.Size   `yaml:"min_free" default:"1GiB" doc:"Free space below which durable events are refused; 0 switches the check off." min:"0" max:"1024GiB"`
	Window        time.Duration `yaml:"window" default:"5m" doc:"How long the id of an event is remembered at least, to recognise a retry." min:"5m" max:"24h"`
	SweepInterval time.Duration `yaml:"sweep_interval" default:"1s" doc:"How often a slice of rooms and sessions is checked for what has expired." min:"10ms" max:"10s"`
	SweepRooms    int           `yaml:"sweep_rooms" default:"256" doc:"Rooms that one check looks at." min:"1" max:"100000"`
	SweepRest     time.Duration `yaml:"sweep_rest" default:"1m" doc:"Time between the end of one pass over all rooms and sessions and the next." min:"0s" max:"24h"`
}

// Default is the configuration that the tags describe.
func Default() Config {
	return Config{
		Dir: "data", CacheSize: 64 << 20, MemTable: 64 << 20, MinFree: 1 << 30, Window: 5 * time.Minute,
		SweepInterval: time.Second, SweepRooms: 256, SweepRest: time.Minute,
	}
}

// Deps are what a Store works with. Fatal is required.
type Deps struct {
	// Projections derive table rows from the records of an action, by its name.
	Projections map[string]room.Projection
	// Retention says how many events of a room are kept and for how long; zero
	// means no bound. nil keeps everything.
	Retention func(tenant, room string) (maxEvents uint64, maxAge time.Duration)
	// Fatal is told, once, that the disk has failed. It must end the process soon:
	// calls that write may never return afterwards.
	Fatal  func(error)
	Clock  func() time.Time // nil: time.Now
	FS     vfs.FS           // nil: the operating system's
	Logger *slog.Logger     // nil: discards
}
