package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/room"
)

// Prefix is the beginning of the path of all routes.
const Prefix = "/v1/api/"

const (
	maxBody     = 1 << 20
	maxBatch    = 100
	maxOpen     = 64 // requests of one key at once: with maxBody a bound on memory
	sendTimeout = 10 * time.Second
)

// Deps is what the API works with. The last four may be nil: their routes then
// answer 501.
type Deps struct {
	Keys    *Keyring
	Run     *Runner
	Rooms   Rooms
	Reader  Reader
	History Positions
	Actions []event.Action // that the document describes
	Timeout time.Duration  // for a request's body to arrive, and then for its answer
	Log     *slog.Logger
	Now     func() time.Time

	Sessions   Sessions
	Presence   Presence
	Disconnect Disconnector
	Revoke     Revoker
}

// Positions knows where rooms' streams are.
type Positions interface {
	Head(ctx context.Context, tenant, room string) (event.Head, error)
}

// Sessions lists connections.
type Sessions interface {
	// Connections are those of a tenant's users, at most limit; of one user, if that is
	// not empty.
	Connections(tenant, user string, limit int) []Connection
}

// Connection is what a tenant may know of a connection of one of its users.
type Connection struct {
	Session    string          `json:"session"`
	User       string          `json:"user"`
	Device     string          `json:"device,omitempty"`
	State      string          `json:"state"`
	Node       string          `json:"node"`
	Transport  string          `json:"transport"`
	Remote     string          `json:"remote"`
	Agent      string          `json:"agent,omitempty"`
	Opened     int64           `json:"opened_at"` // Unix milliseconds
	Rooms      []string        `json:"rooms"`
	Attributes json.RawMessage `json:"attributes,omitempty"`
}

// Presence knows who is there.
type Presence interface {
	// Presence is how users of a tenant are seen now, in the order in which they are
	// asked for; users that nothing is known of are offline.
	Presence(ctx context.Context, tenant string, users []string) ([]Status, error)
}

// Status is one user's presence.
type Status struct {
	User    string          `json:"user"`
	Status  string          `json:"status"` // online, away, dnd, offline
	Text    string          `json:"text,omitempty"`
	Emoji   string          `json:"emoji,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
	Since   int64           `json:"since,omitempty"` // Unix milliseconds
	Devices int             `json:"devices,omitempty"`
}

// Disconnector closes connections.
type Disconnector interface {
	// Disconnect closes a tenant's connections that match, and says how many there
	// were. Their sessions may be resumed, unless the token was revoked as well.
	Disconnect(ctx context.Context, tenant string, t Target) (int, error)
}

// Target picks connections: a user's, those of one of the user's devices, or the
// one of a session. What is empty matches all; User or Session is there.
type Target struct {
	User, Device, Session string
}

// Revoker makes tokens worthless.
type Revoker interface {
	// Revoke refuses tokens of a tenant from now on, and closes the sessions that they
	// opened.
	Revoke(ctx context.Context, tenant string, r Revocation) error
}

// Revocation picks tokens: the one with an id (jti), or those of a user, or of one
// of the user's devices, that were issued until now. Token or User is there.
type Revocation struct {
	Token, User, Device string
}

// API serves the routes.
type API struct {
	deps     Deps
	mux      *http.ServeMux
	document []byte
	counts   []counter
}

type counter struct {
	route    string
	byStatus [6]atomic.Uint64 // hundreds
}

// New makes the API; it serves once it is asked.
func New(d Deps) (*API, error) {
	a := &API{deps: d, mux: http.NewServeMux()}
	var err error
	if a.document, err = Document(d.Actions); err != nil {
		return nil, err
	}
	all := routes()
	a.counts = make([]counter, len(all))
	byPath := map[string]methods{}
	for i := range all {
		r := &all[i]
		a.counts[i].route = r.method + " " + r.path
		if byPath[r.path] == nil {
			byPath[r.path] = methods{}
		}
		byPath[r.path][r.method] = a.serve(r, &a.counts[i])
	}
	for path, m := range byPath {
		a.mux.Handle(path, m)
	}
	a.mux.Handle(Prefix+"openapi.json", methods{http.MethodGet: http.HandlerFunc(a.describe)})
	a.mux.HandleFunc(Prefix, func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, httpError(http.StatusNotFound, notFound, "", "there is no such route"))
	})
	return a, nil
}

// ServeHTTP answers requests below Prefix.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

func (a *API) describe(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", jsonType)
	_, _ = w.Write(a.document) // the client has gone away
}

// Counts are the requests of one route by their answers.
type Counts struct {
	Route    string         // method and path
	ByStatus map[int]uint64 // by the hundred: 200, 400
}

// Stats reads the counters of all routes.
func (a *API) Stats() []Counts {
	out := make([]Counts, len(a.counts))
	for i := range a.counts {
		c := Counts{Route: a.counts[i].route, ByStatus: map[int]uint64{}}
		for h := range a.counts[i].byStatus {
			if n := a.counts[i].byStatus[h].Load(); n > 0 {
				c.ByStatus[100*h] = n
			}
		}
		out[i] = c
	}
	return out
}

var _ Rooms = (*room.Rooms)(nil)
