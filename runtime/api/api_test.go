package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// parts are what other packages bring.
type parts struct {
	tenant string
	err    error
	target Target
	revoke Revocation
	users  []string
	page   string
}

func (p *parts) Presence(_ context.Context, tenant string, users []string) ([]Status, error) {
	p.tenant, p.users = tenant, users
	return []Status{{User: users[0], Status: "dnd", Data: json.RawMessage(`{"x":1}`), Devices: 2}}, p.err
}

func (p *parts) Present(_ context.Context, tenant, room, after string, limit int) (Presents, error) {
	p.tenant, p.page = tenant, fmt.Sprint(room, after, limit)
	return Presents{Users: []Status{}, Next: "z", Online: 1}, p.err
}

func (p *parts) Connections(tenant string, q Query) ([]Connection, bool, int) {
	p.tenant, p.page = tenant, fmt.Sprintf("%+v", q)
	return []Connection{{Session: "s1"}}, q.Limit == 1, 0
}

func (p *parts) Disconnect(_ context.Context, tenant string, t Target) (int, error) {
	p.tenant, p.target = tenant, t
	return 3, p.err
}

func (p *parts) Revoke(_ context.Context, tenant string, r Revocation) error {
	p.tenant, p.revoke = tenant, r
	return p.err
}

func TestParts(t *testing.T) {
	for _, c := range []struct {
		method, path, body string
		err                error
		status             int
		answer             string
		got                parts
	}{
		{"GET", "presence?user=ann&user=ben", "", nil, 200, `{"users":[{"user":"ann","status":"dnd","data":{"x":1},"devices":2}]}`, parts{users: []string{"ann", "ben"}}},
		{"GET", "presence?user=a%20b", "", nil, 422, `"field":"user[0]"`, parts{}},
		{"GET", "presence?user=ann", "", fault.Wrap("x", fault.Unavailable, errors.New("secret")), 503, `"code":"unavailable"`, parts{users: []string{"ann"}}},
		{"POST", "presence", `{"users":["ann"]}`, nil, 200, `"user":"ann"`, parts{users: []string{"ann"}}},
		{"POST", "presence", `{"users":[` + strings.Repeat(`"a",`, 1000) + `"a"]}`, nil, 413, `"field":"users"`, parts{}},
		{"GET", "rooms/channel:x/presence?after=b&limit=7", "", nil, 200, `{"users":[],"next":"z","online":1,"away":0,"dnd":0}`, parts{page: "channel:xb7"}},
		{"GET", "rooms/channel:x/presence", "", nil, 200, `"next"`, parts{page: "channel:x50"}},
		{"GET", "rooms/conv:1/presence", "", nil, 404, `"field":"room"`, parts{}},
		{"GET", "rooms/plain:x/presence", "", nil, 404, `"rooms of this type have no presence"`, parts{}},
		{"GET", "rooms/channel:x%2Fpresence/presence", "", nil, 422, `"field":"room"`, parts{}},
		{"GET", "connections?user=ann&device=phone&session=s&after=r&limit=1", "", nil, 200, `"next":"s1"}`, parts{page: "{User:ann Device:phone Session:s After:r Limit:1}"}},
		{"GET", "connections", "", nil, 200, `"rooms":null}]}`, parts{page: "{User: Device: Session: After: Limit:100}"}},
		{"GET", "connections?device=phone", "", nil, 422, `"field":"device"`, parts{}},
		{"POST", "disconnect", `{"user":"ann","device":"phone","reconnect":true}`, nil, 200, `{"disconnected":3}`, parts{target: Target{User: "ann", Device: "phone", Reconnect: true}}},
		{"POST", "disconnect", `{"user":"ann","device":"phone"}`, nil, 200, `{"disconnected":3}`, parts{target: Target{User: "ann", Device: "phone"}}},
		{"POST", "disconnect", `{"session":"s1"}`, nil, 200, `{"disconnected":3}`, parts{target: Target{Session: "s1"}}},
		{"POST", "disconnect", `{}`, nil, 422, `"field":"user"`, parts{}},
		{"POST", "disconnect", `{"device":"phone","session":"s1"}`, nil, 422, `"field":"device"`, parts{}},
		{"POST", "revoke", `{"token_id":"t1"}`, nil, 200, `{"revoked":true}`, parts{revoke: Revocation{Token: "t1"}}},
		{"POST", "revoke", `{"user":"ann"}`, nil, 200, `{"revoked":true}`, parts{revoke: Revocation{User: "ann"}}},
		{"POST", "revoke", `{"user":"ann","token_id":"t1"}`, nil, 422, `"field":"token_id"`, parts{}},
		{"POST", "revoke", `{}`, nil, 422, `"field":"user"`, parts{}},
		{"POST", "revoke", `{"user":7}`, nil, 422, `"field":"user"`, parts{}},
		{"POST", "revoke", `{"user":"ann"}`, errors.New("oh"), 500, `"code":"internal"`, parts{revoke: Revocation{User: "ann"}}},
	} {
		p := &parts{err: c.err}
		a := served(t, answers, func(d *Deps) { d.Sessions, d.Presence, d.Disconnect, d.Revoke = p, p, p, p })
		w := ask(a, c.method, c.path, c.body)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.answer) || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s %s %s: %d %s", c.method, c.path, c.body, w.Code, w.Body)
		}
		if fmt.Sprint(p.target, p.revoke, p.users, p.page) != fmt.Sprint(c.got.target, c.got.revoke, c.got.users, c.got.page) || w.Code == 200 && p.tenant != "acme" {
			t.Errorf("%s %s %s: %+v", c.method, c.path, c.body, p)
		}
	}
}

// TestRouteThatFails has every way in which the route ends answered.
func TestRouteThatFails(t *testing.T) {
	for _, c := range []struct {
		name   string
		route  path
		status int
		code   string
	}{
		{"refused", func(o event.Origin, _ *event.Envelope) bool { tell(o, fault.RateLimited, ""); return false }, 429, "rate_limited"},
		{"unknown code", func(o event.Origin, _ *event.Envelope) bool {
			o.(*caller).EncodeAnswer(&event.Envelope{Type: event.TypeError, Data: []byte(`{"code":"new"}`)})
			o.(*caller).Answer(0, nil, 0)
			return false
		}, 500, "internal"},
		{"the answer failed", func(o event.Origin, _ *event.Envelope) bool {
			o.(*caller).CloseFor(fault.Internal, "")
			return false
		}, 500, "internal"},
		{"closed, and then answered", func(o event.Origin, _ *event.Envelope) bool {
			o.(*caller).CloseFor(fault.RateLimited, "")
			tell(o, fault.RateLimited, "")
			return false
		}, 429, "rate_limited"},
		{"no answer", func(event.Origin, *event.Envelope) bool { return true }, 504, "timeout"},
		{"a panic", func(event.Origin, *event.Envelope) bool { panic("oh") }, 500, "internal"},
		{"done", answers, 200, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := served(t, c.route, func(d *Deps) { d.Timeout = 50 * time.Millisecond })
			for range 2 { // the key's place is given back
				w := ask(a, "POST", "publish", `{"room":"channel:x","data":{"text":"x"}}`)
				var f failure
				if err := json.Unmarshal(w.Body.Bytes(), &f); err != nil || w.Code != c.status || f.Code != c.code {
					t.Errorf("%v: %d %s", err, w.Code, w.Body)
				}
			}
			for _, n := range a.Stats() {
				if n.Route == "POST /v1/api/publish" && (n.ByStatus[c.status] != 2 || n.Took.Count != 2) {
					t.Errorf("counted %+v", n)
				}
			}
		})
	}
}

// TestBatchKeepsTheOrder waits where the route asks for it, and gives up together.
func TestBatchKeepsTheOrder(t *testing.T) {
	var order []string
	slow := func(o event.Origin, env *event.Envelope) bool {
		order = append(order, env.ID)
		if env.ID == "3" {
			return true // never answered
		}
		answers(o, env)
		return env.ID == "1"
	}
	a := served(t, slow, func(d *Deps) { d.Timeout = 50 * time.Millisecond })
	w := ask(a, "POST", "publish", `[{"room":"channel:x","id":"1"},{"room":"channel:x","id":"2"},{"room":"channel:x","id":"3"},{"room":"channel:x","id":"4"}]`)
	var out struct{ Results []ItemResult }
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{200, 200, 504, 504} {
		if out.Results[i].Status != want {
			t.Errorf("%d: %+v", i, out.Results[i])
		}
	}
	if fmt.Sprint(order) != "[1 2 3]" {
		t.Errorf("ran %v", order)
	}
}

func TestCaller(t *testing.T) {
	type seen struct {
		user    string
		publish bool
		joined  bool
		durable bool
	}
	for _, c := range []struct {
		who  Speaker
		room string
		want seen
		why  fault.Kind
	}{
		{Speaker{Tenant: "acme"}, "channel:x", seen{"", true, true, true}, 0},
		{Speaker{Tenant: "acme"}, "conv:1", seen{}, fault.NotFound},
		{Speaker{Tenant: "acme"}, "what:1", seen{}, fault.NotFound},
		{Speaker{Tenant: "acme"}, "root:dead", seen{}, fault.NotFound},
		{Speaker{Tenant: "acme", User: "ann"}, "conv:1", seen{user: "ann"}, fault.Forbidden},
	} {
		var got seen
		route := func(o event.Origin, env *event.Envelope) bool {
			m, joined := o.Member(env.Room)
			got = seen{o.Identity().User, m.Publish, joined, m.Durable}
			if _, other := o.Member("channel:other"); other || !o.Opened() {
				t.Error("it is elsewhere too")
			}
			tell(o, fault.Forbidden, "room")
			return false
		}
		a := served(t, route, nil)
		_, err := a.deps.Run.Run(t.Context(), c.who, c.room, envelope("message:send", c.room, "1", nil))
		if got != c.want {
			t.Errorf("%+v in %s: %+v", c.who, c.room, got)
		}
		if why := fault.Of(err).Kind; c.why != 0 && why != c.why || c.why == 0 && why != fault.Forbidden {
			t.Errorf("%+v in %s: %v", c.who, c.room, err)
		}
	}
}

// TestStoreAway refuses what cannot be decided.
func TestStoreAway(t *testing.T) {
	away := store{errors.New("away")}
	a := served(t, answers, func(d *Deps) { d.Reader, d.History, d.Run.deps.Reader = away, away, away })
	for _, c := range [][3]string{
		{"GET", "rooms/conv:1", ""}, {"GET", "rooms/channel:1", ""}, {"POST", "publish", `{"room":"conv:1"}`}, {"GET", "rooms/conv:1/history", ""},
	} {
		if w := ask(a, c[0], c[1], c[2]); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), `"code":"unavailable"`) {
			t.Errorf("%v: %d %s", c, w.Code, w.Body)
		}
	}
}

// FuzzPublish holds any body to an answer of JSON, and never to a panic.
func FuzzPublish(f *testing.F) {
	for _, body := range []string{`{"room":"channel:x","data":{"text":"x"}}`, `[{}]`, `[7,null,[]]`, `{"as_user":"\u0000"}`, `{"id":"\ud800"}`, `"`, "[[[["} {
		f.Add(body)
	}
	a := served(&testing.T{}, answers, nil)
	f.Fuzz(func(t *testing.T, body string) {
		w := ask(a, "POST", "publish", body)
		if !json.Valid(w.Body.Bytes()) || w.Code == http.StatusInternalServerError {
			t.Errorf("%q: %d %s", body, w.Code, w.Body)
		}
	})
}
