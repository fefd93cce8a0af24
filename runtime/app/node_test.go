package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/runtime/config"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds everything that a test waits for.
const patience = time.Minute

// nodeYAML is the node of all tests; what one of them needs otherwise comes as
// path=value. No time of its own ends before the patience of the tests does: on a slow
// machine it would. A client that does not answer a close is waited for when the node
// stops; those that are still there at the end of a test are dropped before.
const nodeYAML = `
node: test
drain: 0s
workers: 8
timeout: 1m
admin: {listen: "127.0.0.1:0", check_timeout: 1m}
socket:
  listen: 127.0.0.1:0
  origins: [https://app.example.com]
  close_timeout: 20s
  handshake: {timeout: 1m}
  queue: {write_timeout: 1m}
session: {open_timeout: 1m}
sequence: {partitions: 4, submit_timeout: 1m, timeout: 1m}
deliver: {timeout: 1m}
limit: {user: {rate: 0}} # tests send as fast as they can
storage: {min_free: 0, cache_size: 4MiB, mem_table: 4MiB}
rooms:
  team: {members: true, join: open}
  live: {stream: false}
  board: {members: true, join: members, publish: moderators}
  news: {publish: server}
  short: {max_events: 3}
tenants:
  acme: {auth: {leeway: 0s, keys: [{id: k1, algorithm: HS256, secret: %s}, {id: e1, algorithm: ES256, public_key: %q}]}}
  globex: {auth: {leeway: 0s, keys: [{id: k1, algorithm: HS256, secret: %s}]}}
`

// node is a running node, and its data.
type node struct {
	t       testing.TB
	dir     string
	set     []string
	unready bool // by intention
	app     *App
	cancel  context.CancelFunc
	done    chan error
	schema  schemas
	log     *lines
}

// serve runs a node until the test ends.
func serve(t testing.TB, set ...string) *node {
	t.Helper()
	n := &node{t: t, dir: t.TempDir(), set: set, schema: compiled(), log: &lines{}}
	n.start()
	t.Cleanup(func() {
		n.stop()
		if t.Failed() {
			t.Logf("the node's log:\n%s", n.log.text())
		}
	})
	return n
}

// start makes a node on the data that is there.
func (n *node) start() {
	n.t.Helper()
	yaml := fmt.Sprintf(nodeYAML, secrets["acme"], publicKey, secrets["globex"])
	r, err := config.Load[Config](config.Options{
		Files: []string{"node.yaml"},
		Set:   append([]string{"storage.dir=" + n.dir}, n.set...),
		Open:  func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(yaml)), nil },
	})
	if err != nil {
		n.t.Fatal(err)
	}
	n.app, err = New(*r.Value, Deps{
		Log: slog.New(slog.NewTextHandler(n.log, &slog.HandlerOptions{Level: slog.LevelInfo})), Resolver: resolver.Load(),
	})
	if err != nil {
		n.t.Fatal(err)
	}
	if err := n.app.Listen(); err != nil {
		n.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel, n.done = cancel, make(chan error, 1)
	go func() { n.done <- n.app.Run(ctx) }() // ended by n.cancel
	want := http.StatusOK
	if n.unready {
		want = http.StatusServiceUnavailable
	}
	eventually(n.t, "the node is up", func() bool { return n.admin("/readyz").status == want })
}

// stop ends the node as SIGTERM would; more calls do nothing.
func (n *node) stop() {
	n.t.Helper()
	n.cancel()
	if n.done == nil {
		return
	}
	select {
	case err := <-n.done:
		if err != nil {
			n.t.Errorf("the node ended with %v", err)
		}
	case <-time.After(patience):
		n.t.Fatal("the node does not stop")
	}
	n.done = nil
}

type reply struct {
	status int
	body   string
}

// admin asks the admin server.
func (n *node) admin(path string) reply {
	c := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Get("http://" + n.app.AdminAddr().String() + path)
	if err != nil {
		return reply{body: err.Error()}
	}
	defer resp.Body.Close() // read only: nothing to lose
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return reply{body: err.Error()}
	}
	return reply{resp.StatusCode, string(b)}
}

// stored is how many events the node has made durable since it started.
func (n *node) stored() (sum uint64) {
	for _, p := range n.app.committer.Stats() {
		sum += p.Records
	}
	return sum
}

// records reads a room's whole stream from the store.
func (n *node) records(tenant, room string) []event.Record {
	n.t.Helper()
	rs, err := n.app.stores.rooms.Before(context.Background(), tenant, room, 0, 100_000, 1<<30)
	if err != nil {
		n.t.Fatal(err)
	}
	return rs
}

// connections are a user's, those without a session included.
func (n *node) connections(tenant, user string) []session.Connection {
	return slices.DeleteFunc(n.app.sessions.Connections(session.Filter{User: user}), func(c session.Connection) bool { return c.Tenant != tenant })
}

// eventually waits for a state that no message tells of.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !is(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("it never happened that %s", what)
		}
	}
}

// lines is a log that tests can read.
type lines struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(p)
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
}

// schemas are the compiled definitions of docs/protocol.schema.json.
type schemas struct{ server, client *jsonschema.Schema }

// compiled compiles when the first test asks.
var compiled = sync.OnceValue(func() schemas {
	text, err := os.ReadFile("../../docs/protocol.schema.json")
	if err != nil {
		panic(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		panic(err)
	}
	c := jsonschema.NewCompiler()
	const id = "urn:heddle:protocol:1"
	if err := c.AddResource(id, doc); err != nil {
		panic(err)
	}
	return schemas{server: c.MustCompile(id + "#/$defs/frame_to_server"), client: c.MustCompile(id + "#/$defs/frame_to_client")}
})

// conforms holds a frame to the schema.
func conforms(t testing.TB, s *jsonschema.Schema, frame []byte) {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(frame))
	if err == nil {
		err = s.Validate(v)
	}
	if err != nil {
		t.Errorf("the schema does not allow %s: %v", frame, err)
	}
}
