package app

import (
	"fmt"
	"strings"
	"testing"
)

// TestTenantsNeverMeet gives two tenants the same names for everything.
func TestTenantsNeverMeet(t *testing.T) {
	t.Parallel()
	n := serve(t)
	tenants := []string{"acme", "globex"}
	ann, ben, opened := map[string]*client{}, map[string]*client{}, map[string]received{}
	for _, tenant := range tenants {
		ann[tenant] = n.connect(t, dial{tenant: tenant, user: "ann"})
		opened[tenant] = ann[tenant].do("session:open", "", `{"rooms":["channel:x"]}`)
		ben[tenant] = n.open(t, dial{tenant: tenant, user: "ben"})
	}
	for i, tenant := range tenants {
		// The same ids too: what is idempotent is so for each tenant.
		for k := range i + 2 {
			e := ann[tenant].send1("channel:x", fmt.Sprint("m", k), tenant)
			if e.Payload.Data.Repeat || e.Offset != uint64(k+1) || e.Tenant != tenant {
				t.Errorf("%s: %s", tenant, e.js)
			}
		}
	}
	ann["acme"].do("room:create", "conv:1", `{"members":["ben"]}`)
	ann["globex"].do("room:create", "conv:1", `{"members":["zed"]}`)
	eventually(t, "ben of acme is in conv:1", func() bool { return strings.Contains(fmt.Sprint(n.connections("acme", "ben")), "conv:1") })
	for i, tenant := range tenants {
		page := ann[tenant].do("room:history", "channel:x", "{}").Payload.Data
		if len(page.Events) != i+2 {
			t.Errorf("%s has %d events", tenant, len(page.Events))
		}
		for _, e := range page.Events {
			if e.Tenant != tenant || e.Payload.Data.Text != tenant {
				t.Errorf("%s reads %+v", tenant, e)
			}
		}
	}
	if m := string(ann["globex"].do("room:members", "conv:1", "{}").Payload.Data.Members); strings.Contains(m, "ben") || !strings.Contains(m, "zed") {
		t.Errorf("members of globex: %s", m)
	}
	// Ben of globex is no member, though ben of acme is.
	ben["globex"].send(envelope("room:join", "conv:1", "j", "{}"))
	if e := ben["globex"].answer("j"); e.Payload.Data.Code != "forbidden" {
		t.Error(e.js)
	}
	// Nor is acme's session globex's.
	was := opened["acme"].Payload.Data
	thief := n.connect(t, dial{tenant: "globex", user: "ann"})
	e := thief.do("session:resume", "", fmt.Sprintf(`{"session":%q,"resume_token":%q,"positions":{"channel:x":{"epoch":%q,"offset":1}}}`,
		was.Session, was.ResumeToken, n.epoch("acme", "channel:x")))
	if d := e.Payload.Data; d.Recovered || d.Reason != "session_unknown" || d.Session == was.Session {
		t.Error(e.js)
	}
	ann["acme"].do("session:ping", "", "{}") // nobody took its place
	// Markers.
	for _, tenant := range tenants {
		ann[tenant].do("message:read", "channel:x", `{"offset":2}`)
	}
	ann["acme"].send1("channel:x", "last", "acme")
	// Whatever comes to anybody now is of the own tenant: client.next checks it.
	for _, tenant := range tenants {
		ann[tenant].do("session:ping", "", "{}")
		ben[tenant].do("session:ping", "", "{}")
	}
	if got := n.stored(); got == 0 || len(n.records("globex", "channel:x")) != 3 || len(n.records("acme", "channel:x")) != 3 {
		t.Errorf("%d are stored", got)
	}
}

// send1 sends a text and returns its ack.
func (c *client) send1(room, id, text string) received {
	c.t.Helper()
	c.send(envelope("message:send", room, id, `{"text":`+quoted(text)+`}`))
	return c.answer(id)
}
