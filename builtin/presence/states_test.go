package presence

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/heddle-rt/heddle/runtime/fault"
)

// TestUsers: what the watchers of a user are told. Ben watches ann.
func TestUsers(t *testing.T) {
	for _, c := range []struct {
		name   string
		script []string
		end    time.Duration
		want   []string
	}{
		{"comes and goes", []string{"0s ann/phone online", "1s ann/phone close"}, time.Minute, []string{
			`0s user:ann/presence {"user":"ann","status":"online",@0s,"devices":1}`,
			`11s user:ann/presence {"user":"ann","status":"offline",@11s}`}},
		{"flaps", []string{"0s ann/phone online", "1s ann/phone close", "10s ann/phone back", "11s ann/phone close", "20s ann/phone back"}, time.Minute, []string{
			`0s user:ann/presence {"user":"ann","status":"online",@0s,"devices":1}`}},
		{"devices", []string{"0s ann/phone online", "1s ann/laptop online", "2s ann/phone close", "3s ann/laptop close"}, time.Minute, []string{
			`0s user:ann/presence {"user":"ann","status":"online",@0s,"devices":1}`,
			`1s user:ann/presence {"user":"ann","status":"online",@0s,"devices":2}`,
			`12s user:ann/presence {"user":"ann","status":"online",@0s,"devices":1}`,
			`13s user:ann/presence {"user":"ann","status":"offline",@13s}`}},
		{"idle", []string{"0s ann/phone online", "4m ann/phone act", "10m ann/phone act"}, time.Hour, []string{
			`0s user:ann/presence {"user":"ann","status":"online",@0s,"devices":1}`,
			`9m0s user:ann/presence {"user":"ann","status":"away",@9m0s,"devices":1}`,
			`10m0s user:ann/presence {"user":"ann","status":"online",@10m0s,"devices":1}`,
			`15m0s user:ann/presence {"user":"ann","status":"away",@15m0s,"devices":1}`}},
		{"idle on one device of two", []string{"0s ann/phone online", "4m ann/laptop online"}, 8 * time.Minute, []string{
			`0s user:ann/presence {"user":"ann","status":"online",@0s,"devices":1}`,
			`4m0s user:ann/presence {"user":"ann","status":"online",@0s,"devices":2}`}},
		{"a phone that comes back by itself stays idle", []string{"0s ann/phone online", "6m ann/phone close", "362s ann/phone back", "7m ann/phone close", "422s ann/phone back", "8m ann/phone act"}, 9 * time.Minute, []string{
			`0s user:ann/presence {"user":"ann","status":"online",@0s,"devices":1}`,
			`5m0s user:ann/presence {"user":"ann","status":"away",@5m0s,"devices":1}`,
			`8m0s user:ann/presence {"user":"ann","status":"online",@8m0s,"devices":1}`}},
		{"chosen, for a time", []string{"0s ann/phone online", `1s ann/phone update {"status":"dnd","text":"at\u0020lunch","emoji":"x","data":{"a":[1]},"expires_in_ms":60000}`}, 4 * time.Minute, []string{
			`0s user:ann/presence {"user":"ann","status":"online",@0s,"devices":1}`,
			`1s user:ann/presence {"user":"ann","status":"dnd","text":"at\u0020lunch","emoji":"x","data":{"a":[1]},@1s,"devices":1}`,
			`1m1s user:ann/presence {"user":"ann","status":"online",@1m1s,"devices":1}`}},
		{"chosen online is never away", []string{"0s ann/phone online", `1s ann/phone update {"status":"online"}`, `6m ann/phone update {"status":"away"}`, `7m ann/phone act`, `13m ann/phone update {"status":"auto"}`}, time.Hour, []string{
			`0s user:ann/presence {"user":"ann","status":"online",@0s,"devices":1}`,
			`6m0s user:ann/presence {"user":"ann","status":"away",@6m0s,"devices":1}`}},
		{"invisible", []string{"0s ann/phone online", `1s ann/phone update {"status":"invisible","text":"busy"}`, `2s ben subscribe {"users":["ann","zoe","ben"]}`, `3s ann/phone update {"status":"auto"}`}, time.Minute, []string{
			`0s user:ann/presence {"user":"ann","status":"online",@0s,"devices":1}`,
			`1s user:ann/presence {"user":"ann","status":"offline",@1s}`,
			`2s ben: {"users":[{"user":"ann","status":"offline",@1s},{"user":"zoe","status":"offline"},{"user":"ben","status":"online",@0s,"devices":1}]}`,
			`3s user:ann/presence {"user":"ann","status":"online",@3s,"devices":1}`}},
		{"chosen without a session", []string{`1s ann/phone update {"status":"dnd"}`, "2s ann/phone online"}, time.Minute, []string{
			`2s user:ann/presence {"user":"ann","status":"dnd",@2s,"devices":1}`}},
		{"over before it was seen", []string{`1s ann/phone update {"status":"dnd","expires_in_ms":1000}`, "2s ann/phone online"}, time.Minute, []string{
			`2s user:ann/presence {"user":"ann","status":"online",@2s,"devices":1}`}},
		{"nobody watches any more", []string{`1s ben unsubscribe {"users":["ann","zoe"]}`, "2s ann/phone online"}, time.Minute, nil},
		{"watches twice", []string{`1s ben subscribe {"users":["ann","ann"]}`, `1s ben unsubscribe {"users":["ann"]}`, "2s ann/phone online"}, time.Minute, []string{
			`1s ben: {"users":[{"user":"ann","status":"offline"},{"user":"ann","status":"offline"}]}`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in(t, config, func(t *testing.T, w *world) {
				script := append([]string{"0s ben online", `0s ben subscribe {"users":["ann"]}`}, c.script...)
				same(t, w.play(t, script, c.end), append([]string{`0s ben: {"users":[{"user":"ann","status":"offline"}]}`}, c.want...))
			})
		})
	}
}

// TestManyWatchers are told of the first change at once, then once in an interval.
func TestManyWatchers(t *testing.T) {
	cfg := config
	cfg.BatchAbove = 0
	in(t, cfg, func(t *testing.T, w *world) {
		got := w.play(t, []string{
			"0s ben online", `0s ben subscribe {"users":["ann"]}`, "1s ann online", `1010ms ann update {"status":"dnd"}`, `1020ms ann update {"status":"away"}`,
			`2s ann update {"status":"dnd"}`, `2010ms ann update {"status":"away"}`, `2020ms ann update {"status":"dnd"}`,
			`3s ann update {"status":"away"}`, `3010ms ann update {"status":"dnd"}`, `3020ms ben subscribe {"users":["ann"]}`, `3030ms ann update {"status":"away"}`,
		}, time.Minute)
		same(t, got, []string{
			`0s ben: {"users":[{"user":"ann","status":"offline"}]}`,
			`1s user:ann/presence {"user":"ann","status":"online",@1s,"devices":1}`,
			`1.25s user:ann/presence {"user":"ann","status":"away",@1.02s,"devices":1}`,
			`2s user:ann/presence {"user":"ann","status":"dnd",@2s,"devices":1}`,
			`3s user:ann/presence {"user":"ann","status":"away",@3s,"devices":1}`,
			`3.02s ben: {"users":[{"user":"ann","status":"dnd",@3.01s,"devices":1}]}`,
			// Taken back, but ben was shown it.
			`3.25s user:ann/presence {"user":"ann","status":"away",@3.03s,"devices":1}`,
		})
	})
}

// TestRestart: what was chosen is there again, and nothing else is seen before.
func TestRestart(t *testing.T) {
	in(t, config, func(t *testing.T, w *world) {
		w.play(t, []string{"0s ann online", `0s ann update {"status":"invisible","text":"x"}`}, time.Second)
	})
	synctest.Test(t, func(t *testing.T) {
		w := &world{begun: time.Now(), sessions: map[string]*client{}, rows: map[string][]byte{"user:ann": []byte(`{"status":"dnd","text":"x"}`), "user:cat": []byte(`{"status":"invisible"}`)}}
		w.restart(t, config, func() {
			w.block = func() { time.Sleep(time.Second) } // the store is slow
			same(t, w.play(t, []string{"0s ben join user:ann/presence", "0s ben join user:cat/presence", "1s ann online", "3s cat online"}, time.Minute), []string{
				`2s user:ann/presence {"user":"ann","status":"dnd","text":"x",@2s,"devices":1}`,
			})
			if st := w.State("acme", "cat"); st.Chosen != "invisible" || st.Status != "offline" || len(st.Devices) != 1 {
				t.Errorf("%+v", st)
			}
		})
		w.over(t)
	})
}

// TestStoreFails: who can not be told from an invisible user is not shown.
func TestStoreFails(t *testing.T) {
	in(t, config, func(t *testing.T, w *world) {
		w.fails = errors.New("the disk is out")
		w.client("ben").join("user:ann/presence")
		ann := w.client("ann")
		if err := ann.online(false); !fault.Is(err, fault.Unavailable) || !errors.Is(err, w.fails) {
			t.Errorf("%v", err)
		}
		w.fails = nil
		if err := ann.online(false); err != nil {
			t.Error(err)
		}
		same(t, w.play(t, nil, time.Second), []string{`0s user:ann/presence {"user":"ann","status":"online",@0s,"devices":1}`})
	})
}

// TestToldWhileLoading: what a user says holds, whatever the store says then.
func TestToldWhileLoading(t *testing.T) {
	in(t, config, func(t *testing.T, w *world) {
		w.client("ben").join("user:ann/presence")
		w.rows["user:ann"] = []byte(`{"status":"away"}`)
		w.block = func() {
			w.block = nil
			if _, err := w.client("ann/other").do("presence:update", "", `{"status":"dnd"}`); err != nil {
				t.Error(err)
			}
			w.rows["user:ann"] = []byte(`{"status":"away"}`)
		}
		if err := w.client("ann").online(false); err != nil {
			t.Error(err)
		}
		same(t, w.play(t, nil, time.Second), []string{`0s user:ann/presence {"user":"ann","status":"dnd",@0s,"devices":1}`})
	})
}

func TestState(t *testing.T) {
	in(t, config, func(t *testing.T, w *world) {
		w.play(t, []string{"0s ann/phone online", "1s ann/laptop online", "2s ann/phone act", `3s ann/phone update {"status":"dnd"}`}, 4*time.Second)
		if st := w.State("acme", "ann"); st.Status != "dnd" || st.Chosen != "dnd" || len(st.Devices) != 2 || st.Active != "phone" {
			t.Errorf("%+v", st)
		}
		if st := w.State("umbrella", "ann"); st.Status != "offline" || st.Chosen != "auto" || st.Devices != nil || st.Active != "" {
			t.Errorf("another tenant's: %+v", st)
		}
	})
}

// TestRunEnds without work.
func TestRunEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := New(config, Deps{}).Run(ctx); err != nil {
		t.Error(err)
	}
}
