package plugin

import (
	"fmt"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/plugins/pool"
	"github.com/heddle-rt/heddle/plugins/timer"
)

// looks are the ways in which what a call wants is looked at, each of one call.
func (r *rig) looks(t *testing.T) map[string]func(...hostapi.Action) error {
	v := r.host.For("acme").Named("cases").Choose("x")
	t.Cleanup(v.Release)
	event := change{wants: wants{service: r.Service, version: v, hook: hostapi.HookBefore}, ev: r.event("message:send", `{}`)}
	hook := firing(timer.Firing{Tenant: "acme", Plugin: "cases", Name: "bell"})
	hook.service, hook.version = r.Service, v
	return map[string]func(...hostapi.Action) error{
		"an event": func(wants ...hostapi.Action) error { return event.check(t.Context(), wants) },
		"a hook":   func(wants ...hostapi.Action) error { return hook.Check(t.Context(), &pool.Job{Actions: wants}) },
	}
}

// TestCallsPayOnce: a call that is looked at again has paid for what it wanted before,
// whatever it wants now, and one that cannot pay fails.
func TestCallsPayOnce(t *testing.T) {
	emit := hostapi.Action{Kind: hostapi.Emit, A: []byte("conv:1"), B: []byte("order:due"), C: []byte(`{}`)}
	ask := hostapi.Action{Kind: hostapi.HTTP, A: []byte("GET https://api.example.com/")}
	for what, a := range map[string]hostapi.Action{"the plugin sends more events a second than it may": emit, "the plugin sends more requests a second than it may": ask} {
		for name := range newRig(t, before).looks(t) {
			r := newRig(t, before)
			r.policy.Emits, r.policy.HTTP = 1.5, 1.5 // three at once
			look := r.looks(t)[name]
			for i, n := range []int{2, 2, 0, 1, 3, 3, 2} {
				all := make([]hostapi.Action, n)
				for i := range all {
					all[i] = a
				}
				if err := look(all...); err != nil {
					t.Errorf("%s: look %d: %v", name, i, err)
				}
			}
			if err := look(a, a, a, a); err == nil || !strings.Contains(err.Error(), what) {
				t.Errorf("%s: a fourth: %v", name, err)
			}
			if err := r.looks(t)[name](a); err == nil || !strings.Contains(err.Error(), what) {
				t.Errorf("%s: another call: %v", name, err)
			}
			if len(r.outside.said) > 0 {
				t.Errorf("%s: it was done before it counted: %s", name, r.outside.said)
			}
		}
	}
}

// TestWhatReachesOutIsOneDeed: whoever completes an event has one thing to do for all
// requests and timers that a plugin wants with it.
func TestWhatReachesOutIsOneDeed(t *testing.T) {
	r := newRig(t, before)
	v := r.host.For("acme").Named("cases").Choose("x")
	defer v.Release()
	ev := r.event("message:send", `{}`)
	c := change{wants: wants{service: r.Service, version: v, hook: hostapi.HookBefore, who: "ann"}, ev: ev}
	set := hostapi.Action{Kind: hostapi.SetTimer, A: []byte("a"), Number: 5}
	ask := hostapi.Action{Kind: hostapi.HTTP, A: []byte("GET https://api.example.com/")}
	if err := c.check(t.Context(), []hostapi.Action{set, ask, {Kind: hostapi.CancelTimer, A: []byte("b")}, ask, set}); err != nil {
		t.Fatal(err)
	}
	c.make()
	c = change{}
	if len(ev.Later) != 1 {
		t.Fatalf("%d effects", len(ev.Later))
	}
	ev.Later[0].Do()
	const get = "http GET https://api.example.com/ [api.example.com] of ann"
	if got, want := fmt.Sprint(r.outside.said), fmt.Sprint([]string{get, get, "set a in 5: ", "cancel b", "set a in 5: "}); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestKeys: events that keep an order share an instance, and what is nobody's does not
// wait for one where it need not.
func TestKeys(t *testing.T) {
	of := func(mode, user, room string, n uint64) uint64 {
		return keyOf(mode, &hostapi.Record{User: user, Room: room, Sequence: n})
	}
	for _, mode := range []string{manifest.Stateless, manifest.Pooled, manifest.KeyedRoom, manifest.KeyedUser} {
		keyed := mode == manifest.KeyedRoom || mode == manifest.KeyedUser
		if (of(mode, "", "", 1) == of(mode, "", "", 2)) != keyed {
			t.Errorf("%s: hooks of nobody", mode)
		}
		if of(mode, "ann", "conv:1", 1) != of(mode, "ann", "conv:1", 2) {
			t.Errorf("%s: events of one user in one room have two instances", mode)
		}
		if mode != manifest.KeyedRoom && of(mode, "ann", "conv:1", 1) != of(mode, "ann", "conv:2", 2) {
			t.Errorf("%s: events of one user have two instances", mode)
		}
	}
}
