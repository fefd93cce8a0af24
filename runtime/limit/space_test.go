package limit

import (
	"testing"

	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/pipeline"
)

// TestSpaceIsForWhatIsStored: over its quota, a tenant may do what stores nothing,
// makes space, or is small and no message.
func TestSpaceIsForWhatIsStored(t *testing.T) {
	stage := NewSpace(NewQuotas(map[string]Quota{"acme": {Storage: 1 << 20}, "globex": {Storage: 1 << 30}, "free": {}}, &store{bytes: 1 << 20}))
	durable := func(bytes ...int) (out []event.Effect) {
		out = append(out, event.Effect{Kind: event.Join, Envelope: event.Envelope{Data: make([]byte, 9999)}})
		for _, n := range bytes {
			out = append(out, event.Effect{Durable: true, Envelope: event.Envelope{Data: make([]byte, n)}})
		}
		return out
	}
	for name, c := range map[string]struct {
		action  string
		rate    event.Rate
		effects []event.Effect
		tenant  string
		refused bool
	}{
		"a message":                          {"message:send", event.RateMessage, durable(12), "acme", true},
		"an ephemeral one":                   {"message:send", event.RateMessage, durable(), "acme", false},
		"in a room without a stream":         {"message:send", event.RateMessage, []event.Effect{{Envelope: event.Envelope{Data: make([]byte, 9999)}}}, "acme", false},
		"to a device":                        {"direct:send", event.RateMessage, nil, "acme", false},
		"to a user":                          {"direct:send", event.RateMessage, durable(12, 12), "acme", true},
		"4 KiB of meta":                      {"room:update", event.RateQuery, durable(4096), "acme", true},
		"many small things":                  {"room:update", event.RateQuery, durable(300, 300), "acme", true},
		"a member removed":                   {"room:update", event.RateQuery, durable(40, 60), "acme", false},
		"a marker":                           {"message:read", event.RateQuery, durable(400), "acme", false},
		"a room":                             {"room:create", event.RateQuery, durable(2), "acme", true},
		"a deleted room, all are told":       {"room:delete", event.RateQuery, durable(2, 300, 300), "acme", false},
		"a deleted message":                  {"message:delete", event.RateMessage, durable(60), "acme", false},
		"a tenant that has space":            {"message:send", event.RateMessage, durable(12), "globex", false},
		"a tenant without a quota":           {"message:send", event.RateMessage, durable(12), "free", false},
		"a tenant that is not known anymore": {"message:send", event.RateMessage, durable(12), "initech", false},
	} {
		t.Run(name, func(t *testing.T) {
			ev := &event.Event{Spec: &event.Action{Name: c.action, Rate: c.rate, Durable: true}, Effects: c.effects}
			ev.Tenant = c.tenant
			v, err := stage.Process(t.Context(), ev)
			if (err != nil) != c.refused || (v == pipeline.Reject) != c.refused || err != nil && !fault.Is(err, fault.StorageFull) {
				t.Error(v, err)
			}
		})
	}
	if _, err := NewSpace(nil).Process(t.Context(), &event.Event{Spec: &event.Action{Name: "message:send"}, Effects: durable(9)}); err != nil {
		t.Error(err)
	}
	ev := &event.Event{Spec: &event.Action{Name: "message:send"}, Effects: durable(9)}
	ev.Tenant = "globex"
	if n := testing.AllocsPerRun(100, func() { _, _ = stage.Process(t.Context(), ev) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
