package session

import (
	"context"
	"strings"

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
	// Generation counts the resumes. With Meta.Node it says whose the session is.
	Generation uint64
}

// Yields reports whether a record gives way to one that is kept already: that is of a
// later generation, or of the same one by another node. Of two nodes that resume a
// session at the same time it is thus the first one's to be saved.
func (r *Record) Yields(kept *Record) bool {
	return r.Generation < kept.Generation || r.Generation == kept.Generation && r.Meta.Node != kept.Meta.Node
}

// Taken is what Save fails with when everything is saved but the records that had to
// yield: other nodes have these sessions now.
type Taken struct{ IDs []string }

func (t *Taken) Error() string {
	return "session: other nodes have resumed " + strings.Join(t.IDs, ", ")
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
	// Save does not write what yields to the record that is kept, and fails with *Taken
	// then.
	Save(ctx context.Context, rs ...Record) error
	Load(ctx context.Context, tenant, id string) (Record, bool, error)
	// Delete forgets a session, if what is kept is of that generation or an earlier one.
	Delete(ctx context.Context, tenant, id string, generation uint64) error
	// OfUser lists a user's records that have not expired, at most limit.
	OfUser(ctx context.Context, tenant, user string, limit int) ([]Record, error)
}
