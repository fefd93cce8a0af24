package tail

import (
	"context"
	"time"

	"github.com/heddle-rt/heddle/runtime/config"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/sequence"
)

// Config bounds what a Tail uses.
type Config struct {
	Bytes   config.Size   `yaml:"bytes" default:"8MiB" min:"0" max:"64GiB" doc:"Memory of each partition for what could be read from the database again."`
	Timeout time.Duration `yaml:"timeout" default:"5s" min:"10ms" max:"1m" doc:"How long one read of the database may take."`
}

// Default is the configuration that the tags describe.
func Default() Config { return Config{Bytes: 8 << 20, Timeout: 5 * time.Second} }

// Base is what the workers have kept. It may lag behind, but not behind what Trim was told,
// and nobody writes to it what is not in the log; retention may remove old records, and a
// room that has ended, in the end.
type Base interface {
	// SequenceHead is that of a room; the zero Head for one without records.
	SequenceHead(ctx context.Context, tenant, room string) (sequence.Head, error)
	Room(ctx context.Context, tenant, room string) (room.Info, bool, error)
	Member(ctx context.Context, tenant, room, user string) (room.Member, bool, error)
	Members(ctx context.Context, tenant, room, after string, limit int) ([]room.Member, error)
	// Sent and Read are the user's two markers in the room, zero if there are none.
	Sent(ctx context.Context, tenant, user, room string) (room.Marker, error)
	Read(ctx context.Context, tenant, user, room string) (room.Marker, error)
	After(ctx context.Context, tenant, room string, p event.Position, limit, maxBytes int) ([]event.Record, error)
	Before(ctx context.Context, tenant, room string, offset uint64, limit, maxBytes int) ([]event.Record, error)
	room.Notes
}

// Deps are what a Tail works with. Base is required.
type Deps struct {
	Base Base
	// Projections derive rows from the records of an action, by its name. Those of
	// Memberships come on top.
	Projections map[string]room.Projection
	Now         func() time.Time // nil: time.Now
}
