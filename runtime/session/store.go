package session

import (
	"context"

	"github.com/heddle-rt/heddle/runtime/event"
)

// Record is what outlives a connection: enough to resume the session on any
// node. It is written while the session lives, not when it dies.
type Record struct {
	ID      string
	Tenant  string
	User    string
	Device  string
	Secret  [32]byte                  // SHA-256 of the resume token
	Opened  int64                     // Unix milliseconds
	Expires int64                     // Unix milliseconds: not resumable after
	Rooms   map[string]event.Position // joined rooms, and the position at which each was joined
	Trail   []byte                    // runtime/trail: what the client was sent, of one that does not tell positions
	Meta    Meta
}

// Meta is what a session's record says of its last connection, for operators.
type Meta struct {
	Node       string
	Transport  string
	Remote     string // host:port
	Agent      string
	Attributes string // a JSON object, as the client gave it; may be empty
}

// Store keeps session records. A Save that has returned survives the death of
// the process.
type Store interface {
	Save(ctx context.Context, rs ...Record) error
	Load(ctx context.Context, tenant, id string) (Record, bool, error)
	Delete(ctx context.Context, tenant, id string) error
	// OfUser lists a user's records that have not expired, at most limit.
	OfUser(ctx context.Context, tenant, user string, limit int) ([]Record, error)
}
