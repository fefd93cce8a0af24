package directory

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/planted"
	"github.com/heddle-rt/heddle/runtime/session"
)

// Presence is told of users' sessions elsewhere, each known by used: when its client did
// something last, on this node's clock, which goes on to change.
type Presence interface {
	OnlineElsewhere(tenant, user, device string, used *atomic.Int64)
	Offline(tenant, user string, used *atomic.Int64)
	// Lost is Offline of a session whose node has died.
	Lost(tenant, user string, used *atomic.Int64)
	Active(tenant, user string)
	JoinedRoom(tenant, user, room string, used *atomic.Int64)
	LeftRoom(tenant, user, room string, used *atomic.Int64)
}

// Sessions are those of this node.
type Sessions interface {
	// OpenedElsewhere tells of a session that was opened on another node.
	OpenedElsewhere(p session.Place)
	// Release lets a session go that another node resumes, once its record is saved.
	Release(ctx context.Context, tenant, id string) error
	Hangup(ctx context.Context, f session.Filter, reconnect bool) int
	DirectHere(env *event.Envelope, user, device string) int
}

// Deps are what a Directory works with.
type Deps struct {
	Node string
	// Broadcast hands a message to all nodes, this one too or not, or loses it. It must
	// not block, and may keep the message.
	Broadcast func(message []byte)
	// Ask sends a request to a node, which is for its Answer. done is called once, from
	// another goroutine, with the answer or because there is none; not with an error.
	Ask func(node string, kind byte, body []byte, done func(body []byte, err error)) error
	// Shared reports whether others have to know who has joined a room.
	Shared func(room string) bool
	// Clock is the one that sessions note activity by, in nanoseconds.
	Clock    func() int64
	Presence Presence
	Sessions Sessions
	// Heard takes what Say was given on another node, perhaps twice; nil: nobody cares.
	Heard func(note []byte)
	Log   *slog.Logger
	Now   func() time.Time // nil means time.Now
}

// Directory knows the sessions of all nodes.
type Directory struct {
	own
	deps  Deps
	slots chan struct{} // held by who handles a request that has to wait

	apply sync.Mutex // held while others' changes are taken in and told; before mu
	peers map[string]*peer

	mu      sync.RWMutex // of what is found of the others' sessions
	byUser  map[userKey]*remote
	tenants map[string]int64 // how many sessions

	counters
}

type userKey struct{ tenant, user string }

const (
	flushEvery  = 50 * time.Millisecond
	digestEvery = time.Second
)

// New knows no other nodes before Alive.
func New(deps Deps) *Directory {
	if deps.Now == nil {
		deps.Now = time.Now
	}
	return &Directory{
		deps: deps, slots: make(chan struct{}, waiting), peers: map[string]*peer{}, byUser: map[userKey]*remote{}, tenants: map[string]int64{},
		own: own{
			node: deps.Node, incarnation: ulid.MustNew(ulid.Timestamp(deps.Now()), ulid.DefaultEntropy()).String(), clock: deps.Clock, shared: deps.Shared,
			broadcast: deps.Broadcast, pageBytes: batchBytes, byNum: map[uint64]*mine{},
		},
	}
}

// Run tells the other nodes of this one's sessions until ctx ends.
func (d *Directory) Run(ctx context.Context) error {
	flush, digest := time.NewTicker(flushEvery), time.NewTicker(digestEvery)
	defer flush.Stop()
	defer digest.Stop()
	for {
		select {
		case <-ctx.Done():
			d.flush()
			for range waiting { // until all requests are answered
				d.slots <- struct{}{}
			}
			return nil
		case <-flush.C:
			d.flush()
		case <-digest.C:
			d.tick()
		}
	}
}

// tick is what is done each second.
func (d *Directory) tick() {
	d.look()
	d.digest()
	d.apply.Lock()
	defer d.apply.Unlock()
	for _, p := range d.peers {
		if !d.bury(p) {
			d.catchUp(p)
		}
	}
}

// Say hands a note to all other nodes, soon, or loses it.
func (d *Directory) Say(note []byte) { d.say(note) }

// Alive says which nodes there are, and is called again when others come or go. Who is
// not among them is dead, and so are its sessions, unless it still speaks: then whoever
// keeps the list has forgotten it.
func (d *Directory) Alive(nodes []string) {
	d.apply.Lock()
	defer d.apply.Unlock()
	for node, p := range d.peers {
		p.missing = !slices.Contains(nodes, node)
		d.bury(p)
	}
	for _, node := range nodes {
		if d.peers[node] == nil && node != d.deps.Node {
			p := &peer{node: node, sessions: map[uint64]*remote{}}
			d.peers[node] = p
			d.fetch(p, "")
		}
	}
}

// speaks is how long a node that was heard is not taken to be dead.
const speaks = digestEvery * 3 / 2

// bury forgets a node if it is dead.
func (d *Directory) bury(p *peer) bool {
	if !p.missing || d.deps.Now().Sub(p.heard) < speaks || planted.GhostsStay {
		return false
	}
	delete(d.peers, p.node)
	for _, r := range p.sessions {
		d.remove(r, d.deps.Presence.Lost)
	}
	return true
}

// Receive takes a message that a node has broadcast.
func (d *Directory) Receive(b []byte) {
	m, err := readMessage(b)
	if err != nil {
		d.deps.Log.Warn("what another node says of its sessions is not readable", "error", err)
		return
	}
	d.apply.Lock()
	defer d.apply.Unlock()
	if m.node == d.deps.Node {
		if m.incarnation != d.incarnation {
			d.doubled(m.node)
		}
		return
	}
	p := d.peers[m.node]
	if p == nil { // dead, or so young that we have not been told of it
		return
	}
	if d.deps.Heard != nil {
		for _, note := range m.notes {
			d.deps.Heard([]byte(note))
		}
	}
	d.take(p, &m)
}

// reportEvery is how often it is logged that nodes have one name.
const reportEvery = time.Minute

func (d *Directory) doubled(node string) {
	d.doubles.Add(1)
	if now := d.deps.Now(); now.Sub(d.reported) >= reportEvery {
		d.reported = now
		d.deps.Log.Error("two nodes have the same name; each needs its own", "name", node)
	}
}
