package app

import (
	"fmt"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/plugins/guest/guesttest"
)

// TestHostileWrites: a plugin that writes the same key again and again fails when it has
// written what the tenant may a second, and the developer is told.
func TestHostileWrites(t *testing.T) {
	r := newRaid(t, "tenants.acme.plugins.writes_per_second=1", "tenants.acme.plugins.writes_at_once=256KiB")
	guest := raw{Imports: []string{"kv_put"}, Text: "key", Batch: wat{}.I32(guesttest.TextAt, 3, 0, 60<<10).I64(0).Call(0)}
	r.placed(t, "scribe", guest.Module(), unhurried+"capabilities: [kv]\n"+binding("scribe"))
	c := r.open(t, dial{user: "ann"})
	defer c.drop()
	c.do("room:join", "channel:scribe", "{}")
	r.peace(t, 20, func() {
		failed := ""
		for i := range 8 {
			c.text(envelope("message:send", "channel:scribe", fmt.Sprint(i), `{"text":"x"}`))
			if e := c.answer(fmt.Sprint(i)); e.Type != "ack" {
				failed += fmt.Sprint(i)
			}
		}
		if failed != "4567" || r.failures("scribe", "store") != 4 {
			t.Errorf("events %s have failed, %v are counted", failed, r.failures("scribe", "store"))
		}
	})
	if log := r.logs(t, "scribe"); !strings.Contains(log, "more bytes a second than they may") {
		t.Error(log)
	}
	r.acme.must("DELETE", "plugins/scribe", "")
	r.calm(t)
}
