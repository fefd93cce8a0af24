package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/sequence"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// wires carry messages between nodes of a test, those to one node in their order.
type wires struct {
	mu    sync.Mutex
	ends  map[string]chan []byte
	lose  func(to string, message []byte) bool
	twice bool
}

func (w *wires) Send(node string, message []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	end := w.ends[node]
	if end == nil || w.lose != nil && w.lose(node, message) {
		return
	}
	end <- message
	if w.twice {
		end <- message
	}
}

// connect has a node get its messages until the test ends.
func (w *wires) connect(t *testing.T, name string, p *Peers) {
	end, gone := make(chan []byte, 1<<16), make(chan struct{})
	w.mu.Lock()
	w.ends[name] = end
	w.mu.Unlock()
	go func() {
		defer close(gone)
		for m := range end {
			p.Receive(m)
		}
	}()
	t.Cleanup(func() {
		w.mu.Lock()
		delete(w.ends, name)
		w.mu.Unlock()
		close(end)
		<-gone
	})
}

// desk is a committer that keeps what it is given, once for each key.
type desk struct {
	mu     sync.Mutex
	refuse error
	stored []sequence.Submission
	keys   map[sequence.Key]sequence.Stored

	answers chan func()
}

// newDesk answers until the test ends.
func newDesk(t testing.TB) *desk {
	d, gone := &desk{keys: map[sequence.Key]sequence.Stored{}, answers: make(chan func(), 1<<16)}, make(chan struct{})
	go func() {
		defer close(gone)
		for answer := range d.answers {
			answer()
		}
	}()
	t.Cleanup(func() { close(d.answers); <-gone })
	return d
}

func (d *desk) Submit(_ context.Context, s *sequence.Submission) error { return d.Offer(s) }

func (d *desk) Offer(s *sequence.Submission) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refuse != nil {
		return d.refuse
	}
	key := sequence.KeyOf(&s.Record)
	first, repeat := d.keys[key]
	if !repeat {
		d.stored = append(d.stored, *s)
		first = sequence.Stored{Position: event.Position{Epoch: "e", Offset: uint64(len(d.stored))}, ID: "id", Timestamp: 7}
		d.keys[key] = first
	}
	d.answers <- func() { s.Done.Committed(sequence.Outcome{Stored: first, Repeat: repeat}) }
	return nil
}

// site is a node.
type site struct {
	*Router
	desk  *desk
	peers *Peers
}

func sites(t *testing.T, w *wires, names ...string) map[string]*site {
	t.Helper()
	w.ends = map[string]chan []byte{}
	all := map[string]*site{}
	for _, name := range names {
		p := NewPeers(PeersConfig{Timeout: 100 * time.Millisecond, Pending: 64}, name, w, slog.New(slog.DiscardHandler))
		s := &site{desk: newDesk(t), peers: p}
		s.Router = NewRouter(RouterConfig{Patience: 2 * time.Second, Retry: 10 * time.Millisecond, Queue: 1 << 10},
			RouterDeps{Self: name, Partitions: 16, Peers: p, Now: time.Now})
		s.Use(s.desk)
		s.Assign(names)
		w.connect(t, name, p)
		all[name] = s
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		t.Cleanup(func() { cancel(); <-ended })
	}
	return all
}

// outcomes is a completer.
type outcomes chan sequence.Outcome

func (o outcomes) Committed(out sequence.Outcome) { o <- out }

// roomOf is a room that a node owns.
func roomOf(r *Router, node string) string {
	for i := 0; ; i++ {
		room := fmt.Sprint("conv:", i)
		if r.OwnerOf(sequence.PartitionOf("acme", room, 16)) == node {
			return room
		}
	}
}

// asked is a submission whose outcome can be waited for.
type asked struct {
	sequence.Submission
	out outcomes
}

func submission(room, key string) *asked {
	s := &asked{sequence.Submission{Record: event.Record{Key: key, Unread: true}}, make(outcomes, 9)}
	s.Done = s.out
	s.Record.Type, s.Record.Tenant, s.Record.Room, s.Record.From = event.TypeMessage, "acme", room, event.Sender{User: "ann", Device: "d"}
	s.Record.Action, s.Record.Data = "message:send", []byte(`{"text":"x"}`)
	return s
}

func outcome(t *testing.T, s *asked) sequence.Outcome {
	t.Helper()
	select {
	case o := <-s.out:
		return o
	case <-time.After(patience):
		t.Fatal("there is no outcome")
		panic("unreachable")
	}
}

func TestRouter(t *testing.T) {
	w := &wires{}
	all := sites(t, w, "a", "b", "c")
	for _, owner := range []string{"a", "b", "c"} {
		room := roomOf(all["a"].Router, owner)
		for i, from := range []string{"a", "b", "c"} {
			s := submission(room, "k")
			s.Create, s.Subject, s.Seen, s.Heeds = true, "members", 17, true
			if err := all[from].Submit(t.Context(), &s.Submission); err != nil {
				t.Fatal(err)
			}
			o := outcome(t, s)
			if o.Err != nil || o.Offset != 1 || o.ID != "id" || o.Timestamp != 7 || o.Repeat != (i > 0) {
				t.Errorf("from %s to %s: %+v", from, owner, o)
			}
		}
		got := all[owner].desk.stored[0]
		want := submission(room, "k")
		want.Create, want.Subject, want.Seen, want.Heeds = true, "members", 17, true
		got.Done, got.Line, want.Done = nil, nil, nil
		if len(all[owner].desk.stored) != 1 || !reflect.DeepEqual(got, want.Submission) {
			t.Errorf("%s has stored %+v", owner, all[owner].desk.stored)
		}
	}
}

// TestRouterStoresOnce what is lost, late or doubled on the way.
func TestRouterStoresOnce(t *testing.T) {
	for name, hurt := range map[string]func(w *wires){
		"requests are lost": func(w *wires) { w.lose = first(3, "b") },
		"answers are lost":  func(w *wires) { w.lose = first(3, "a") },
		"all comes twice":   func(w *wires) { w.twice = true },
	} {
		t.Run(name, func(t *testing.T) {
			w := &wires{}
			hurt(w)
			all := sites(t, w, "a", "b")
			room := roomOf(all["a"].Router, "b")
			for _, key := range []string{"", "k"} {
				s := submission(room, key)
				if err := all["a"].Submit(t.Context(), &s.Submission); err != nil {
					t.Fatal(err)
				}
				if o := outcome(t, s); o.Err != nil {
					t.Errorf("%q: %+v", key, o)
				}
			}
			if d := all["b"].desk; len(d.stored) != 2 {
				t.Errorf("%d were stored", len(d.stored))
			}
		})
	}
}

// first loses the first messages to a node.
func first(n int, node string) func(string, []byte) bool {
	return func(to string, _ []byte) bool {
		if to != node || n == 0 {
			return false
		}
		n--
		return true
	}
}

func TestRouterFollowsTheOwner(t *testing.T) {
	w := &wires{}
	all := sites(t, w, "a", "b", "c")
	a := all["a"]
	room := roomOf(a.Router, "b")
	w.lose = func(to string, _ []byte) bool { return to == "b" } // it is dead
	s := submission(room, "k")
	if err := a.Submit(t.Context(), &s.Submission); err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"a", "c"} {
		all[n].Assign([]string{"a", "c"})
	}
	if o := outcome(t, s); o.Err != nil || a.Retried.Load() == 0 {
		t.Errorf("%+v after %d", o, a.Retried.Load())
	}
	heir := a.OwnerOf(sequence.PartitionOf("acme", room, 16))
	if len(all[heir].desk.stored) != 1 {
		t.Errorf("%s has %d", heir, len(all[heir].desk.stored))
	}
	// Nobody is there: it is refused in time, and may be tried again.
	a.Assign(nil)
	s = submission(room, "k2")
	before := time.Now()
	if err := a.Submit(t.Context(), &s.Submission); err != nil {
		t.Fatal(err)
	}
	if o := outcome(t, s); !fault.Is(o.Err, fault.Unavailable) || time.Since(before) < a.cfg.Patience {
		t.Errorf("%+v after %v", o, time.Since(before))
	}
}

func TestRouterRefusals(t *testing.T) {
	w := &wires{}
	all := sites(t, w, "a", "b")
	room := roomOf(all["a"].Router, "b")
	for _, want := range []*fault.Error{
		{Kind: fault.Overloaded, Msg: "full", After: 3 * time.Second}, {Kind: fault.Conflict, Field: "room", Msg: "exists"}, {Kind: fault.Draining},
	} {
		all["b"].desk.refuse = want
		s := submission(room, "k")
		if err := all["a"].Submit(t.Context(), &s.Submission); err != nil {
			t.Fatal(err)
		}
		got := fault.Of(outcome(t, s).Err)
		if got.Kind != want.Kind || got.Field != want.Field || got.Msg != want.Msg || got.After != want.After {
			t.Errorf("%+v became %+v", want, got)
		}
	}
}

func TestTooMuchWaits(t *testing.T) {
	w := &wires{lose: func(string, []byte) bool { return true }}
	all := sites(t, w, "a", "b")
	a := all["a"]
	room := roomOf(a.Router, "b")
	for i := range 65 {
		err := a.Submit(t.Context(), &submission(room, fmt.Sprint(i)).Submission)
		if full := fault.Is(err, fault.Overloaded); full != (i == 64) || !full && err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
}

func TestSubmissionsComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := func(name string) string { return rapid.String().Draw(t, name) }
		s := sequence.Submission{Create: rapid.Bool().Draw(t, "create"), Heeds: rapid.Bool().Draw(t, "heeds"), Probe: rapid.Bool().Draw(t, "probe"), Subject: text("subject"), Seen: rapid.Uint64().Draw(t, "seen")}
		s.Record = event.Record{Key: text("key"), Unread: rapid.Bool().Draw(t, "unread"), Ends: rapid.Bool().Draw(t, "ends")}
		s.Record.Tenant, s.Record.Room, s.Record.Action, s.Record.Ref = text("tenant"), text("room"), text("action"), text("ref")
		s.Record.From = event.Sender{User: text("user"), Device: text("device")}
		s.Record.Expires = rapid.Int64().Draw(t, "expires")
		var got sequence.Submission
		if try, number, err := decodeSubmission(appendSubmission(nil, 3, 4, &s), &got); err != nil || try != 3 || number != 4 || !reflect.DeepEqual(got, s) {
			t.Fatalf("%+v, %v; want %+v", got, err, s)
		}
	})
}

// FuzzReceive feeds messages of others: none may panic.
func FuzzReceive(f *testing.F) {
	caught := ""
	grab := NewPeers(PeersConfig{Timeout: time.Hour, Pending: 9}, "x", busFunc(func(_ string, m []byte) { caught = string(m) }), slog.New(slog.DiscardHandler))
	_ = grab.Ask("y", kindSubmit, appendSubmission(nil, 7, 1, &submission("conv:1", "k").Submission), func([]byte, error) {})
	f.Add([]byte(caught))
	f.Add([]byte{1, failure, 1, 3, 'a', 'b', 'c'})
	f.Add([]byte{1, response, 1})
	f.Fuzz(func(t *testing.T, message []byte) {
		p := NewPeers(PeersConfig{Timeout: time.Hour, Pending: 9}, "a", busFunc(func(string, []byte) {}), slog.New(slog.DiscardHandler))
		d := newDesk(t)
		r := NewRouter(RouterConfig{Patience: time.Millisecond, Retry: time.Hour, Queue: 9}, RouterDeps{Self: "a", Partitions: 16, Peers: p, Now: time.Now})
		r.Use(d)
		r.Assign([]string{"a"})
		_ = p.Ask("b", kindSubmit, nil, func([]byte, error) {})
		p.Receive(message)
	})
}

type busFunc func(node string, message []byte)

func (f busFunc) Send(node string, message []byte) { f(node, message) }
