package embedded

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/heddle-rt/heddle/runtime/deliver"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/frame"
	"github.com/heddle-rt/heddle/runtime/room"
	"github.com/heddle-rt/heddle/runtime/sequence"
)

// held is a node whose disk syncs only while it is not held.
type held struct {
	*Store
	t      *testing.T
	commit *sequence.Committer
	hub    *deliver.Hub
	gate   sync.RWMutex // held to write while nothing is synced
	begun  atomic.Bool  // the gate counts
}

func newHeld(t *testing.T, timeout time.Duration) *held {
	h := &held{t: t}
	h.Store = open(t, "data", &slowFS{FS: vfs.NewMem(), step: func() {
		if h.begun.Load() {
			h.gate.RLock()
			defer h.gate.RUnlock()
		}
	}}, func(_ *Config, d *Deps) { d.Projections = map[string]room.Projection{"all": projectAll} })
	h.hub = deliver.New(deliver.Config{Page: 16, PageBytes: 1 << 20, Readers: 2, Reorder: 8, Timeout: patience}, deliver.Deps{History: h.Store, Log: slog.New(slog.DiscardHandler)})
	cfg := sequence.Default()
	cfg.Timeout = timeout
	var err error
	if h.commit, err = sequence.New(cfg, sequence.Deps{Log: h.Log(), Publisher: h.hub}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = h.commit.Run(ctx) }) // both until the test ends; they return nil
	running.Go(func() { _ = h.hub.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait(); _ = h.Store.Close() })
	return h
}

// projectAll writes into every table.
func projectAll(t room.Tables, r *event.Record) {
	user := r.From.User
	t.PutRoom(room.Info{Tenant: r.Tenant, ID: r.Room, Name: r.Key})
	t.PutMember(r.Tenant, r.Room, room.Member{User: user, Role: room.RoleMember})
	t.PutSent(r.Tenant, user, r.Room, room.Marker{Position: r.Position, Messages: r.Messages})
	t.PutNote(r.Tenant, r.Room, room.Note{Offset: r.Offset, Kind: "note"})
	t.PutRow(r.Tenant, r.Room, room.Row{Kind: "row", Key: user})
}

// send submits an event without waiting for it.
func (h *held) send(user, key string) *sending {
	h.t.Helper()
	s := &sending{done: make(chan sequence.Outcome, 1)}
	s.Record = event.Record{Key: key, Unread: true}
	s.Record.Type, s.Record.Tenant, s.Record.Room, s.Record.Action = event.TypeMessage, crashTenant, "conv:1", "all"
	s.Record.From.User, s.Record.Data, s.Done = user, []byte(`{}`), s
	if err := h.commit.Submit(h.t.Context(), &s.Submission); err != nil {
		h.t.Fatal(err)
	}
	return s
}

// settle sends an event, again and again while nobody knows whether it was stored or
// the log is away, and returns how it ended and whether the first try was the last.
func (h *held) settle(user, key string) (o sequence.Outcome, atOnce bool) {
	h.t.Helper()
	for end, tries := time.Now().Add(patience), 1; ; tries++ {
		o = <-h.send(user, key).done
		if !fault.Is(o.Err, fault.Timeout) && !fault.Is(o.Err, fault.Unavailable) || time.Now().After(end) {
			return o, tries == 1
		}
		<-time.After(time.Millisecond)
	}
}

// listener is a session that notes what it gets.
type listener struct {
	behind deliver.Catchup
	mu     sync.Mutex
	got    []string
}

func (*listener) Index() int { return 0 }
func (*listener) Encode(env *event.Envelope, c frame.Class, key string) *frame.Frame {
	js, _ := json.Marshal(env.Offset)
	return frame.Finish(append(frame.Begin(len(js)), js...), false, c, key)
}
func (l *listener) Encoder() deliver.Encoder         { return l }
func (l *listener) Sink() deliver.Sink               { return l }
func (l *listener) Catchup() *deliver.Catchup        { return &l.behind }
func (l *listener) Push(f *frame.Frame) bool         { return l.PushAll([]*frame.Frame{f}) }
func (*listener) Drained(context.Context, int) error { return nil }
func (*listener) Ended(*deliver.Sub)                 {}
func (*listener) Lost(*deliver.Sub, error)           {}
func (l *listener) PushAll(fs []*frame.Frame) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range fs {
		l.got = append(l.got, string(f.Payload()))
	}
	return true
}

func (l *listener) heard() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.got)
}

// await waits until a condition holds.
func (h *held) await(what string, holds func() bool) {
	h.t.Helper()
	for end := time.Now().Add(patience); !holds(); {
		if time.Now().After(end) {
			h.t.Fatal("never: ", what)
		}
		<-time.After(time.Millisecond)
	}
}

func (h *held) listen(at event.Position) *listener {
	l := &listener{}
	h.hub.Start(h.hub.Subscribe(crashTenant, "conv:1", l, at, event.Membership{}))
	return l
}

// Nobody is shown what the disk does not hold yet, though Pebble shows it: neither a
// page of history, nor what a session is opened with (head, marker, list of rooms),
// nor rows, nor who is there or just comes.
func TestNothingIsShownBeforeItIsDurable(t *testing.T) {
	h := newHeld(t, time.Minute)
	first := <-h.send("ann", "1").done
	if first.Err != nil {
		t.Fatal(first.Err)
	}
	there := h.listen(first.Position)
	reads := map[string]func(ctx context.Context) (any, error){
		"head": func(ctx context.Context) (any, error) { return h.Head(ctx, crashTenant, "conv:1") },
		"after": func(ctx context.Context) (any, error) {
			return h.After(ctx, crashTenant, "conv:1", event.Position{}, 9, 1<<20)
		},
		"before": func(ctx context.Context) (any, error) { return h.Before(ctx, crashTenant, "conv:1", 0, 9, 1<<20) },
		"rooms":  func(ctx context.Context) (any, error) { return h.RoomsOf(ctx, crashTenant, "bob", 9) },
		"marker": func(ctx context.Context) (any, error) { return h.Marker(ctx, crashTenant, "bob", "conv:1") },
		"room": func(ctx context.Context) (any, error) {
			i, _, err := h.Room(ctx, crashTenant, "conv:1")
			return i.Name, err
		},
		"member": func(ctx context.Context) (any, error) {
			_, ok, err := h.Member(ctx, crashTenant, "conv:1", "bob")
			return ok, err
		},
		"members": func(ctx context.Context) (any, error) { return h.Members(ctx, crashTenant, "conv:1", "", 9) },
		"notes":   func(ctx context.Context) (any, error) { return h.Notes(ctx, crashTenant, "conv:1", 0, 9, 0) },
		"row": func(ctx context.Context) (any, error) {
			_, ok, err := h.Row(ctx, crashTenant, "conv:1", "row", "bob")
			return ok, err
		},
		"rows": func(ctx context.Context) (any, error) { return h.Rows(ctx, crashTenant, "conv:1", "row", "", 9) },
	}
	show := func(read func(context.Context) (any, error), within time.Duration) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		v, err := read(ctx)
		js, _ := json.Marshal(v)
		return string(js), err
	}
	before := map[string]string{}
	for name, read := range reads {
		text, err := show(read, patience)
		if err != nil {
			t.Fatal(name, err)
		}
		before[name] = text
	}
	h.gate.Lock()
	h.begun.Store(true)
	second := h.send("bob", "2")
	h.await("applied", func() bool { all, err := readNaively(h.Store, "conv:1"); return err == nil && len(all) == 2 })
	late := h.listen(event.Position{})
	h.await("history is sent", func() bool { return len(late.heard()) > 0 })
	for range 2 { // what is kept in memory, too
		for name, read := range reads {
			if text, err := show(read, 20*time.Millisecond); err == nil && text != before[name] || err != nil && !fault.Is(err, fault.Timeout) {
				t.Errorf("%s shows %s, %v; before %s", name, text, err, before[name])
			}
		}
	}
	if len(second.done) > 0 || len(there.heard()) > 0 || len(late.heard()) != 1 {
		t.Errorf("acked %v, delivered %v and %v", len(second.done) > 0, there.heard(), late.heard())
	}
	h.gate.Unlock()
	if o := <-second.done; o.Err != nil || o.Offset != 2 {
		t.Errorf("%+v", o)
	}
	for name, read := range reads {
		if text, err := show(read, patience); err != nil || text == before[name] {
			t.Errorf("durable, and %s shows %s, %v", name, text, err)
		}
	}
	h.await("delivered", func() bool { return len(there.heard()) == 1 && len(late.heard()) == 2 })
}

// A disk that hangs without an error: the sender is told that nobody knows, and the
// retry finds out. A machine that is slow looks like such a disk: what must be stored
// is sent until it is.
func TestADiskThatHangs(t *testing.T) {
	h := newHeld(t, 100*time.Millisecond)
	if o, _ := h.settle("ann", "1"); o.Err != nil {
		t.Fatal(o.Err)
	}
	l := h.listen(event.Position{})
	h.await("delivered", func() bool { return len(l.heard()) == 1 })
	partition := sequence.PartitionOf(crashTenant, "conv:1", len(h.commit.Stats()))
	stalled := func() bool { return h.commit.Stats()[partition].Stalled }
	h.gate.Lock()
	h.begun.Store(true)
	if o := <-h.send("ann", "2").done; !fault.Is(o.Err, fault.Timeout) {
		t.Errorf("%+v", o)
	}
	h.await("stalled", stalled)
	err := sequence.Direct{Submitter: h.commit}.Commit(t.Context(), event.Effect{Durable: true, Envelope: event.Envelope{Tenant: crashTenant, Room: "conv:1"}})
	if !fault.Is(err, fault.Unavailable) || len(l.heard()) != 1 {
		t.Errorf("behind it: %v, delivered %v", err, l.heard())
	}
	h.gate.Unlock()
	h.await("goes on", func() bool { return !stalled() && len(l.heard()) == 2 })
	if o, _ := h.settle("ann", "2"); o.Err != nil || !o.Repeat || o.Offset != 2 {
		t.Errorf("the retry: %+v", o)
	}
	if o, atOnce := h.settle("ann", "3"); o.Err != nil || o.Repeat && atOnce || o.Offset != 3 {
		t.Errorf("the next one: %+v", o)
	}
}
