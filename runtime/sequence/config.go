package sequence

import (
	"log/slog"
	"time"

	"github.com/heddle-rt/heddle/runtime/config"
	"github.com/heddle-rt/heddle/runtime/event"
)

// Config sizes the committer.
type Config struct {
	Partitions    int           `yaml:"partitions" default:"16" doc:"Number of partitions that rooms hash to. In a cluster it is the number of the topic's partitions and never changes." min:"1" max:"1024"`
	QueueLen      int           `yaml:"queue_len" default:"1024" doc:"Events that may wait in one partition's queue; above it senders wait, then are refused." min:"1" max:"1000000"`
	QueueBytes    config.Size   `yaml:"queue_bytes" default:"16MiB" doc:"Memory that one partition's queue may hold, about half a KiB and the data for each event; above it the queue is full." min:"1MiB" max:"1GiB"`
	MaxBatch      int           `yaml:"max_batch" default:"512" doc:"Most records in one append." min:"1" max:"65536"`
	MaxBatchBytes config.Size   `yaml:"max_batch_bytes" default:"1MiB" doc:"An append takes no further record once it holds this many bytes of data." min:"1KiB" max:"16MiB"`
	MaxInFlight   int           `yaml:"max_in_flight" default:"1" doc:"Most appends of one partition that wait for the disk at a time." min:"1" max:"64"`
	SubmitTimeout time.Duration `yaml:"submit_timeout" default:"2s" doc:"How long an event waits for a place in a full queue before it is refused as overloaded." min:"1ms" max:"1m"`
	Timeout       time.Duration `yaml:"timeout" default:"10s" doc:"How long an event waits to be stored; then its sender is told, up to a tenth later, that it is not known whether it was, and the node is not ready while that lasts." min:"100ms" max:"10m"`
	DrainTimeout  time.Duration `yaml:"drain_timeout" default:"10s" doc:"How long a shutdown waits for the log to take what is queued." min:"100ms" max:"5m"`
	HeadCache     int           `yaml:"head_cache" default:"131072" doc:"Rooms whose newest position is kept in memory, over all partitions." min:"1024" max:"100000000"`
}

// Default is the configuration that the tags describe.
func Default() Config {
	return Config{
		Partitions: 16, QueueLen: 1024, QueueBytes: 16 << 20, MaxBatch: 512, MaxBatchBytes: 1 << 20, MaxInFlight: 1,
		SubmitTimeout: 2 * time.Second, Timeout: 10 * time.Second, DrainTimeout: 10 * time.Second, HeadCache: 131072,
	}
}

// Publisher receives durable records.
type Publisher interface {
	// Publish gets the durable records of one partition in their order, each at least
	// once. It must not block, and the slice is valid only during the call; the
	// strings and bytes of the records may be kept.
	Publish(records []event.Record)
}

// Ownership says which partitions of a log that several nodes write are the
// committer's.
type Ownership interface {
	// Owned reports whether a partition is; changed is closed when that may be different.
	Owned(partition int) (owned bool, changed <-chan struct{})
}

// Deps are what a Committer works with. Log and Publisher are required.
type Deps struct {
	Log       Log
	Publisher Publisher
	Ownership Ownership        // nil: all partitions are the committer's
	Clock     func() time.Time // of the records' timestamps; nil: time.Now
	Space     func() bool      // false: storage is too full to take more; nil: always true
	Logger    *slog.Logger     // nil: discards
}
