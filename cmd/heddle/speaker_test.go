package main_test

import (
	"fmt"
	"testing"
	"time"
	"unique"

	"github.com/heddle-rt/heddle/clients/go/wire"
)

// speaker is a session on a bare socket that asks and waits for the answer.
type speaker struct {
	t       *testing.T
	s       *socket
	answers chan wire.Envelope
	events  chan wire.Envelope
	over    chan struct{} // closed when the connection has ended
	n       int
	welcome answer
}

// speak opens a session.
func speak(t *testing.T, url, user string, rooms ...string) *speaker {
	t.Helper()
	p := dial(t, url, tokenOf(t, user))
	a := p.ask("session:open", "", map[string]any{"rooms": append([]string{}, rooms...)})
	if a.Type != wire.TypeAck {
		t.Fatalf("session:open: %s", a.Data)
	}
	decode(t, a.Data, &p.welcome)
	return p
}

// resume continues the session on another connection and returns the answer.
func (p *speaker) resume(url, user string) wire.Envelope {
	p.t.Helper()
	return dial(p.t, url, tokenOf(p.t, user)).ask("session:resume", "", map[string]any{
		"session": p.welcome.Session, "resume_token": p.welcome.ResumeToken, "positions": map[string]any{},
	})
}

// dial connects until the test ends.
func dial(t *testing.T, url, token string) *speaker {
	t.Helper()
	p := &speaker{t: t, answers: make(chan wire.Envelope, 1024), events: make(chan wire.Envelope, 1<<16), over: make(chan struct{})}
	var err error
	p.s, err = connect(url, token, wire.JSON, func(e *wire.Envelope) {
		if e.Ref != "" {
			p.answers <- *e
		} else {
			p.events <- *e
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the connection
		defer close(p.over)
		p.s.read()
	}()
	t.Cleanup(func() {
		p.s.drop()
		<-p.over
	})
	return p
}

// post sends without waiting, and returns the id.
func (p *speaker) post(action, room string, data any) string {
	p.n++
	id := fmt.Sprint("n-", p.n)
	if err := p.s.send(wire.Envelope{ID: id, Room: room, Action: action}, data); err != nil {
		id = ""
	}
	return id
}

// ask returns an empty envelope if the connection ended first.
func (p *speaker) ask(action, room string, data any) wire.Envelope {
	p.t.Helper()
	id := p.post(action, room, data)
	if id == "" {
		return wire.Envelope{}
	}
	select {
	case a := <-p.answers:
		if a.Ref != id {
			p.t.Fatalf("%s is answered by %+v", id, a)
		}
		return a
	case <-p.over:
		return wire.Envelope{}
	case <-time.After(patience):
		p.t.Fatalf("%s has no answer", action)
		return wire.Envelope{}
	}
}

func ackedAs(a wire.Envelope) stored {
	return stored{
		room: unique.Make(a.Room), epoch: unique.Make(a.Epoch), id: unique.Make(a.ID), key: unique.Make(a.Ref), offset: a.Offset,
	}
}
