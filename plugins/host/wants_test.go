package host

import (
	"testing"

	"github.com/heddle-rt/heddle/hostapi"
	"github.com/heddle-rt/heddle/plugins/manifest"
)

func TestWants(t *testing.T) {
	before := func(b manifest.Binding) manifest.Binding {
		b.Hooks = []string{"before"}
		return b
	}
	for _, c := range []struct {
		name    string
		binding manifest.Binding
		subject Subject
		want    bool
	}{
		{"no actions: what others receive", before(manifest.Binding{}), Subject{Action: "message:send", Receives: true}, true},
		{"no actions: nothing else", before(manifest.Binding{}), Subject{Action: "room:members"}, false},
		{"an action", before(manifest.Binding{Actions: []string{"room:members"}}), Subject{Action: "room:members"}, true},
		{"the beginning of one", before(manifest.Binding{Actions: []string{"room:*"}}), Subject{Action: "room:members"}, true},
		{"another hook", before(manifest.Binding{}), Subject{Hook: hostapi.HookJoin}, false},
		{"a room", before(manifest.Binding{Rooms: []string{"conv:1"}}), Subject{Receives: true, Room: "conv:1"}, true},
		{"another room", before(manifest.Binding{Rooms: []string{"conv:1"}}), Subject{Receives: true, Room: "conv:12"}, false},
		{"the main namespace", before(manifest.Binding{Spaces: []string{"/"}}), Subject{Receives: true, Room: "conv:1"}, true},
		{"the main namespace, without a room", before(manifest.Binding{Spaces: []string{"/"}}), Subject{Receives: true}, true},
		{"a feature that is no namespace", before(manifest.Binding{Spaces: []string{"/"}}), Subject{Receives: true, Room: "conv:1/typing"}, true},
		{"a feature that is one", before(manifest.Binding{Spaces: []string{"/"}}), Subject{Receives: true, Room: "conv:1/voice"}, false},
		{"that namespace", before(manifest.Binding{Spaces: []string{"/video", "/voice"}}), Subject{Receives: true, Room: "conv:1/voice"}, true},
		{"that namespace, another room", before(manifest.Binding{Spaces: []string{"/voice"}}), Subject{Receives: true, Room: "conv:1"}, false},
	} {
		if c.subject.Hook == 0 {
			c.subject.Hook = hostapi.HookBefore
		}
		if got := wants(&c.binding, &c.subject); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
