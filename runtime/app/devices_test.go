package app

import (
	"errors"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/runtime/authenticate"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
)

// ended is what a client's connection is closed with.
func (c *client) ended(t *testing.T) string {
	t.Helper()
	_, err := c.next()
	var end *closed
	if !errors.As(err, &end) {
		t.Fatalf("not closed: %v", err)
	}
	return end.Error()
}

// TestRevocation ends sessions, refuses tokens, and is there after a restart.
func TestRevocation(t *testing.T) {
	t.Parallel()
	n := serve(t)
	token := func(tenant, user, device, id string) string {
		c := claims(tenant, user)
		c.Device, c.ID = device, id
		return mint(t, c)
	}
	tokens := map[string]string{
		"phone": token("acme", "ann", "phone", "t1"), "tv": token("acme", "ann", "tv", "t2"), "ben": token("acme", "ben", "phone", "t3"), "globex": token("globex", "ann", "phone", "t1"),
	}
	there := map[string]*client{}
	for name, tok := range tokens {
		tenant, user := "acme", "ann"
		switch name {
		case "ben":
			user = "ben"
		case "globex":
			tenant = "globex"
		}
		there[name] = n.connect(t, dial{tenant: tenant, user: user, token: tok})
		there[name].do("session:open", "", "{}")
	}
	accepted := func(name string) bool {
		_, err := n.app.verifier.Verify(t.Context(), tokens[name])
		if err != nil && !fault.Is(err, fault.Unauthenticated) {
			t.Fatal(err)
		}
		return err == nil
	}
	for _, step := range []struct {
		revoke authenticate.Revocation
		ends   string
		want   string
	}{
		{authenticate.Revocation{Token: "t3"}, "ben", "close 4401 unauthenticated: revoked"},
		{authenticate.Revocation{User: "ann", Device: "phone", Reason: "lost"}, "phone", "close 4401 unauthenticated: lost"},
		{authenticate.Revocation{User: "ann", Blocked: true, Reason: "abuse"}, "tv", "close 4401 unauthenticated: abuse"},
	} {
		step.revoke.Tenant = "acme"
		if err := n.app.revocations.Revoke(t.Context(), step.revoke); err != nil {
			t.Fatal(err)
		}
		if got := there[step.ends].ended(t); got != step.want {
			t.Errorf("%s ended with %s", step.ends, got)
		}
		delete(there, step.ends)
		if accepted(step.ends) {
			t.Errorf("the token of %s is accepted", step.ends)
		}
		for _, c := range there {
			c.do("session:ping", "", "{}")
		}
	}
	for _, c := range there {
		c.drop()
	}
	n.stop()
	n.start()
	for name, want := range map[string]bool{"phone": false, "tv": false, "ben": false, "globex": true} {
		if accepted(name) != want {
			t.Errorf("after a restart: %s is accepted: %v", name, !want)
		}
	}
	if err := n.app.revocations.Lift(t.Context(), authenticate.Revocation{Tenant: "acme", User: "ann"}); err != nil {
		t.Fatal(err)
	}
	n.stop()
	n.start()
	if !accepted("tv") || accepted("phone") {
		t.Error("of what was lifted")
	}
}

// TestGrantsForSomeActions: a token lets its user into rooms, to read and do some things.
func TestGrantsForSomeActions(t *testing.T) {
	t.Parallel()
	n := serve(t)
	c := claims("acme", "ann")
	c.Limited = []event.Grant{{Room: "channel:x", Actions: []string{"room:*"}}, {Room: "channel:y", Actions: []string{"message:send"}}}
	ann := n.connect(t, dial{tenant: "acme", user: "ann", token: mint(t, c)})
	e := ann.do("session:open", "", `{"rooms":["channel:x","channel:y","channel:z"]}`)
	if js := e.js; !strings.Contains(js, `"refused":[{"room":"channel:z","code":"forbidden"}]`) {
		t.Error(js)
	}
	ann.send1("channel:y", "1", "granted")
	for _, room := range []string{"channel:x", "channel:y"} { // both can be read
		ann.do("room:history", room, "{}")
		ann.do("room:leave", room, "{}")
		ann.do("room:join", room, `{}`)
	}
	ann.do("message:read", "channel:y", `{"offset":1}`)
	for action, room := range map[string]string{"message:send": "channel:x", "message:react": "channel:y"} {
		ann.send(envelope(action, room, "no", map[string]string{"message:send": `{"text":"x"}`, "message:react": `{"offset":1,"key":"+"}`}[action]))
		if d := ann.answer("no").Payload.Data; d.Code != "forbidden" || d.Field != "payload.action" {
			t.Errorf("%s in %s: %+v", action, room, d)
		}
	}
}
