package authenticate

import (
	"context"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/pipeline"
)

// stranger is a connection without an identity, until it gets one.
type stranger struct {
	event.Origin
	id *event.Identity
}

func (s *stranger) Identity() *event.Identity        { return s.id }
func (s *stranger) Authenticated(id *event.Identity) { s.id = id }

// echo takes every token for the name of its user.
type echo struct{}

func (echo) Verify(_ context.Context, token string) (*event.Identity, error) {
	if token == "bad" {
		return nil, &fault.Error{Op: op, Kind: fault.Unauthenticated, Msg: "bad", After: time.Second}
	}
	return &event.Identity{Tenant: "acme", User: token}, nil
}

func TestFirstMessage(t *testing.T) {
	const none = "no token came with the handshake, and none is here"
	for _, c := range []struct{ name, data, user, message string }{
		{"a token", `{"device":"d","token":"ann","rooms":["a",{"b":1}]}`, "ann", ""},
		{"with escapes", `{"t\u006fken":"\u0061nn"}`, "ann", ""},
		{"no token", `{"device":"d"}`, "", none},
		{"an empty token", `{"token":""}`, "", none},
		{"null", `{"token":null}`, "", none},
		{"a number", `{"token":1}`, "", none},
		{"twice", `{"token":"ann","token":"bob"}`, "", none},
		{"another name twice", `{"token":"ann","x":{"y":1,"y":2}}`, "", none},
		{"no object", `[]`, "", none},
		{"not verified", `{"token":"bad"}`, "", "bad"},
	} {
		t.Run(c.name, func(t *testing.T) {
			origin := &stranger{}
			ev := &event.Event{Origin: origin, Spec: &event.Action{Permission: event.BeforeSession}}
			ev.Data = []byte(c.data)
			verdict, err := NewStage(echo{}, time.Now).Process(t.Context(), ev)
			if string(ev.Data) != c.data {
				t.Errorf("the data became %s", ev.Data)
			}
			if c.user == "" {
				f := fault.Of(err)
				if verdict != pipeline.Reject || f.Kind != fault.Unauthenticated || f.Field != "data.token" || f.Msg != c.message || origin.id != nil {
					t.Errorf("%v, %v", verdict, err)
				}
			} else if err != nil || verdict != pipeline.Pass || ev.From.User != c.user || ev.Tenant != "acme" || origin.id == nil {
				t.Errorf("%v, %v: %+v", verdict, err, ev.From)
			}
		})
	}
}

func BenchmarkFirstMessage(b *testing.B) {
	stage := NewStage(echo{}, time.Now)
	origin := &stranger{}
	ev := &event.Event{Origin: origin, Spec: &event.Action{Permission: event.BeforeSession}}
	ev.Data = []byte(`{"token":"` + benchToken(secretA, headH) + `","device":"phone","acks":true,"attributes":{"app":"1.2"},"rooms":["channel:news"]}`)
	b.ReportAllocs()
	for b.Loop() {
		origin.id = nil
		if _, err := stage.Process(b.Context(), ev); err != nil {
			b.Fatal(err)
		}
	}
}
