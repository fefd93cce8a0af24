package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
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

// Deps is what the API works with. The last five may be nil: their routes then
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
	// Leaving is closed when the node begins to drain: who waits for something is
	// answered then. nil: it never does.
	Leaving <-chan struct{}

	Sessions   Sessions
	Presence   Presence
	Disconnect Disconnector
	Revoke     Revoker
	Plugins    Plugins
}

// Positions knows where rooms' streams are.
type Positions interface {
	Head(ctx context.Context, tenant, room string) (event.Head, error)
}

// Sessions lists connections.
type Sessions interface {
	// Connections are a page of those of a tenant's connections that have an open
	// session, in the order of the sessions' ids; more says that others follow. looked
	// is how many connections the node looked at: the key pays for that.
	Connections(tenant string, q Query) (page []Connection, more bool, looked int)
}

// Query picks connections; what is empty matches all.
type Query struct {
	User, Device, Session string
	After                 string // only sessions behind this id
	Limit                 int
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

// Presence knows who is there, as others see it: users who are invisible are
// offline, because what a backend learns is mostly shown to other users. Which
// devices a user really has, Sessions tells.
type Presence interface {
	// Presence is how users of a tenant are seen now, in the order in which they are
	// asked for; users that nothing is known of are offline.
	Presence(ctx context.Context, tenant string, users []string) ([]Status, error)
	// Present is who is in a room, behind the name after and at most limit of them.
	Present(ctx context.Context, tenant, room, after string, limit int) (Presents, error)
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

// Presents are those present in a room, in the order of their names, and how many
// there are on all pages.
type Presents struct {
	Users  []Status `json:"users,omitzero"` // nil where only counts are told
	Next   string   `json:"next,omitempty"` // empty on the last page
	Online int      `json:"online"`
	Away   int      `json:"away"`
	DND    int      `json:"dnd"`
}

// Disconnector closes connections.
type Disconnector interface {
	// Disconnect closes a tenant's connections that match, and says how many were told.
	Disconnect(ctx context.Context, tenant string, t Target) (int, error)
}

// Target picks connections: a user's, those of one of the user's devices, or the
// one of a session. What is empty matches all; User or Session is there.
type Target struct {
	User, Device, Session string
	// Reconnect has the clients come back and resume. Otherwise they stay away until
	// their users want to come back, and their sessions are over.
	Reconnect bool
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
	counts   []*counter    // of the routes, and of all that is no route
	archives chan struct{} // a place for each that is under way
}

// New makes the API; it serves once it is asked.
func New(d Deps) (*API, error) {
	a := &API{deps: d, mux: http.NewServeMux(), archives: make(chan struct{}, maxArchives)}
	var err error
	if a.document, err = Document(d.Actions); err != nil {
		return nil, err
	}
	all := routes()
	byPath := map[string]*methods{}
	for i := range all {
		r := &all[i]
		n := newCounter(r.method + " " + r.path)
		a.counts = append(a.counts, n)
		if byPath[r.path] == nil {
			byPath[r.path] = &methods{by: map[string]http.Handler{}, other: a.refuse}
		}
		byPath[r.path].by[r.method] = a.serve(r, n)
	}
	for path, m := range byPath {
		a.mux.Handle(path, m)
	}
	a.mux.Handle(Prefix+"openapi.json", &methods{by: map[string]http.Handler{http.MethodGet: http.HandlerFunc(a.describe)}, other: a.refuse})
	a.mux.HandleFunc(Prefix, func(w http.ResponseWriter, req *http.Request) {
		a.refuse(w, req, httpError(http.StatusNotFound, fault.NotFound, "", "there is no such route"))
	})
	a.counts = append(a.counts, newCounter("none"))
	return a, nil
}

// ServeHTTP answers requests below Prefix. Each has an id, its own or a new one,
// which the answer and the log name.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(requestID, requestIDOf(r))
	a.mux.ServeHTTP(w, r)
}

func (a *API) describe(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", jsonType)
	_, _ = w.Write(a.document) // the client has gone away
}

// refuse answers what is no request of a route.
func (a *API) refuse(w http.ResponseWriter, req *http.Request, err error) {
	a.logged(w, req, "", nil, err)
	refuse(w, err)
	a.counts[len(a.counts)-1].add(statusOf(err), 0)
}

var _ Rooms = (*room.Rooms)(nil)
