package app

import (
	"strings"
	"testing"
)

// TestWatchingPartOfAList: of users whom a token does not grant the others are
// watched all the same.
func TestWatchingPartOfAList(t *testing.T) {
	t.Parallel()
	n := serve(t)
	c := claims("acme", "ann")
	c.Rooms = []string{"user:ben"}
	ann := n.connect(t, dial{user: "ann", token: mint(t, c)})
	ann.do("session:open", "", "{}")
	want := `{"users":[{"user":"ben","status":"offline"}],"refused":[{"user":"eve","error":{"code":"forbidden","message":"the token does not grant this room","retryable":false}}]}`
	if e := ann.do("presence:subscribe", "", `{"users":["eve","ben"]}`); !strings.Contains(e.js, want) {
		t.Errorf("%s", e.js)
	}
	n.open(t, dial{user: "ben"})
	if e := ann.must(); e.Room != "user:ben/presence" || !strings.Contains(e.js, `"status":"online"`) {
		t.Errorf("%s", e.js)
	}
	ann.send(envelope("presence:subscribe", "", "none", `{"users":["eve"]}`))
	if e := ann.answer("none"); e.Payload.Data.Code != "forbidden" || e.Payload.Data.Field != "data.users[0]" {
		t.Errorf("%s", e.js)
	}
}

// TestAddressOfTwoTenants: what one tenant's users do behind an address turns that
// tenant's users away there, and no others.
func TestAddressOfTwoTenants(t *testing.T) {
	t.Parallel()
	n := serve(t, "limit.score.ip={slow: 0, ban: 25}", "limit.score.user={slow: 0, ban: 0}", "limit.score.connection={slow: 0, close: 0}")
	far := n.open(t, dial{tenant: "globex", user: "ann"})
	eve := n.open(t, dial{user: "eve"})
	for range 3 { // ten points each
		eve.text(`{"type":"event","payload":{`)
	}
	eventually(t, "the address is turned away", func() bool {
		return strings.Contains(n.log.text(), "an address is turned away for misbehaviour")
	})
	far.do("session:ping", "", "{}")
	n.open(t, dial{tenant: "globex", user: "ben"})
	mate := n.connect(t, dial{user: "ann", token: "-"})
	mate.text(envelope("session:open", "", "1", `{"token":`+quoted(mint(t, claims("acme", "ann")))+`}`))
	if e := mate.answer("1"); e.Payload.Data.Code != "rate_limited" || e.Payload.Data.RetryAfter == 0 {
		t.Errorf("another user of the tenant: %s", e.js)
	}
}
