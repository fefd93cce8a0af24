package plugin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/guest"
	"github.com/heddle-rt/heddle/plugins/guest/guesttest"
	"github.com/heddle-rt/heddle/plugins/host"
	"github.com/heddle-rt/heddle/plugins/kv"
	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/plugins/timer"
	"github.com/heddle-rt/heddle/runtime/cell/celltest"
	"github.com/heddle-rt/heddle/runtime/config"
	"github.com/heddle-rt/heddle/runtime/event"
	"github.com/heddle-rt/heddle/runtime/fault"
	"github.com/heddle-rt/heddle/runtime/pipeline"
	"github.com/heddle-rt/heddle/runtime/room"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// built is the conformance guest of the Go SDK: what it does is chosen by the action.
var built = sync.OnceValues(func() ([]byte, error) {
	return guesttest.Go(filepath.Join("..", "..", "sdk-wasm", "conformance", "guest", "go"))
})

var engine = sync.OnceValues(func() (*guest.Engine, error) {
	cache, err := guesttest.Cache("compiled")
	if err != nil {
		return nil, err
	}
	return guest.New(guest.Config{Cache: cache})
})

// origin is a session of ann's.
type origin struct{ id event.Identity }

func (o *origin) Identity() *event.Identity { return &o.id }
func (o *origin) Member(string) (event.Membership, bool) {
	return event.Membership{Publish: true, Durable: true}, true
}
func (o *origin) Opened() bool { return true }

// outside keeps what reaches beyond the node.
type outside struct {
	said []string
	paid []int64
	poor bool // there is nothing left to pay with
}

func (o *outside) HTTP(_ *host.Plugin, hosts []string, who string, requests []hostapi.Action) {
	for _, a := range requests {
		o.said = append(o.said, fmt.Sprintf("http %s %v of %s", a.A, hosts, who))
	}
}

func (o *outside) Pay(_ *host.Plugin, bytes int64) bool {
	o.paid = append(o.paid, bytes)
	return !o.poor
}

func (o *outside) Change(_ *host.Plugin, changes []timer.Change, done func()) {
	for _, c := range changes {
		if c.Cancel {
			o.said = append(o.said, "cancel "+c.Name)
		} else {
			o.said = append(o.said, fmt.Sprintf("set %s in %d: %s", c.Name, c.Delay.Milliseconds(), c.Payload))
		}
	}
	if done != nil {
		done()
	}
}

// rooms has all rooms but those of conv:gone.
type rooms struct{ *room.Rooms }

func (rooms) Deleted(_ context.Context, _, name string) (bool, error) {
	return name == "conv:gone", nil
}

type rig struct {
	*Service
	host    *host.Host
	bundle  *manifest.Bundle
	outside outside
	policy  *host.Policy
	stored  bool
	direct  []string
}

func newRig(t testing.TB, more string) *rig {
	t.Helper()
	code, err := built()
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{}
	hostCfg, err := config.Load[host.Config](config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	policy, err := config.Load[host.Policy](config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	policy.Value.Limits.Start, policy.Value.Limits.Timeout = time.Minute, 10*time.Second
	policy.Value.Secrets = map[string]map[string]host.Secret{"cases": {"token": "s3"}}
	r.policy = policy.Value
	store := &celltest.Store{}
	r.host = host.New(*hostCfg.Value, host.Deps{
		Engine: e, Cells: store, KV: kv.New(store, nil), Log: slog.New(slog.DiscardHandler), Now: time.Now,
		Policy: func(string) *host.Policy { return policy.Value }, Taken: func(a string) bool { return r.Taken(a) },
	})
	t.Cleanup(r.host.Close)
	r.Service = New(Deps{
		Host: r.host, Rooms: rooms{room.New(map[string]room.TypeConfig{"user": {Join: room.JoinSelf, Stream: true}, "conv": {Members: true, Stream: true, Join: room.JoinOpen, Publish: room.ByParticipants}}, nil)}, Outside: &r.outside, Log: slog.New(slog.DiscardHandler), Now: time.Now,
		Actions: []event.Action{message()}, Stored: func(context.Context, *event.Event) bool { return r.stored },
		Direct: func(env *event.Envelope, user, device string) int {
			r.direct = append(r.direct, fmt.Sprintf("%s %s to %s of %s", env.Action, env.Data, device, user))
			return 1
		},
	})
	b := &manifest.Bundle{Module: code, Text: []byte("name: cases\nversion: '1'\nlimits: {timeout: 10s, start: 60s, fuel: 100000000}\ncapabilities: [emit, http, kv, lookup, secrets, timers]\nhosts: [api.example.com]\n" + more)}
	if b.Manifest, err = manifest.Read(manifest.FileName, b.Text); err != nil {
		t.Fatal(err)
	}
	r.bundle = b
	if _, err := r.host.Deploy(t.Context(), host.Request{Tenant: "acme", By: "dev", Bundle: b, As: host.Live}); err != nil {
		t.Fatal(err)
	}
	return r
}

// message is message:send, as far as plugins see it.
func message() event.Action {
	return event.Action{
		Name: "message:send", Durable: true, Rate: event.RateMessage,
		Payload: event.Payload{{Name: "text", Kind: event.String, Max: 100}, {Name: "was", Kind: event.Object}},
	}
}

// event is one of ann's.
func (r *rig) event(action, data string) *event.Event {
	spec := message()
	spec.Name = action
	ev := &event.Event{Origin: &origin{event.Identity{Tenant: "acme", User: "ann"}}, Spec: &spec}
	ev.Tenant, ev.From.User, ev.From.Device, ev.Room, ev.Action, ev.ID, ev.Data = "acme", "ann", "phone", "conv:1", action, "id1", []byte(data)
	return ev
}

// run takes an event of an action through the stage.
func (r *rig) run(t testing.TB, action, data string) (*event.Event, pipeline.Verdict, error) {
	t.Helper()
	ev := r.event(action, data)
	verdict, err := r.Process(context.Background(), ev)
	return ev, verdict, err
}

const before = "bindings: [{actions: ['case:*'], rooms: ['conv:*']}]\n"

func TestDecisions(t *testing.T) { decisions(t, newRig(t, before)) }

func decisions(t *testing.T, r *rig) {
	for action, c := range map[string]struct {
		code, field, text string
		check             func(ev *event.Event) string
	}{
		"case:pass":     {},
		"case:nothing":  {},
		"case:unknown":  {},
		"case:forbid":   {code: "forbidden", text: "not here"},
		"case:invalid":  {code: "invalid", field: "data.text", text: "too long"},
		"case:rate":     {code: "rate_limited", text: "slow down"},
		"case:silent":   {check: func(ev *event.Event) string { return fmt.Sprint("settled ", ev.Settled) }, text: "settled true"},
		"case:replace":  {check: func(ev *event.Event) string { return string(ev.Data) + string(ev.Arg("was")) }, text: `{"was":{"text":"hi"}}{"text":"hi"}`},
		"case:set_attr": {check: func(ev *event.Event) string { return string(ev.Extra) }, text: `{"lang":"fr"}`},
		"case:route":    {check: func(ev *event.Event) string { return ev.Room }, text: "conv:2"},
		"case:fail":     {code: "plugin_failed"},
		"case:trap":     {code: "plugin_failed"},
		"case:reply":    {code: "plugin_failed"}, // not an action of its own
	} {
		t.Run(action, func(t *testing.T) {
			ev, verdict, err := r.run(t, action, `{"text":"hi"}`)
			if c.code == "" {
				if err != nil || verdict != pipeline.Pass {
					t.Fatalf("%v, %v", verdict, err)
				}
				if c.check != nil && c.check(ev) != c.text {
					t.Errorf("%s, want %s", c.check(ev), c.text)
				}
				return
			}
			var f *fault.Error
			if !errors.As(err, &f) || f.Kind.Code() != c.code || f.Field != c.field || !strings.Contains(f.Msg, c.text) || verdict != pipeline.Reject {
				t.Errorf("%v, %v", verdict, err)
			}
			if len(ev.Later)+len(ev.Effects) > 0 || string(ev.Data) != `{"text":"hi"}` {
				t.Errorf("a refused event has effects: %+v", ev)
			}
		})
	}
}

func TestEffects(t *testing.T) { effects(t, newRig(t, before)) }

func effects(t *testing.T, r *rig) {
	ev, _, err := r.run(t, "case:emit", `{}`)
	if err != nil || len(ev.Later) != 2 {
		t.Fatal(err, len(ev.Later))
	}
	e := ev.Later[0]
	if e.Room != "conv:1" || e.Action != "order:created" || string(e.Data) != `{"id":1}` || !e.Durable || e.Type != event.TypeMessage || e.From.User != "" || e.Tenant != "acme" {
		t.Errorf("%+v", e)
	}
	ev.Later[1].Do()
	if got := fmt.Sprint(r.direct); got != `[order:told {"id":1} to phone of ann]` {
		t.Error(got)
	}
	for _, action := range []string{"case:http", "case:timer"} {
		ev, _, err := r.run(t, action, `{}`)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.outside.said) > 0 && action == "case:http" {
			t.Error("it was done before the event")
		}
		for _, e := range ev.Later {
			e.Do()
		}
	}
	want := `http POST https://api.example.com/x?y=1 [api.example.com] of ann, set remind in 60000: {"n":1}, cancel old`
	if got := strings.Join(r.outside.said, ", "); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	// Of an event that is stored already, what is emitted may not be; all else was done.
	r.stored = true
	if again, _, err := r.run(t, "case:emit", `{}`); err != nil || len(again.Later) != 2 || again.Later[0].Name != ev.Later[0].Name || ev.Later[0].Name == ev.Later[1].Name || ev.Later[0].Name == "" {
		t.Errorf("%v: emits have other names when they come again: %+v, %+v", err, again.Later, ev.Later)
	}
	for action, want := range map[string]int{"case:emit": 2, "case:http": 0, "case:timer": 0, "case:forbid": 0, "case:trap": 0} {
		if ev, _, err := r.run(t, action, `{}`); err != nil || len(ev.Later) != want {
			t.Errorf("repeated %s: %v, %d effects", action, err, len(ev.Later))
		}
	}
}

// TestRepeats: what was stored is not refused when it comes again, whatever a plugin
// thinks of it by then.
func TestRepeats(t *testing.T) {
	r := newRig(t, before)
	v := r.host.For("acme").Named("cases").Choose("ann")
	v.Manifest.Capabilities = nil // it is asked first, then whether the event is a repeat
	v.Release()
	for _, stored := range []bool{false, true} {
		r.stored = stored
		for action, want := range map[string]string{"case:forbid": "forbidden", "case:rate": "rate_limited", "case:invalid": "invalid", "case:trap": "plugin_failed", "case:silent": ""} {
			ev, _, err := r.run(t, action, `{}`)
			if stored {
				want = ""
			}
			if code(err) != want || ev.Settled != (action == "case:silent" && !stored) {
				t.Errorf("stored %v: %s: %v, settled %v", stored, action, err, ev.Settled)
			}
		}
	}
}

func TestOwnActions(t *testing.T) {
	r := newRig(t, "actions: [{name: 'case:reply', durable: true}, {name: 'case:emit', silent: true}, {name: 'case:silent'}]\n")
	id := &event.Identity{Tenant: "acme", User: "ann"}
	if r.Action(&event.Identity{Tenant: "globex"}, "case:reply") != nil || r.Action(id, "case:other") != nil {
		t.Error("an action that is not there")
	}
	spec := r.Action(id, "case:reply")
	if spec == nil || !spec.NeedsRoom || !spec.Durable || spec.Permission != event.Publisher {
		t.Fatalf("%+v", spec)
	}
	ev, _, err := r.run(t, "case:reply", `{"a":1}`)
	if err == nil {
		err = spec.Handle(t.Context(), ev)
	}
	if err != nil || string(ev.Reply) != `{"ok":true}` || len(ev.Effects) != 1 || !ev.Effects[0].Durable || ev.Effects[0].Action != "case:reply" || ev.Effects[0].From.User != "ann" {
		t.Errorf("%v, %+v", err, ev)
	}
	for action, want := range map[string]string{"case:emit": "0 2", "case:silent": "0 0"} {
		ev, _, err := r.run(t, action, `{}`)
		if err == nil {
			err = r.Action(id, action).Handle(t.Context(), ev)
		}
		if got := fmt.Sprint(len(ev.Effects), len(ev.Later)); err != nil || got != want {
			t.Errorf("%s: %v, %s effects, want %s", action, err, got, want)
		}
	}
}

func TestFailurePolicies(t *testing.T) {
	for policy, want := range map[string]string{"open": "pass false", "closed": "plugin_failed false", "dead_letter": "plugin_failed true"} {
		t.Run(policy, func(t *testing.T) {
			r := newRig(t, before+"failure: "+policy+"\n")
			ev, _, err := r.run(t, "case:trap", `{}`)
			got := "pass"
			if err != nil {
				got = fault.Of(err).Kind.Code()
			}
			if got = fmt.Sprint(got, " ", ev.Keep); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
}

// TestShadow: a shadow that is the same as the live version decides the same, whatever
// the live one decides, and whether that can be done or not.
func TestShadow(t *testing.T) {
	r := newRig(t, before+"payload: prefix(6)\nattributes: [{name: size, path: size}]\n")
	b := r.bundle
	if _, err := r.host.Deploy(t.Context(), host.Request{Tenant: "acme", By: "dev", Bundle: b, As: host.Shadow}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.host.Run(ctx) }() // ended by cancel
	defer func() {
		cancel()
		<-done
	}()
	for i, action := range []string{"case:forbid", "case:echo", "case:set_attr", "case:emit", "case:trap"} {
		ev := r.event(action, `{"size":1,"text":"hi"}`)
		ev.Extra = []byte(`{"lang":"fr","n":[1]}`)
		_, _ = r.Process(t.Context(), ev) // most are refused
		for end := time.Now().Add(30 * time.Second); r.host.Compared.Load() <= uint64(i); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the shadow does not look")
			}
		}
		if n := r.host.Differed.Load(); n != 0 {
			t.Fatalf("%s: %+v", action, r.host.Find("acme", "cases").Diffs.List())
		}
	}
}

// TestSecrets: the plugin is not shown the tokens of a payload, and cannot replace it.
func TestSecrets(t *testing.T) {
	r := newRig(t, "bindings: [{actions: ['case:*']}]\n")
	for action, want := range map[string]string{"case:set_attr": "", "case:replace": "plugin_failed"} {
		ev := r.event(action, `{"token":"s3cret","text":"hi"}`)
		ev.Spec.Payload = append(event.Payload{{Name: "token", Kind: event.String, Secret: true}}, ev.Spec.Payload...)
		ev.SetArg(0, []byte(`"s3cret"`))
		ev.SetArg(1, []byte(`"hi"`))
		if got := string(shown(ev)); got != `{"text":"hi"}` {
			t.Errorf("the plugin is shown %s", got)
		}
		_, err := r.Process(t.Context(), ev)
		if got := code(err); got != want {
			t.Errorf("%s: %v", action, err)
		}
	}
}

func code(err error) string {
	if err == nil {
		return ""
	}
	return fault.Of(err).Kind.Code()
}

func TestTaken(t *testing.T) {
	r := New(Deps{Actions: []event.Action{message()}})
	for action, want := range map[string]bool{"message:send": true, "message:fly": true, "order:created": false, "call:start": true} {
		if r.Taken(action) != want {
			t.Errorf("%s: %v", action, !want)
		}
	}
}

func BenchmarkStage(b *testing.B) {
	for name, bindings := range map[string]string{"asked": before, "another's action": "bindings: [{actions: ['other:*']}]\n"} {
		r := newRig(b, bindings+"mode: pooled\n")
		b.Run(name, func(b *testing.B) {
			spec := message()
			spec.Name = "case:nothing"
			ev := &event.Event{Origin: &origin{event.Identity{Tenant: "acme", User: "ann"}}, Spec: &spec}
			ev.Tenant, ev.From.User, ev.Room, ev.Action, ev.Data = "acme", "ann", "conv:1", "case:nothing", []byte(`{"text":"hello, this is a message"}`)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Process(context.Background(), ev); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
