package app

import (
	"fmt"
	"strings"
	"testing"
)

// TestStorageOverQuota: when a tenant's space is used up, what would take more is
// refused and stores nothing; what is not stored, what is small and what makes space
// goes on, and so do other tenants.
func TestStorageOverQuota(t *testing.T) {
	t.Parallel()
	n := serve(t, "tenants.acme.quota.storage=16KiB")
	ann, stranger := n.open(t, dial{user: "ann"}), n.open(t, dial{tenant: "globex", user: "ann"})
	ann.acked("room:create", "conv:1", "c", "{}")
	ann.acked("room:join", "live:1", "j", "{}")
	full := func(action, room, id, data string) {
		t.Helper()
		before := len(n.records("acme", room))
		ann.asks(action, room, id, data)()
		if d := ann.answer(id).Payload.Data; d.Code != "storage_full" || !d.Retryable || d.RetryAfter <= 0 || len(n.records("acme", room)) != before {
			t.Errorf("%s in %s: %+v", action, room, d)
		}
	}
	sent := 0
	for ; sent < 100; sent++ {
		id := fmt.Sprint("m", sent)
		ann.asks("message:send", "conv:1", id, `{"text":"`+strings.Repeat("x", 2000)+`"}`)()
		if ann.answer(id).Type != "ack" {
			break
		}
	}
	if sent < 4 || sent > 9 {
		t.Fatalf("%d messages of 2,000 bytes fit into 16 KiB", sent)
	}
	full("message:send", "conv:1", "f1", `{"text":"x"}`)
	full("room:create", "conv:2", "f2", `{}`)
	full("room:update", "conv:1", "f3", `{"meta":{"x":"`+strings.Repeat("x", 4000)+`"}}`)
	full("direct:send", "", "f4", `{"to":"ben","text":"x"}`)
	ann.acked("message:send", "conv:1", "e", `{"text":"x","ephemeral":true}`)
	ann.acked("message:send", "live:1", "l", `{"text":"nothing is kept here"}`)
	ann.acked("message:read", "conv:1", "r", `{"offset":2}`)
	ann.acked("room:update", "conv:1", "u", `{"add":["ben"]}`)
	ann.acked("message:delete", "conv:1", "d", `{"offset":2}`)
	ann.acked("room:delete", "conv:1", "x", `{}`)
	stranger.acked("room:create", "conv:1", "c", "{}")
}

// TestFieldsOfErrors: what an error's field says is the path in the envelope, data
// being short for payload.data where it goes on.
func TestFieldsOfErrors(t *testing.T) {
	t.Parallel()
	n := serve(t)
	for _, d := range []dialect{"json", packed} {
		ann := n.open(t, dial{user: "ann", dialect: d})
		for js, field := range map[string]string{
			`{"type":"event","id":"x","payload":{"action":"no:such"}}`:                                                         "payload.action",
			`{"type":"event","id":"x","payload":{"action":5}}`:                                                                 "payload.action",
			`{"type":"event","id":"x","payload":{"data":{}}}`:                                                                  "payload.action",
			`{"type":"event","id":"x","room":"channel:x","payload":{"action":"room:history","data":[]}}`:                       "payload.data",
			`{"type":"event","id":"x","room":"channel:x","payload":{"action":"room:history","data":{"limit":0}}}`:              "data.limit",
			`{"type":"event","id":"x","room":"conv:1","payload":{"action":"room:create","data":{"members":["a","b c"]}}}`:      "data.members[1]",
			`{"type":"event","id":"x","room":5,"payload":{"action":"room:history"}}`:                                           "room",
			`{"type":"event","id":"x","payload":{"action":"room:history","data":{}}}`:                                          "room",
			`{"type":"event","id":"x","payload":[]}`:                                                                           "payload",
			`{"type":"event","id":"x","room":"channel:x","payload":{"action":"session:open","data":{}}}`:                       "payload.action",
			`{"type":"event","id":"x","room":"channel:x","payload":{"action":"message:send","data":{"text":""}}}`:              "room",
			`{"type":"event","id":"x","payload":{"action":"direct:send","data":{"to":"ben","text":"x","mentions":{},"to":5}}}`: "data.to",
		} {
			ann.text(js)
			if e := ann.answer("x"); e.Payload.Data.Field != field {
				t.Errorf("%s %s: %s, want %s", d, js, e.js, field)
			}
		}
	}
}
