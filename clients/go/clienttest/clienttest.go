package clienttest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	heddle "github.com/heddle-rt/heddle/clients/go"
)

// patience bounds every wait of a case.
const patience = time.Minute

// Node is what the cases need of a node. Users ann and bob may create rooms of
// RoomType and send in those that they are members of.
type Node struct {
	URL      string
	Token    func(user string) string
	RoomType string // "conv"
	Cut      func() // breaks all connections; nil skips the cases that need it
}

// Run runs all cases, each in both dialects and with acks and without.
func Run(t *testing.T, n Node) {
	for _, d := range []heddle.Dialect{heddle.JSON, heddle.MessagePack} {
		for _, acks := range []bool{false, true} {
			s := suite{n, d, acks}
			t.Run(fmt.Sprint(d, " acks=", acks), func(t *testing.T) {
				t.Run("actions", s.actions)
				t.Run("one order for all", s.oneOrder)
				t.Run("one id, one event", s.oneEvent)
				t.Run("nothing is lost over cuts", s.cuts)
				t.Run("refusals have codes", s.refusals)
			})
		}
	}
}

type suite struct {
	Node
	dialect heddle.Dialect
	acks    bool
}

// user is a client that runs, and the events of one room that it was given.
type user struct {
	*heddle.Client
	t      *testing.T
	events chan heddle.Event
}

// as runs a client until the test ends.
func (s suite) as(t *testing.T, name string) *user {
	t.Helper()
	u := &user{t: t, events: make(chan heddle.Event, 4096)}
	c, err := heddle.New(heddle.Options{
		URL: s.URL, Token: s.Token(name), Device: "test", Dialect: s.dialect, Acks: s.acks, BackoffMin: 5 * time.Millisecond,
		BackoffMax: 100 * time.Millisecond, OnEvent: func(e heddle.Event) {
			if e.Action == "message:send" {
				u.events <- e
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	u.Client = c
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }() // ends with ctx
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	})
	return u
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// pair is ann and bob in a new room.
func (s suite) pair(t *testing.T) (ann, bob *user, room string) {
	t.Helper()
	ctx := deadline(t)
	ann, bob = s.as(t, "ann"), s.as(t, "bob")
	kind := s.RoomType
	if kind == "" {
		kind = "conv"
	}
	room, err := ann.CreateRoom(ctx, kind+":"+strings.ToLower(rand.Text()[:10]), heddle.RoomSpec{Members: []string{"bob"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range []*user{ann, bob} {
		if _, _, err := u.Join(ctx, room, nil); err != nil {
			t.Fatal(err)
		}
	}
	return ann, bob, room
}

// next is the next durable message of a room.
func (u *user) next(room string) heddle.Event {
	u.t.Helper()
	limit := time.After(patience)
	for {
		select {
		case e := <-u.events:
			if e.Room == room && e.Durable() {
				return e
			}
		case <-limit:
			u.t.Fatal("no message came")
		}
	}
}

func (s suite) actions(t *testing.T) {
	ann, bob, room := s.pair(t)
	ctx := deadline(t)
	sent, err := ann.Send(ctx, room, heddle.Message{Text: `hé"llo`, Body: []byte(`{"n":[1,2.5,null]}`), Mentions: []string{"bob"}})
	if err != nil || sent.Offset == 0 || sent.Epoch == "" || sent.Repeat {
		t.Fatalf("%+v %v", sent, err)
	}
	e := bob.next(room)
	if m, err := e.Message(); err != nil || m.Text != `hé"llo` || string(m.Body) != `{"n":[1,2.5,null]}` || len(m.Mentions) != 1 {
		t.Errorf("%+v %v", m, err)
	}
	if e.User != "ann" || e.Position != sent.Position || e.ID != sent.ID {
		t.Errorf("event %+v of ack %+v", e, sent)
	}
	page, err := bob.History(ctx, room, heddle.Range{Limit: 1})
	if err != nil || page.Epoch != sent.Epoch || len(page.Events) != 1 || page.Events[0].ID != sent.ID {
		t.Errorf("history: %+v %v", page, err)
	}
	if read, err := bob.Read(ctx, room, sent.Position); err != nil || read.Unread != 0 || read.Offset != sent.Offset {
		t.Errorf("read: %+v %v", read, err)
	}
	if members, more, err := ann.Members(ctx, room, "", 0); err != nil || len(members) != 2 || members[0].User != "ann" || more != "" {
		t.Errorf("members: %v %q %v", members, more, err)
	}
	if took, err := ann.Ping(ctx); err != nil || took <= 0 {
		t.Errorf("ping: %v %v", took, err)
	}
}

func (s suite) oneOrder(t *testing.T) {
	const each = 100
	ann, bob, room := s.pair(t)
	ctx := deadline(t)
	users := []*user{ann, bob}
	var sending sync.WaitGroup
	for _, u := range users {
		sending.Add(each)
		for n := range each {
			err := u.SendAsync(ctx, room, heddle.Message{Text: fmt.Sprint(n)}, func(_ heddle.Ack, err error) {
				if err != nil {
					t.Error(err)
				}
				sending.Done()
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	sending.Wait()
	newest := map[string]int{}
	for range 2 * each {
		a, b := ann.next(room), bob.next(room)
		if a.ID != b.ID || a.Position != b.Position {
			t.Fatalf("ann sees %+v, bob %+v", a, b)
		}
		m, err := a.Message()
		if err != nil || m.Text != fmt.Sprint(newest[a.User]) {
			t.Fatalf("%s's message %q where %d was due", a.User, m.Text, newest[a.User])
		}
		newest[a.User]++
	}
}

func (s suite) oneEvent(t *testing.T) {
	ann, bob, room := s.pair(t)
	ctx := deadline(t)
	id := rand.Text()
	first, err := ann.Send(ctx, room, heddle.Message{Text: "once", ID: id})
	if err != nil {
		t.Fatal(err)
	}
	again, err := ann.Send(ctx, room, heddle.Message{Text: "once", ID: id})
	if err != nil || again.Position != first.Position || !again.Repeat {
		t.Errorf("%+v after %+v: %v", again, first, err)
	}
	// Bob's own message under the same id is another one.
	if own, err := bob.Send(ctx, room, heddle.Message{Text: "mine", ID: id}); err != nil || own.Offset <= first.Offset || own.Repeat {
		t.Errorf("%+v after %+v: %v", own, first, err)
	}
}

func (s suite) cuts(t *testing.T) {
	if s.Cut == nil {
		t.Skip("this node cannot be cut")
	}
	const rounds, each = 3, 40
	ann, bob, room := s.pair(t)
	ctx := deadline(t)
	for range rounds {
		for n := range each {
			if _, err := ann.Send(ctx, room, heddle.Message{Text: fmt.Sprint(n)}); err != nil {
				t.Fatal(err)
			}
			if n == each/2 {
				s.Cut()
			}
		}
	}
	for _, u := range []*user{ann, bob} {
		before := uint64(0)
		for i := range rounds * each {
			e := u.next(room)
			m, err := e.Message()
			if err != nil || m.Text != fmt.Sprint(i%each) || e.Offset <= before {
				t.Fatalf("message %d is %q at %d after %d: %v", i, m.Text, e.Offset, before, err)
			}
			before = e.Offset
		}
	}
	if st := bob.Stats(); st.Connects < 2 {
		t.Errorf("the cuts cut nothing: %+v", st)
	}
}

func (s suite) refusals(t *testing.T) {
	ann, _, room := s.pair(t)
	ctx := deadline(t)
	for name, c := range map[string]struct {
		action, room string
		data         any
		code         string
	}{
		"unknown action": {"message:juggle", room, struct{}{}, "unknown_action"},
		"no text":        {"message:send", room, struct{}{}, "invalid"},
		"no room":        {"message:send", "", heddle.Message{Text: "x"}, "invalid"},
	} {
		var refused *heddle.Error
		if _, err := ann.Request(ctx, c.action, c.room, c.data); !errors.As(err, &refused) || refused.Code != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
}
