package heddle

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"sync/atomic"
	"testing"

	"github.com/heddle-rt/heddle/clients/go/heddletest"
	"github.com/heddle-rt/heddle/clients/go/wire"
)

// two is a room with ann and bob in it.
func two(t *testing.T, opt heddletest.Options) (s *heddletest.Server, ann, bob *probe) {
	t.Helper()
	s = node(t, opt)
	ann, bob = start(t, fast(s.URL(), "ann")), start(t, fast(s.URL(), "bob"))
	next1(t, ann.sessions)
	next1(t, bob.sessions)
	return s, ann, bob
}

// awaits is the next event of an action.
func (p *probe) awaits(action string) Event {
	p.t.Helper()
	for {
		if e := next1(p.t, p.events); e.Action == action {
			return e
		}
	}
}

func refusal(t *testing.T, err error, code, field string) {
	t.Helper()
	var refused *Error
	if !errors.As(err, &refused) || refused.Code != code || refused.Field != field {
		t.Errorf("%v, want %s at %s", err, code, field)
	}
}

func TestMessagesChange(t *testing.T) {
	_, ann, bob := two(t, heddletest.Options{})
	ctx := within(t)
	sent, err := ann.Send(ctx, "conv:1", Message{Text: "helo"})
	if err != nil {
		t.Fatal(err)
	}
	if v, err := ann.Edit(ctx, "conv:1", Edit{Position: sent.Position, Text: "hello"}); err != nil || v != 1 {
		t.Fatalf("edit: %d %v", v, err)
	}
	e := bob.awaits("message:edit")
	var edit Edit
	if err := e.Decode(&edit); err != nil || edit.Offset != sent.Offset || edit.Version != 1 || edit.Text != "hello" {
		t.Errorf("%+v %v", edit, err)
	}
	_, err = ann.Edit(ctx, "conv:1", Edit{Position: sent.Position, Text: "late"})
	refusal(t, err, "conflict", "data.version")
	_, err = bob.Edit(ctx, "conv:1", Edit{Position: sent.Position, Version: 1, Text: "not mine"})
	refusal(t, err, "forbidden", "data.offset")

	for i, c := range []struct {
		do     func(context.Context, string, Position, string) (Ack, error)
		repeat bool
	}{{bob.React, false}, {bob.React, true}, {bob.Unreact, false}, {bob.Unreact, true}} {
		if a, err := c.do(ctx, "conv:1", sent.Position, "+1"); err != nil || a.Repeat != c.repeat {
			t.Errorf("reaction %d: %+v %v", i, a, err)
		}
	}
	for _, remove := range []bool{false, true} {
		var r Reacted
		if e := ann.awaits("message:react"); e.Decode(&r) != nil || r != (Reacted{sent.Offset, "+1", remove}) || e.User != "bob" {
			t.Errorf("%+v of %s", r, e.User)
		}
	}

	if err := bob.Hide(ctx, "conv:1", sent.Position); err != nil {
		t.Fatal(err)
	}
	var gone Deleted
	if e := bob.awaits("message:delete"); e.Room != "user:bob" || e.Decode(&gone) != nil || gone != (Deleted{"conv:1", sent.Epoch, sent.Offset, "me"}) {
		t.Errorf("%+v in %s", gone, e.Room)
	}
	refusal(t, bob.Delete(ctx, "conv:1", sent.Position), "forbidden", "data.offset")
	if err := ann.Delete(ctx, "conv:1", sent.Position); err != nil {
		t.Fatal(err)
	}
	bob.awaits("message:delete")
	_, err = bob.React(ctx, "conv:1", sent.Position, "+1")
	refusal(t, err, "conflict", "data.offset")
}

func TestAnEditWhoseAnswerIsLostHappensOnce(t *testing.T) {
	var lost atomic.Bool
	s, ann, _ := two(t, heddletest.Options{Refuse: func(_ string, e *wire.Envelope) *heddletest.Failure {
		if e.Action == "message:edit" && lost.CompareAndSwap(false, true) {
			return &heddletest.Failure{Silent: true, Done: true}
		}
		return nil
	}})
	ctx := within(t)
	sent, err := ann.Send(ctx, "conv:1", Message{Text: "a"})
	if err != nil {
		t.Fatal(err)
	}
	if v, err := ann.Edit(ctx, "conv:1", Edit{Position: sent.Position, Text: "b"}); err != nil || v != 1 {
		t.Errorf("%d %v", v, err)
	}
	if n := len(s.Events("conv:1")); n != 2 {
		t.Errorf("%d events", n)
	}
}

func TestAnEditClearsWhatItNames(t *testing.T) {
	asked := make(chan string, 1)
	_, ann, _ := two(t, heddletest.Options{Answer: func(_ string, e *wire.Envelope) any {
		if e.Action != "message:edit" {
			return nil
		}
		asked <- string(e.Data)
		return map[string]int{"version": 3}
	}})
	for name, c := range map[string]struct {
		edit Edit
		want string
	}{
		"nothing":    {Edit{Text: "a"}, `{"offset":7,"version":2,"text":"a"}`},
		"text":       {Edit{Body: []byte("1"), Clear: []string{"text"}}, `{"offset":7,"version":2,"text":"","body":1}`},
		"body":       {Edit{Text: "a", Clear: []string{"body"}}, `{"offset":7,"version":2,"text":"a","body":null}`},
		"all others": {Edit{Clear: []string{"mentions", "meta"}}, `{"offset":7,"version":2,"mentions":[],"meta":{}}`},
	} {
		t.Run(name, func(t *testing.T) {
			c.edit.Offset, c.edit.Version = 7, 2
			if v, err := ann.Edit(within(t), "conv:1", c.edit); err != nil || v != 3 {
				t.Errorf("%d %v", v, err)
			}
			if got := next1(t, asked); got != c.want {
				t.Errorf("asked %s, want %s", got, c.want)
			}
		})
	}
	if _, err := ann.Edit(within(t), "conv:1", Edit{Clear: []string{"reactions"}}); err == nil {
		t.Error("reactions are cleared")
	}
}

func TestHistoryTellsOfEditsAndReactions(t *testing.T) {
	s, ann, _ := two(t, heddletest.Options{})
	want := Message{Text: "hello", Edited: &Edited{2, 1700000000000}, Reactions: map[string]Reaction{"+1": {12, []string{"ann", "bob"}, true}}}
	s.Publish("conv:1", "message:send", want) // as a server folds it
	page, err := ann.History(within(t), "conv:1", Range{})
	if err != nil || len(page.Events) != 1 {
		t.Fatalf("%+v %v", page, err)
	}
	if got, err := page.Events[0].Message(); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v %v", got, err)
	}
}

func TestDirect(t *testing.T) {
	_, ann, bob := two(t, heddletest.Options{})
	ctx := within(t)
	if _, _, err := ann.SendDirect(ctx, Direct{To: "bob", Text: "psst"}); err != nil {
		t.Fatal(err)
	}
	for p, to := range map[*probe]string{ann: "bob", bob: ""} {
		var d Direct
		if e := p.awaits("direct:send"); !e.Durable() || e.Decode(&d) != nil || d.Text != "psst" || d.To != to {
			t.Errorf("%+v %+v", e, d)
		}
	}
	if _, n, err := ann.SendDirect(ctx, Direct{To: "bob", Device: "phone", Body: []byte(`{"ring":true}`)}); err != nil || n != 1 {
		t.Errorf("%d %v", n, err)
	}
	if e := bob.awaits("direct:send"); e.Durable() || string(e.Data) != `{"body":{"ring":true}}` {
		t.Errorf("%+v", e)
	}
	_, _, err := ann.SendDirect(ctx, Direct{To: "bob", Device: "tablet", Text: "x"})
	refusal(t, err, "not_found", "data.device")
}

func TestTyping(t *testing.T) {
	_, ann, bob := two(t, heddletest.Options{})
	ctx := within(t)
	for _, c := range []struct {
		do   func(context.Context, string) error
		want []string
	}{{ann.StartTyping, []string{"ann"}}, {ann.StopTyping, []string{}}} {
		if err := c.do(ctx, "conv:1"); err != nil {
			t.Fatal(err)
		}
		var who Typers
		if e := bob.awaits("typing:update"); e.Decode(&who) != nil || !reflect.DeepEqual(who.Users, c.want) || e.Expires == 0 {
			t.Errorf("%+v %+v", e, who)
		}
	}
}

func TestPresence(t *testing.T) {
	asked := make(chan string, 16)
	_, ann, _ := two(t, heddletest.Options{Answer: func(_ string, e *wire.Envelope) any {
		switch e.Action {
		case "presence:update", "presence:unsubscribe":
			asked <- e.Action + " " + e.Room + string(e.Data)
			return struct{}{}
		case "presence:subscribe":
			asked <- e.Action + " " + e.Room + string(e.Data)
			return json.RawMessage(`{"users":[{"user":"bob","status":"dnd","text":"busy","since":7,"devices":2}],"next":"bob","online":3,"away":1,"dnd":1,"refused":[{"user":"cid","error":{"code":"forbidden"}}]}`)
		}
		return nil
	}})
	ctx := within(t)
	want := []Presence{{User: "bob", Status: "dnd", Text: "busy", Since: 7, Devices: 2}}
	got, refused, err := ann.WatchUsers(ctx, "bob", "cid")
	if err != nil || !reflect.DeepEqual(got, want) || len(refused) != 1 || refused[0].User != "cid" || refused[0].Err.Code != "forbidden" {
		t.Errorf("%+v %+v %v", got, refused, err)
	}
	got, n, next, err := ann.WatchRoom(ctx, "conv:1", "", 10)
	if err != nil || !reflect.DeepEqual(got, want) || n != (PresenceCounts{3, 1, 1}) || next != "bob" {
		t.Errorf("%+v %+v %q %v", got, n, next, err)
	}
	if err := errors.Join(ann.SetStatus(ctx, Status{Status: "away", Text: "lunch", Expires: 60000}), ann.UnwatchUsers(ctx, "bob"), ann.UnwatchRoom(ctx, "conv:1")); err != nil {
		t.Error(err)
	}
	for _, want := range []string{
		`presence:subscribe {"users":["bob","cid"]}`, `presence:subscribe conv:1{"limit":10}`,
		`presence:update {"status":"away","text":"lunch","expires_in_ms":60000}`, `presence:unsubscribe {"users":["bob"]}`, `presence:unsubscribe conv:1{}`,
	} {
		if got := next1(t, asked); got != want {
			t.Errorf("asked %s, want %s", got, want)
		}
	}
}
