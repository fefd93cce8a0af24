package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/runtime/ack"
	"github.com/heddle-rt/heddle/runtime/deliver"
	"github.com/heddle-rt/heddle/runtime/dialect/native"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/limit"
	"github.com/heddle-rt/heddle/runtime/pipeline"
	"github.com/heddle-rt/heddle/runtime/room"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	tenant = "acme"
	epoch  = "e1"
)

var (
	quiet = slog.New(slog.DiscardHandler)
	errNo = errors.New("the disk is out")
)

// inTime runs a test in a bubble of time of its own.
func inTime(t *testing.T, f func(t *testing.T, n *node)) {
	synctest.Test(t, func(t *testing.T) { f(t, newNode(t)) })
}

// node is a manager among fakes. The route and the workers are done without:
// do calls handlers and the stages behind them.
type node struct {
	*Manager
	t       testing.TB
	world   *world
	deliver *deliver.Stage
	ack     *ack.Stage
	actions []event.Action
	began   time.Time
	stop    func() // ends Run, and waits for it
}

var limits = Config{
	ResumeTTL: time.Minute, OpenTimeout: 10 * time.Second, InFlight: 256, Batch: 64, Rooms: 6, Malformed: 3,
	AckTimeout: 4 * time.Second, AckRetries: 2, Detached: 100,
}

func newNode(t testing.TB) *node { return newNodeIn(t, newWorld(), "node") }

// newNodeIn makes one of several nodes with one store.
func newNodeIn(t testing.TB, w *world, name string) *node {
	n := &node{t: t, world: w, actions: Actions(), began: time.Now()}
	hub := deliver.New(deliver.Config{Page: 16, PageBytes: 1 << 20, Readers: 1, Reorder: 8, Timeout: time.Second}, deliver.Deps{History: n.world, Log: quiet})
	n.deliver, n.ack = deliver.NewStage(hub), ack.NewStage(quiet, time.Now, n.actions, (*limit.Suspects)(nil))
	n.Manager = NewManager(limits, Deps{
		Route: n, Workers: n, Hub: hub, Rooms: n.world, Reader: n.world, History: n.world, Store: n.world,
		Log: quiet, Now: time.Now, Node: name, Tokens: n.world, Revoked: n.world.isRevoked, Suspects: (*limit.Suspects)(nil), Limits: Limits{Heartbeat: 25 * time.Second, MaxFrameBytes: 64 << 10},
	})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = hub.Run(ctx) }) // both ended by stop; neither fails
	wg.Go(func() { _ = n.Manager.Run(ctx) })
	n.stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(n.stop)
	return n
}

// Run is the route: frames are actions without data. A panic is what they say.
func (n *node) Run(ctx context.Context, origin event.Origin, raw []byte, ticket uint64, _ int64, _ bool) bool {
	s := origin.(*Session)
	var env event.Envelope
	err := s.DecodeEnvelope(raw, &env)
	if env.Action == "panic" {
		panic("oh")
	}
	f := fault.Of(err)
	answer := ack.ErrorEnvelope(f)
	s.Answer(ticket, s.EncodeAnswer(&answer), 0)
	return false
}

func (n *node) Now() int64 { return int64(time.Since(n.began)) }

// Do is the workers.
func (n *node) Do(t *pipeline.Task) (here bool) {
	if n.world.stopped {
		return false
	}
	defer func() {
		if recover() != nil {
			t.Job.Panicked()
		}
	}()
	t.Job.Work()
	return true
}

// connect makes a session for a user's connection.
func (n *node) connect(user string) *client {
	c := &client{node: n, conn: &conn{opened: time.Now(), drained: make(chan struct{})}}
	var id *event.Identity
	if user != "" {
		id = &event.Identity{Tenant: tenant, User: user}
	}
	c.Session = n.New(c.conn, native.JSON{}, id, "websocket")
	return c
}

// open is connect, and session:open that must succeed.
func (n *node) open(user string, rooms ...string) *client {
	c := n.connect(user)
	c.must("session:open", map[string]any{"rooms": append([]string{}, rooms...)})
	return c
}

// client is a session and its connection.
type client struct {
	*Session
	node  *node
	conn  *conn
	reply reply // to the last request
}

// reply is an ack's or error's data.
type reply struct {
	Session, Node, User, Device string
	ResumeToken                 string `json:"resume_token"`
	Rooms                       []struct {
		Room, Epoch            string
		Offset, Unread, ReadAt uint64
		Member                 bool
	}
	Refused   []struct{ Room, Code string }
	Recovered *bool
	Reason    string
	Lost      []struct{ Room, Reason string }
	Code      string
	Field     string
	Devices   []device
	Left      []string
	ExpiresAt int64 `json:"expires_at"`
}

func (r *reply) rooms() (names []string) {
	for _, st := range r.Rooms {
		names = append(names, st.Room)
	}
	return names
}

// do takes an action through its handler and the stages behind it; "" for an ack,
// otherwise the code of the error.
func (c *client) do(action string, data map[string]any) (code string) {
	c.node.t.Helper()
	i := slices.IndexFunc(c.node.actions, func(a event.Action) bool { return a.Name == action })
	spec := &c.node.actions[i]
	ev := &event.Event{Origin: c.Session, Spec: spec, Ticket: c.line.Begin(limits.InFlight)}
	ev.ID, ev.Tenant, ev.Action = "1", tenant, action
	for i, f := range spec.Payload {
		if v, ok := data[f.Name]; ok {
			raw, err := json.Marshal(v)
			if err != nil {
				c.node.t.Fatal(err)
			}
			ev.SetArg(i, raw)
		}
	}
	if ev.Err = spec.Handle(context.Background(), ev); ev.Err == nil {
		_, ev.Err = c.node.deliver.Process(context.Background(), ev)
	}
	if _, err := c.node.ack.Process(context.Background(), ev); err != nil {
		c.node.t.Fatal(err)
	}
	var answer struct{ Payload struct{ Data reply } }
	if err := json.Unmarshal([]byte(c.conn.answer()), &answer); err != nil {
		c.node.t.Fatal(err)
	}
	c.reply = answer.Payload.Data
	return c.reply.Code
}

func (c *client) must(action string, data map[string]any) {
	c.node.t.Helper()
	if code := c.do(action, data); code != "" {
		c.node.t.Fatalf("%s: %s", action, code)
	}
}

// resume is a new connection of the same user that resumes the session.
func (c *client) resume(positions map[string]event.Position) *client {
	c.node.t.Helper()
	return c.resumeAs(c.Identity().User, positions)
}

func (c *client) resumeAs(user string, positions map[string]event.Position) *client {
	c.node.t.Helper()
	next := c.node.connect(user)
	data := map[string]any{"session": c.reply.Session, "resume_token": c.reply.ResumeToken}
	if positions != nil {
		data["positions"] = positions
	}
	next.must("session:resume", data)
	return next
}

// joined are the names of the rooms that the client receives, in order.
func (c *client) joined() []string {
	names := c.describe().Rooms
	slices.Sort(names)
	return names
}

// conn is a socket that nobody reads.
type conn struct {
	opened time.Time

	mu      sync.Mutex
	frames  []string // since sent was called
	kind    fault.Kind
	closed  bool
	code    uint16
	queued  int
	drained chan struct{}
}

func (c *conn) Push(f *frame.Frame) bool { return c.PushAll([]*frame.Frame{f}) }
func (c *conn) PushAll(fs []*frame.Frame) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range fs {
		c.frames = append(c.frames, string(f.Payload()))
	}
	return !c.closed
}

// sent takes what was pushed.
func (c *conn) sent() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.frames
	c.frames = nil
	return out
}

// answer takes the answer to a request, and leaves what else was pushed.
func (c *conn) answer() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.frames, func(js string) bool { return strings.Contains(js, `"ref":`) })
	js := c.frames[i]
	c.frames = slices.Delete(c.frames, i, i+1)
	return js
}

func (c *conn) Queued() int { return c.queued }
func (c *conn) Drained(ctx context.Context, below int) error {
	c.mu.Lock()
	wait := c.queued >= below
	c.mu.Unlock()
	if wait {
		<-c.drained
	}
	return nil
}

// queue has the connection say how much is queued.
func (c *conn) queue(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queued = n
}

func (c *conn) CloseWith(k fault.Kind, _ string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.closed, c.kind = true, k
	}
}

func (c *conn) Close(code uint16, _ string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed, c.code = true, code
}

// end is why the connection was closed, "" if it was not.
func (c *conn) end() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.closed:
		return ""
	case c.code != 0:
		return fmt.Sprint(c.code)
	}
	return c.kind.Code()
}

func (*conn) Remote() netip.AddrPort { return netip.MustParseAddrPort("192.0.2.1:4711") }
func (*conn) UserAgent() string      { return "test" }
func (c *conn) Opened() time.Time    { return c.opened }

// world is everything that sessions read and write.
type world struct {
	mu       sync.Mutex
	stopped  bool              // the workers have
	fails    map[string]error  // by the method's name
	block    map[string]func() // likewise, called first; without a lock
	member   map[string][]string
	closed   map[string]bool // rooms that nobody may join
	streams  map[string][]event.Record
	trimmed  map[string]uint64 // up to this offset nothing is kept
	sessions map[string]Record
	saves    int // calls of Save
	tokens   map[string]event.Identity
	revoked  map[string]bool // users, by name
}

func newWorld() *world {
	return &world{
		fails: map[string]error{}, block: map[string]func(){}, member: map[string][]string{}, closed: map[string]bool{},
		streams: map[string][]event.Record{}, trimmed: map[string]uint64{}, sessions: map[string]Record{},
		tokens: map[string]event.Identity{}, revoked: map[string]bool{},
	}
}

// enter begins a call.
func (w *world) enter(method string) error {
	w.mu.Lock()
	block := w.block[method]
	w.mu.Unlock()
	if block != nil {
		block()
	}
	w.mu.Lock()
	return w.fails[method]
}

// fail has a method fail from now on; nil: succeed again.
func (w *world) fail(method string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fails[method] = err
}

// publish makes an event of a room durable, and returns it.
func (w *world) publish(name, action string, data any) *event.Record {
	w.mu.Lock()
	defer w.mu.Unlock()
	js, err := json.Marshal(data)
	if err != nil {
		panic(err)
	}
	r := event.Record{Unread: true, Messages: uint64(len(w.streams[name]) + 1), Envelope: event.Envelope{
		Type: event.TypeMessage, Tenant: tenant, Room: name, Action: action, Data: js,
		Position: event.Position{Epoch: epoch, Offset: uint64(len(w.streams[name]) + 1)},
	}}
	w.streams[name] = append(w.streams[name], r)
	return &r
}

func (w *world) Head(_ context.Context, _, name string) (event.Head, error) {
	err := w.enter("Head")
	defer w.mu.Unlock()
	n := len(w.streams[name])
	if n == 0 || err != nil {
		return event.Head{}, err
	}
	return event.Head{Position: w.streams[name][n-1].Position, Messages: uint64(n)}, nil
}

func (w *world) After(_ context.Context, _, name string, p event.Position, limit, _ int) ([]event.Record, error) {
	err := w.enter("After")
	defer w.mu.Unlock()
	all := w.streams[name]
	switch {
	case err != nil:
		return nil, err
	case p.Offset < w.trimmed[name] || p.Offset > 0 && p.Epoch != epoch:
		return nil, room.ErrTrimmed
	}
	return slices.Clone(all[p.Offset:min(len(all), int(p.Offset)+limit)]), nil
}

func (*world) Before(context.Context, string, string, uint64, int, int) ([]event.Record, error) {
	return nil, nil
}

// Direct knows no rooms for direct messages but those of rooms called lobby.
func (w *world) Direct(name string) (string, bool) {
	return "channel:lobby", strings.HasPrefix(name, "channel:lobby/participant/")
}

func (w *world) Deleted(context.Context, string, string) (bool, error) { return false, nil }

func (w *world) Admit(_ context.Context, _ *event.Identity, name string) (room.Admission, error) {
	err := w.enter("Admit")
	defer w.mu.Unlock()
	if err == nil && w.closed[name] {
		err = fault.New(fault.Forbidden, "room", "")
	}
	return room.Admission{Member: event.Membership{Publish: true}, Lasting: room.TypeOf(name) == "conv"}, err
}

func (w *world) RoomsOf(_ context.Context, _, user string, _ int) ([]string, error) {
	err := w.enter("RoomsOf")
	defer w.mu.Unlock()
	return w.member[user], err
}

func (w *world) Marker(context.Context, string, string, string) (room.Marker, error) {
	err := w.enter("Marker")
	defer w.mu.Unlock()
	return room.Marker{}, err
}

func (*world) Room(context.Context, string, string) (room.Info, bool, error) {
	return room.Info{}, false, nil
}

func (*world) Member(context.Context, string, string, string) (room.Member, bool, error) {
	return room.Member{}, false, nil
}

func (*world) Members(context.Context, string, string, string, int) ([]room.Member, error) {
	return nil, nil
}

func (w *world) Save(_ context.Context, rs ...Record) error {
	err := w.enter("Save")
	defer w.mu.Unlock()
	w.saves++
	if err != nil {
		return err
	}
	var taken Taken
	for _, r := range rs {
		if kept, there := w.sessions[r.ID]; there && r.Yields(&kept) {
			taken.IDs = append(taken.IDs, r.ID)
		} else {
			w.sessions[r.ID] = r
		}
	}
	if len(taken.IDs) > 0 {
		return &taken
	}
	return nil
}

func (w *world) Load(_ context.Context, _, id string) (Record, bool, error) {
	err := w.enter("Load")
	defer w.mu.Unlock()
	r, ok := w.sessions[id]
	return r, ok, err
}

func (w *world) Delete(_ context.Context, _, id string, generation uint64) error {
	err := w.enter("Delete")
	defer w.mu.Unlock()
	if w.sessions[id].Generation <= generation {
		delete(w.sessions, id)
	}
	return err
}

func (w *world) OfUser(_ context.Context, _, user string, limit int) (out []Record, err error) {
	err = w.enter("OfUser")
	defer w.mu.Unlock()
	for _, r := range w.sessions {
		if r.User == user {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b Record) int { return strings.Compare(a.ID, b.ID) })
	return out[:min(len(out), limit)], err
}

// Verify knows the tokens that a test has made.
func (w *world) Verify(_ context.Context, token string) (*event.Identity, error) {
	err := w.enter("Verify")
	defer w.mu.Unlock()
	id, ok := w.tokens[token]
	if err == nil && !ok {
		err = fault.New(fault.Unauthenticated, "", "not a token")
	}
	return &id, err
}

// token makes one.
func (w *world) token(name string, id event.Identity) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tokens[name] = id
	return name
}

func (w *world) isRevoked(id *event.Identity) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.revoked[id.User]
}

func (w *world) revoke(user string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.revoked[user] = true
}

// written is how many records there are, after how many writes.
func (w *world) written() (records, saves int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.sessions), w.saves
}

// stored is a session's record; the zero Record if there is none.
func (w *world) stored(id string) Record {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sessions[id]
}
