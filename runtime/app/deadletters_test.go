package app

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/heddle-rt/heddle/runtime/ack"
	"github.com/heddle-rt/heddle/runtime/deadletter"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/frame"
)

// failedOrigin is a connection whose event has failed.
type failedOrigin struct{ id event.Identity }

func (o *failedOrigin) Identity() *event.Identity               { return &o.id }
func (*failedOrigin) Member(string) (event.Membership, bool)    { return event.Membership{}, false }
func (*failedOrigin) Opened() bool                              { return true }
func (*failedOrigin) EncodeAnswer(*event.Envelope) *frame.Frame { return nil }
func (*failedOrigin) Answer(uint64, *frame.Frame, ack.Then)     {}

// fail has the last stage answer an event of ann's as failed.
func (n *node) fail(room, id string) {
	n.t.Helper()
	ev := &event.Event{
		Envelope: event.Envelope{Type: event.TypeEvent, ID: id, Tenant: "acme", Room: room, Action: "message:send", Data: []byte(`{"text":"lost"}`)},
		Origin:   &failedOrigin{event.Identity{Tenant: "acme", User: "ann", Device: "phone"}},
		Spec:     &event.Action{Name: "message:send", Durable: true, Permission: event.Publisher},
		Err:      fault.Wrap("test.fail", fault.Unavailable, errors.New("the store is away")),
	}
	if _, err := n.app.answers.Process(context.Background(), ev); err != nil {
		n.t.Fatal(err)
	}
}

// tell sends the admin server a request that changes something.
func (n *node) tell(method, path string) reply {
	n.t.Helper()
	req, err := http.NewRequest(method, "http://"+n.app.AdminAddr().String()+path, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	c := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	defer resp.Body.Close() // read only: nothing to lose
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return reply{resp.StatusCode, string(b)}
}

func (n *node) letters(query string) (p deadletter.Page) {
	n.t.Helper()
	r := n.admin("/deadletters" + query)
	if err := json.Unmarshal([]byte(r.body), &p); err != nil || r.status != http.StatusOK {
		n.t.Fatalf("%v: %+v", err, r)
	}
	return p
}

// TestDeadLetters keeps what failed over a restart, runs it again once, and drops
// it.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	n := serve(t)
	n.fail("channel:x", "m1")
	n.fail("channel:x", "m1") // the client tries again
	n.fail("channel:x", "")
	n.fail("conv:none", "m2")
	list := n.letters("?tenant=acme").Letters
	if len(list) != 3 || list[0].Attempts != 2 || list[0].User != "ann" || list[0].Device != "phone" || list[0].Code != "unavailable" {
		t.Fatalf("%+v", list)
	}
	if got := n.letters("?tenant=globex").Letters; len(got) != 0 {
		t.Errorf("globex has %+v", got)
	}
	if p := n.letters("?limit=2"); len(p.Letters) != 2 || p.Next != list[1].ID || len(n.letters("?after="+p.Next).Letters) != 1 {
		t.Errorf("%+v", p)
	}
	eventually(t, "the letters are stored", func() bool { return len(n.records("acme", "root:dead")) >= 3 })
	n.stop()
	n.start()
	if again := n.letters(""); len(again.Letters) != 3 || again.Letters[0].ID != list[0].ID || again.Letters[0].Reason != list[0].Reason {
		t.Fatalf("after a restart: %+v", again)
	}
	for i, want := range []int{http.StatusOK, http.StatusOK, http.StatusForbidden} {
		if r := n.tell("POST", "/deadletters/"+list[i].ID+"/replay"); r.status != want {
			t.Errorf("replay %d: %+v", i, r)
		}
	}
	records := n.records("acme", "channel:x")
	if len(records) != 2 || records[1].From != (event.Sender{User: "ann", Device: "phone"}) || records[1].Key != "m1" {
		t.Errorf("%+v", records)
	}
	if got := n.letters("").Letters; len(got) != 1 || got[0].ID != list[2].ID {
		t.Errorf("%+v", got)
	}
	// A letter of what was stored already stores nothing.
	n.fail("channel:x", "m1")
	for _, one := range n.letters("").Letters {
		if one.Room == "channel:x" {
			if r := n.tell("POST", "/deadletters/"+one.ID+"/replay"); r.status != http.StatusOK {
				t.Errorf("%+v", r)
			}
		}
	}
	if got := len(n.records("acme", "channel:x")); got != 2 {
		t.Errorf("%d records", got)
	}
	if r := n.tell("DELETE", "/deadletters/"+list[2].ID); r.status != http.StatusNoContent {
		t.Errorf("%+v", r)
	}
	for _, r := range []reply{n.tell("DELETE", "/deadletters/x"), n.tell("POST", "/deadletters/x/replay")} {
		if r.status != http.StatusNotFound {
			t.Errorf("%+v", r)
		}
	}
	n.stop()
	n.start()
	eventually(t, "what was dropped stays so", func() bool { return len(n.letters("").Letters) == 0 })
}
