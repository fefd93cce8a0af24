package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// metrics reads /metrics: values by name and labels, as they are written.
func (n *node) metrics() map[string]float64 {
	n.t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(n.admin("/metrics").body))
	if err != nil {
		n.t.Fatal(err)
	}
	out := map[string]float64{}
	for name, f := range families {
		for _, m := range f.GetMetric() {
			key := name
			for _, l := range m.GetLabel() {
				key += " " + l.GetName() + "=" + l.GetValue()
			}
			switch {
			case m.GetCounter() != nil:
				out[key] = m.GetCounter().GetValue()
			case m.GetGauge() != nil:
				out[key] = m.GetGauge().GetValue()
			case m.GetHistogram() != nil:
				out[key] = float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return out
}

func TestMetricsMove(t *testing.T) {
	t.Parallel()
	n := serve(t)
	problems, err := promlint.New(strings.NewReader(n.admin("/metrics").body)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	before := n.metrics()
	ann := n.open(t, dial{user: "ann"})
	ann.do("room:join", "channel:x", "{}")
	ann.send1("channel:x", "m1", "x")
	ann.send1("channel:x", "m1", "x")
	ann.send(envelope("message:send", "channel:y", "m2", `{"text":"x"}`))
	ann.answer("m2")
	ann.text("nonsense")
	_ = ann.must()
	ben := n.connect(t, dial{user: "ben"})
	other := n.connect(t, dial{token: "-"})
	for key, want := range map[string]float64{
		"heddle_connections_open":                                  3,
		"heddle_connections_opened_total":                          3,
		"heddle_sessions_open state=active":                        1,
		"heddle_sessions_open state=authenticating":                1,
		"heddle_sessions_open state=handshake":                     1,
		"heddle_users_connected":                                   1,
		"heddle_sessions_total how=opened":                         1,
		"heddle_tokens_total result=verified":                      2,
		"heddle_frames_malformed_total":                            1,
		"heddle_stage_events_total stage=decode verdict=reject":    1,
		"heddle_stage_events_total stage=authorize verdict=reject": 1,
		"heddle_stage_events_total stage=sequence verdict=handled": 2,
		"heddle_stage_events_total stage=builtin verdict=pass":     4,
		"heddle_stage_events_total stage=ack verdict=pass":         6,
		"heddle_events_total action=message:send result=done":      1,
		"heddle_events_total action=message:send result=repeat":    1,
		"heddle_events_total action=message:send result=forbidden": 1,
		"heddle_events_total action=session:open result=done":      1,
		"heddle_events_total action=unknown result=malformed":      1,
		"heddle_commits_total result=stored":                       1,
		"heddle_commits_total result=repeat":                       1,
		"heddle_published_total kind=durable":                      1,
		"heddle_subscriptions_open":                                2,
		"heddle_rooms_open":                                        2,
		"heddle_commit_seconds":                                    2,
		"heddle_frames_total direction=in":                         6,
	} { // what is counted behind an answer comes a moment later
		eventually(t, fmt.Sprintf("%s moves by %v", key, want), func() bool { return n.metrics()[key]-before[key] == want })
	}
	ann.drop()
	ben.drop()
	other.drop()
	eventually(t, "ann's session is detached", func() bool {
		m := n.metrics()
		return m["heddle_sessions_open state=detached"] == 1 && m["heddle_connections_open"] == 0 && m["heddle_rooms_open"] == 0 &&
			m["heddle_sessions_open state=active"] == 0 && m["heddle_sessions_open state=authenticating"] == 0 && m["heddle_sessions_open state=handshake"] == 0
	})
}

func TestConnectionsOfTheAdminServer(t *testing.T) {
	t.Parallel()
	n := serve(t)
	cl := claims("acme", "ann")
	cl.Device = "phone"
	ann := n.connect(t, dial{token: mint(t, cl), dialect: packed, extra: "User-Agent: test/1\r\n"})
	opened := ann.do("session:open", "", `{"attributes":{"app":"1.2"},"rooms":["channel:x"]}`).Payload.Data
	n.open(t, dial{tenant: "globex", user: "ann"})
	n.open(t, dial{user: "ben"})
	list := func(query string) (out struct {
		Node        string
		Connections []struct {
			Session, Tenant, User, Device, State, Transport, Dialect, Remote, Agent string
			Rooms                                                                   []string
			Attributes                                                              json.RawMessage
		}
	}) {
		r := n.admin("/connections?" + query)
		if err := json.Unmarshal([]byte(r.body), &out); err != nil || r.status != http.StatusOK {
			t.Fatalf("%v: %+v", err, r)
		}
		return out
	}
	for query, want := range map[string]int{
		"": 3, "tenant=acme": 2, "tenant=acme&user=ann": 1, "user=ann": 2, "session=" + opened.Session: 1, "user=nobody": 0, "limit=1": 1,
	} {
		if got := list(query); len(got.Connections) != want || got.Node != "test" {
			t.Errorf("%q: %+v", query, got)
		}
	}
	c := list("tenant=acme&user=ann").Connections[0]
	if c.Session != opened.Session || c.Device != "phone" || c.State != "active" || c.Dialect != "heddle.v1.msgpack" || c.Agent != "test/1" ||
		len(c.Rooms) != 2 || string(c.Attributes) != `{"app":"1.2"}` || !strings.HasPrefix(c.Remote, "127.0.0.1:") {
		t.Errorf("%+v", c)
	}
	if r := n.admin("/connections?limit=0"); r.status != http.StatusBadRequest {
		t.Errorf("%+v", r)
	}
	if body := n.admin("/connections").body; strings.Contains(body, opened.ResumeToken) {
		t.Error("the resume token is shown")
	}
}

// TestReady asks from the start to the end of draining.
func TestReady(t *testing.T) {
	t.Parallel()
	n := serve(t, "drain=400ms")
	c := n.open(t, dial{user: "ann"})
	if r := n.admin("/readyz"); r.status != http.StatusOK {
		t.Errorf("%+v", r)
	}
	n.cancel()
	if e := c.must(); e.Payload.Action != "session:drain" {
		t.Error(e.js)
	}
	if r := n.admin("/readyz"); r.status != http.StatusServiceUnavailable || !strings.Contains(r.body, "draining") {
		t.Errorf("%+v", r)
	}
	c.ends(4000)
	n.stop()
}

// TestFullDisk refuses what is durable, and nothing else.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	n := serve(t)
	n.stop()
	n.set, n.unready = append(n.set, "storage.min_free=1024GiB"), true
	n.start()
	if r := n.admin("/readyz"); r.status != http.StatusServiceUnavailable || !strings.Contains(r.body, "storage.min_free") {
		t.Errorf("%+v", r)
	}
	c := n.connect(t, dial{user: "ann"})
	c.send(envelope("session:open", "", "o", `{"rooms":["channel:x"]}`))
	c.answer("o")
	c.send(envelope("message:send", "channel:x", "m", `{"text":"x"}`))
	if e := c.answer("m"); e.Payload.Data.Code != "storage_full" || !e.Payload.Data.Retryable {
		t.Error(e.js)
	}
	c.send(envelope("message:send", "channel:x", "m", `{"text":"x","ephemeral":true}`))
	if e := c.answer("m"); e.Type != "ack" {
		t.Error(e.js)
	}
}
