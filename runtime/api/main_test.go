package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/room"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "a-secret-of-more-than-32-bytes-length"

func allScopes() []string {
	return []string{ScopePublish, ScopeDirect, ScopePresence, ScopeRooms, ScopeHistory, ScopeConnections, ScopeDisconnect, ScopeRevoke, ScopePlugins}
}

// path is a route that does what a test says.
type path func(origin event.Origin, env *event.Envelope) (wait bool)

func (p path) Now() int64 { return 0 }

func (p path) Run(_ context.Context, o event.Origin, raw []byte, _ uint64, _ int64, _ bool) bool {
	env := &event.Envelope{}
	if err := o.(*caller).DecodeEnvelope(raw, env); err != nil {
		panic(err)
	}
	return p(o, env)
}

// answers acks with the envelope's own data.
func answers(o event.Origin, env *event.Envelope) bool {
	c := o.(*caller)
	c.EncodeAnswer(&event.Envelope{Type: event.TypeAck, Ref: env.ID, Action: env.Action, Room: env.Room, Data: env.Data})
	c.Answer(0, nil, 0)
	return false
}

func decode(raw []byte, env *event.Envelope) error {
	var e struct {
		ID, Room string
		Payload  struct {
			Action string
			Data   json.RawMessage
		}
	}
	err := json.Unmarshal(raw, &e)
	env.Type, env.ID, env.Room, env.Action, env.Data = event.TypeEvent, e.ID, e.Room, e.Payload.Action, e.Payload.Data
	return err
}

// store has no rooms.
type store struct{ err error }

func (s store) Room(context.Context, string, string) (room.Info, bool, error) {
	return room.Info{}, false, s.err
}

func (s store) Head(context.Context, string, string) (event.Head, error) {
	return event.Head{}, s.err
}

func (store) Member(context.Context, string, string, string) (room.Member, bool, error) {
	return room.Member{}, false, nil
}

func (store) Members(context.Context, string, string, string, int) ([]room.Member, error) {
	return nil, nil
}

func (store) RoomsOf(context.Context, string, string, int) ([]string, error) { return nil, nil }

func (store) Marker(context.Context, string, string, string) (room.Marker, error) {
	return room.Marker{}, nil
}

// served is an API over a route.
func served(t *testing.T, p path, change func(*Deps)) *API {
	t.Helper()
	keys, err := NewKeyring(map[string][]Key{"acme": {{ID: "k", Secret: secret, Scopes: allScopes()}}})
	if err != nil {
		t.Fatal(err)
	}
	rooms := room.New(map[string]room.TypeConfig{"channel": {Stream: true, Join: room.JoinOpen, Presence: room.PresenceCounts, Features: []string{"presence"}}, "plain": {Join: room.JoinOpen}, "conv": {Stream: true, Members: true}}, store{})
	d := Deps{
		Keys: keys, Run: NewRunner(RunnerDeps{Route: p, Rooms: rooms, Reader: store{}, Decode: decode}), Rooms: rooms, Reader: store{}, History: store{},
		Timeout: time.Minute, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	}
	if change != nil {
		change(&d)
	}
	a, err := New(d)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// ask asks with a key.
func ask(a *API, method, path, body string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, Prefix+path, strings.NewReader(body))
	if body == "" {
		req.Body = http.NoBody
	}
	req.Header.Set("Authorization", "Bearer k."+secret)
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	a.ServeHTTP(w, req)
	return w
}

// tell is an answer of the route that refuses.
func tell(o event.Origin, kind fault.Kind, field string) {
	data, _ := json.Marshal(failureOf(fault.New(kind, field, "")))
	c := o.(*caller)
	c.EncodeAnswer(&event.Envelope{Type: event.TypeError, Data: data})
	c.Answer(0, nil, 0)
}
