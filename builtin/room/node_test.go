package room

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heddle-rt/heddle/builtin/chat"
	"github.com/heddle-rt/heddle/runtime/adapter/embedded"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/pipeline"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/sequence"
	"github.com/heddle-rt/heddle/runtime/validate"
)

// node is the real store and committer behind the handlers, without sockets.
type node struct {
	t       testing.TB
	store   *embedded.Store
	stage   *sequence.Stage
	commits *sequence.Committer
	rooms   *room.Rooms
	actions []event.Action
}

func newNode(t testing.TB) *node {
	t.Helper()
	projections := Projections()
	for action, project := range chat.Projections() {
		projections[action] = project
	}
	cfg := embedded.Default()
	cfg.MemTable, cfg.MinFree = 1<<20, 0
	store, err := embedded.Open(cfg, embedded.Deps{Projections: projections, FS: vfs.NewMem(), Fatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, store: store, rooms: room.New(types(), store)}
	n.commits, err = sequence.New(sequence.Default(), sequence.Deps{Log: store.Log(), Publisher: nobody{}})
	if err != nil {
		t.Fatal(err)
	}
	n.stage = sequence.NewStage(sequence.StageDeps{Committer: n.commits, Continue: func(ev *event.Event, err error) { ev.Origin.(*caller).done <- err }})
	n.actions = append(Actions(Deps{Rooms: n.rooms, Reader: store, History: store, Notes: store}), chat.Actions(chat.Deps{Reader: store, History: store})...)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = n.commits.Run(ctx) }) // until the test ends
	t.Cleanup(func() {
		cancel()
		running.Wait()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

type nobody struct{}

func (nobody) Publish([]event.Record) {}

// caller is a session that has joined every room.
type caller struct {
	user string
	done chan error
}

func (c *caller) Identity() *event.Identity { return &event.Identity{Tenant: "acme", User: c.user} }
func (c *caller) Opened() bool              { return true }
func (c *caller) Member(string) (event.Membership, bool) {
	return event.Membership{Publish: true, Durable: true}, true
}

// try sends one event, "ID ACTION ROOM DATA", and waits until it is stored or
// refused.
func (n *node) try(user, line string) error {
	store, err := n.decide(user, line)
	if err != nil {
		return err
	}
	return store()
}

// decide is the first half of try; store is the second.
func (n *node) decide(user, line string) (store func() error, err error) {
	word := strings.SplitN(line, " ", 4)
	from := &caller{user, make(chan error, 1)}
	ev := &event.Event{Origin: from, Envelope: event.Envelope{
		Type: event.TypeEvent, ID: word[0], Tenant: "acme", Room: word[2], From: event.Sender{User: user}, Action: word[1], Data: []byte(word[3]),
	}}
	ev.Spec = &n.actions[slices.IndexFunc(n.actions, func(a event.Action) bool { return a.Name == word[1] })]
	ctx := n.t.Context()
	if _, err := validate.New().Process(ctx, ev); err != nil {
		return nil, err
	}
	if err := ev.Spec.Handle(ctx, ev); err != nil {
		return nil, err
	}
	return func() error {
		verdict, err := n.stage.Process(ctx, ev)
		if verdict == pipeline.Handled {
			err = <-from.done
		}
		return err
	}, nil
}

// do tries again, as clients do, until the answer is final.
func (n *node) do(user, line string) error {
	for range 1000 {
		if err := n.try(user, line); err == nil || !fault.Of(err).Kind.Retryable() {
			return err
		}
	}
	return errors.New("never an answer")
}

func (n *node) must(user, line string) {
	n.t.Helper()
	if err := n.do(user, line); err != nil {
		n.t.Fatalf("%s: %s: %v", user, line, err)
	}
}

// race does things at once and returns what came of each.
func (n *node) race(do ...func() error) []error {
	errs := make([]error, len(do))
	var all sync.WaitGroup
	start := make(chan struct{})
	for i, f := range do {
		all.Go(func() {
			<-start
			errs[i] = f()
		})
	}
	close(start)
	all.Wait()
	return errs
}

// members are the members as "user=role".
func (n *node) members(name string) (out []string) {
	n.t.Helper()
	all, err := n.store.Members(n.t.Context(), "acme", name, "", 1000)
	if err != nil {
		n.t.Fatal(err)
	}
	for _, m := range all {
		out = append(out, m.User+"="+m.Role)
	}
	return out
}

func (n *node) there(name string) bool {
	n.t.Helper()
	_, found, err := n.store.Room(n.t.Context(), "acme", name)
	if err != nil {
		n.t.Fatal(err)
	}
	return found
}

// stream is the room's records, oldest first, in an unbroken row.
func (n *node) stream(name string) []event.Record {
	n.t.Helper()
	records, err := n.store.Before(n.t.Context(), "acme", name, 0, 10000, 1<<30)
	if err != nil {
		n.t.Fatal(err)
	}
	slices.Reverse(records)
	for i := range records {
		if records[i].Offset != uint64(i+1) {
			n.t.Fatalf("%s: offset %d in place %d", name, records[i].Offset, i+1)
		}
	}
	return records
}

// Commit makes the node a Committer.
func (n *node) Commit(ctx context.Context, e event.Effect) error {
	w := &waiting{done: make(chan error, 1)}
	w.Record = event.Record{Envelope: e.Envelope, Ends: e.Ends}
	w.Subject, w.Seen, w.Done = e.Subject, e.Seen, w
	if err := n.commits.Submit(ctx, &w.Submission); err != nil {
		return err
	}
	return <-w.done
}

type waiting struct {
	sequence.Submission
	done chan error
}

func (w *waiting) Committed(o sequence.Outcome) { w.done <- o.Err }

func (n *node) expirer(now func() time.Time) *Expirer {
	return NewExpirer(ExpirerDeps{Rooms: n.rooms, Reader: n.store, History: n.store, Notes: n.store, Committer: n,
		Tenants: func() []string { return []string{"acme", "globex"} }, Now: now, Log: discard()})
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
