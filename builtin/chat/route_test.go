package chat_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/builtin/chat"
	"github.com/heddle-rt/heddle/runtime/adapter/embedded"
	"github.com/heddle-rt/heddle/runtime/authorize"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/pipeline"
	"github.com/heddle-rt/heddle/runtime/sequence"
	"github.com/heddle-rt/heddle/runtime/validate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// route is a node without sockets: handlers, the committer, and the store.
type route struct {
	t        *testing.T
	dir      string
	store    *embedded.Store
	pipeline *pipeline.Pipeline
	actions  []event.Action
	stop     func()
}

func newRoute(t *testing.T) *route {
	r := &route{t: t, dir: t.TempDir()}
	r.start()
	t.Cleanup(func() { r.stop() })
	return r
}

// start opens what is stored.
func (r *route) start() {
	r.t.Helper()
	cfg := embedded.Default()
	cfg.Dir, cfg.MinFree, cfg.CacheSize, cfg.MemTable = r.dir, 0, 1<<20, 1<<20
	store, err := embedded.Open(cfg, embedded.Deps{Projections: chat.Projections(), Fatal: func(err error) { panic(err) }})
	if err != nil {
		r.t.Fatal(err)
	}
	sizes := sequence.Default()
	sizes.Partitions, sizes.MaxInFlight = 2, 4
	committer, err := sequence.New(sizes, sequence.Deps{Log: store.Log(), Publisher: nobody{}})
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = committer.Run(ctx) }) // ended by stop; it returns nil
	r.stop = func() {
		cancel()
		running.Wait()
		if err := store.Close(); err != nil {
			r.t.Error(err)
		}
	}
	sequencing := sequence.NewStage(sequence.StageDeps{Committer: committer, Continue: func(ev *event.Event, err error) {
		r.pipeline.Continue(context.Background(), ev, err)
	}})
	r.store, r.actions = store, chat.Actions(chat.Deps{Reader: store, History: store, Notes: store})
	r.pipeline = pipeline.New(pipeline.Deps{Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Second: sequencing.Second}, nil,
		stage{"decode", r.decode}, validate.New(), authorize.New(), stage{"builtin", builtin}, sequencing, stage{"ack", answer})
}

type nobody struct{}

func (nobody) Publish([]event.Record) {}

// stage is one made of a function.
type stage struct {
	name string
	do   func(ctx context.Context, ev *event.Event) error
}

func (s stage) Name() string { return s.name }

func (s stage) Process(ctx context.Context, ev *event.Event) (pipeline.Verdict, error) {
	if err := s.do(ctx, ev); err != nil {
		return pipeline.Reject, err
	}
	return pipeline.Pass, nil
}

func builtin(ctx context.Context, ev *event.Event) error { return ev.Spec.Handle(ctx, ev) }

// request is one envelope, and the session that it comes from.
type request struct {
	env  event.Envelope
	done chan outcome
}

type outcome struct {
	event.Position
	repeat bool
	reply  string
	err    error
}

func (q *request) Identity() *event.Identity {
	return &event.Identity{Tenant: "acme", User: q.env.From.User}
}
func (*request) Opened() bool { return true }
func (q *request) Member(string) (event.Membership, bool) {
	return event.Membership{Publish: true, Durable: true, Moderate: q.env.From.User == "mod"}, true
}

func (r *route) decode(_ context.Context, ev *event.Event) error {
	ev.Envelope = ev.Origin.(*request).env
	ev.Spec = &r.actions[slices.IndexFunc(r.actions, func(a event.Action) bool { return a.Name == ev.Action })]
	return nil
}

func answer(_ context.Context, ev *event.Event) error {
	ev.Origin.(*request).done <- outcome{ev.Stored, ev.Repeat, string(ev.Reply), ev.Err}
	return nil
}

// do is one request to conv:1.
func (r *route) do(user, id, action, data string) outcome {
	q := &request{done: make(chan outcome, 1), env: event.Envelope{
		Type: event.TypeEvent, ID: id, Tenant: "acme", Room: "conv:1", From: event.Sender{User: user}, Action: action, Data: []byte(data),
	}}
	r.pipeline.Run(context.Background(), q, nil, 0, 0, true)
	return <-q.done
}

// insist sends a request again while it is refused as changed.
func (r *route) insist(user, id, action, data string) (o outcome) {
	for range 1000 {
		if o = r.do(user, id, action, data); !fault.Is(o.err, fault.Changed) {
			return o
		}
	}
	r.t.Error(user, action, "is refused for ever")
	return o
}

func (r *route) must(user, id, action, data string) outcome {
	r.t.Helper()
	o := r.do(user, id, action, data)
	if o.err != nil {
		r.t.Fatal(o.err)
	}
	return o
}

// page is the whole room as a user sees it, a line for each event.
func (r *route) page(user string) []string {
	r.t.Helper()
	var out []string
	for _, e := range r.folded(user) {
		out = append(out, fmt.Sprintf("%d %s %s", e.Offset, e.Action, e.Data))
	}
	return out
}

func (r *route) folded(user string) []event.Envelope {
	r.t.Helper()
	head, err := r.store.Head(r.t.Context(), "acme", "conv:1")
	if err != nil {
		r.t.Fatal(err)
	}
	records, err := r.store.After(r.t.Context(), "acme", "conv:1", event.Position{Epoch: head.Epoch}, 10_000, 1<<30)
	if err != nil {
		r.t.Fatal(err)
	}
	events, err := chat.NewFolder(r.store, r.store).Fold(r.t.Context(), user, records, 1<<30)
	if err != nil || len(events) != len(records) {
		r.t.Fatal(err, len(events))
	}
	return events
}

// TestEditsAtOnce: of those that change the same version exactly one wins.
func TestEditsAtOnce(t *testing.T) {
	r := newRoute(t)
	r.must("ann", "m", "message:send", `{"text":"0"}`)
	const rounds, editors = 20, 8
	for version := range rounds {
		won := make(chan string, editors)
		var all sync.WaitGroup
		for i := range editors {
			all.Go(func() {
				id, text := fmt.Sprintf("v%d.%d", version, i), fmt.Sprintf("%d of %d", version, i)
				data := fmt.Sprintf(`{"offset":1,"version":%d,"text":%q}`, version, text)
				o := r.insist("ann", id, "message:edit", data)
				switch {
				case o.err == nil && o.reply == fmt.Sprintf(`{"version":%d}`, version+1):
					won <- text
				case !fault.Is(o.err, fault.Conflict) || fault.Of(o.err).Field != "data.version":
					t.Errorf("%v, %s", o.err, o.reply)
				}
			})
		}
		all.Wait()
		if len(won) != 1 {
			t.Fatalf("%d edits of version %d", len(won), version)
		}
		if text, got := <-won, r.page("ben")[0]; !strings.Contains(got, fmt.Sprintf(`{"text":%q,"edited":{"version":%d,`, text, version+1)) {
			t.Fatalf("%s, want %s", got, text)
		}
	}
	content := 0
	for _, e := range r.folded("ben")[1:] {
		if e.Action == "message:edit" {
			content++
		}
	}
	if content != 1 {
		t.Errorf("the content of %d edits is kept", content)
	}
}

// TestEditAgainstDelete: whatever comes first, nothing of the message is left.
func TestEditAgainstDelete(t *testing.T) {
	r := newRoute(t)
	edited := 0
	for i := range 30 {
		at := r.must("ann", fmt.Sprint("m", i), "message:send", `{"text":"secret"}`).Offset
		if i%2 == 0 {
			r.must("ann", fmt.Sprint("e", i), "message:edit", fmt.Sprintf(`{"offset":%d,"version":0,"text":"secret, too"}`, at))
		}
		var both sync.WaitGroup
		both.Go(func() {
			o := r.insist("ann", fmt.Sprint("f", i), "message:edit", fmt.Sprintf(`{"offset":%d,"version":%d,"text":"still secret"}`, at, (i+1)%2))
			switch {
			case o.err == nil:
				edited++ // both.Wait orders it
			case !fault.Is(o.err, fault.Conflict) || fault.Of(o.err).Field != "data.offset":
				t.Error(o.err)
			}
		})
		both.Go(func() {
			user := []string{"ann", "mod"}[i/2%2]
			o := r.insist(user, fmt.Sprint("d", i), "message:delete", fmt.Sprintf(`{"offset":%d}`, at))
			if o.err != nil {
				t.Error(o.err)
			}
			if again := r.do(user, fmt.Sprint("d", i), "message:delete", fmt.Sprintf(`{"offset":%d}`, at)); again.err != nil || !again.repeat || again.Position != o.Position {
				t.Errorf("%+v, the first time %+v", again, o)
			}
		})
		both.Wait()
	}
	t.Logf("%d of 30 edits came first", edited)
	for range 2 {
		if all := strings.Join(r.page("ben"), "\n"); strings.Contains(all, "secret") || strings.Count(all, `event:redacted {"by":`) != 30 {
			t.Errorf("left:\n%s", all)
		}
		r.stop()
		r.start()
	}
}

// TestReactionsAtOnce: nobody is refused because of others, and each counts once.
func TestReactionsAtOnce(t *testing.T) {
	r := newRoute(t)
	r.must("ann", "m", "message:send", `{"text":"x"}`)
	r.must("ann", "n", "message:send", `{"text":"y"}`)
	const users = 40
	var all sync.WaitGroup
	for i := range users {
		all.Go(func() {
			user := fmt.Sprintf("user%02d", i)
			for _, id := range []string{"a", "a", "b"} { // a retry, and another try
				if o := r.do(user, id, "message:react", `{"offset":1,"key":"👍"}`); o.err != nil {
					t.Error(o.err)
				}
			}
			// What comes too late is refused or not shown.
			if o := r.do(user, "c", "message:react", `{"offset":2,"key":"👍"}`); o.err != nil && !fault.Is(o.err, fault.Conflict) {
				t.Error(o.err)
			}
		})
	}
	all.Go(func() {
		if o := r.do("ann", "d", "message:delete", `{"offset":2}`); o.err != nil {
			t.Error(o.err)
		}
	})
	all.Wait()
	for range 2 {
		got := r.page("user39")
		names := `"user00","user01","user02","user03","user04","user05","user06","user07","user08","user09"`
		if want := `1 message:send {"text":"x","reactions":{"👍":{"count":40,"users":[` + names + `],"me":true}}}`; got[0] != want {
			t.Errorf("%s, want %s", got[0], want)
		}
		if !strings.HasPrefix(got[1], `2 event:redacted {"by":"ann","at":`) {
			t.Error(got[1])
		}
		r.stop()
		r.start()
	}
}

// TestRetriesGetTheFirstAnswer also from a node that has started again.
func TestRetriesGetTheFirstAnswer(t *testing.T) {
	r := newRoute(t)
	r.must("ann", "m", "message:send", `{"text":"x"}`)
	requests := []struct{ user, action, data, reply string }{
		{"ann", "message:edit", `{"offset":1,"version":0,"text":"y"}`, `{"version":1}`},
		{"ben", "message:react", `{"offset":1,"key":"+1"}`, ""},
	}
	var first []outcome
	for i, q := range requests {
		o := r.must(q.user, fmt.Sprint(i), q.action, q.data)
		if o.reply != q.reply || o.repeat || o.Offset == 0 {
			t.Errorf("%+v", o)
		}
		first = append(first, o)
	}
	for range 2 {
		for i, q := range requests {
			o := r.must(q.user, fmt.Sprint(i), q.action, q.data)
			if o.Position != first[i].Position || o.reply != q.reply || !o.repeat {
				t.Errorf("%s: %+v, the first time %+v", q.action, o, first[i])
			}
		}
		r.stop()
		r.start()
	}
	// A retry of an edit behind a newer one, which a new edit of that version is not.
	r.must("ann", "new", "message:edit", `{"offset":1,"version":1,"text":"z"}`)
	if o := r.must("ann", "0", requests[0].action, requests[0].data); !o.repeat || o.Position != first[0].Position || o.reply != requests[0].reply {
		t.Errorf("%+v", o)
	}
	if o := r.do("ann", "late", requests[0].action, requests[0].data); !fault.Is(o.err, fault.Conflict) {
		t.Errorf("%+v", o)
	}
}

// TestHidingIsForOne through the store.
func TestHidingIsForOne(t *testing.T) {
	r := newRoute(t)
	for i := range 12 {
		r.must("ann", fmt.Sprint(i), "message:send", fmt.Sprintf(`{"text":"%d"}`, i+1))
	}
	for _, offset := range []int{1, 2, 10, 12} {
		r.must("ben", fmt.Sprint("h", offset), "message:delete", fmt.Sprintf(`{"offset":%d,"for":"me"}`, offset))
	}
	for range 2 {
		for user, hidden := range map[string]string{"ann": "", "ben": "1 2 10 12"} {
			var got []string
			for _, e := range r.folded(user) {
				if e.Action == event.ActionRedacted {
					got = append(got, fmt.Sprint(e.Offset))
				}
			}
			if strings.Join(got, " ") != hidden {
				t.Errorf("hidden from %s: %s, want %s", user, got, hidden)
			}
		}
		r.stop()
		r.start()
	}
}
