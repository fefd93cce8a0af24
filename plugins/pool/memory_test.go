package pool

import (
	"testing"

	"github.com/heddle-rt/heddle/plugins/guest"
)

// TestMemoryOfATenant: two pools of a tenant hold no more than they may between calls.
func TestMemoryOfATenant(t *testing.T) {
	var m Memory
	t.Cleanup(func() { // behind the pools' own
		if m.Held() != 0 {
			t.Errorf("%d bytes are held by nobody", m.Held())
		}
	})
	with := func(_ *Config, d *Deps) { d.Memory = &m }
	one, _ := newPool(t, with)
	two, _ := newPool(t, with, func(l *guest.Limits) { l.Logs++ }) // a program of its own
	image := one.deps.Program.Image()
	if image == 0 || m.Held() != 2*image {
		t.Fatalf("two images of %d bytes are %d", image, m.Held())
	}
	echo := func(p *Pool) {
		t.Helper()
		if err := p.Do(t.Context(), job(1, "echo", "{}")); err != nil {
			t.Fatal(err)
		}
	}
	echo(one)
	echo(two)
	instance := int64(one.lanes[1].inst.Memory())
	if m.Held() != 2*(image+instance) {
		t.Errorf("with instances of %d bytes it is %d", instance, m.Held())
	}
	m.Limit(2*image + instance)
	if m.Takes(1) {
		t.Error("there is room for more")
	}
	echo(two)
	if two.lanes[1].inst != nil || m.Held() != 2*image+instance {
		t.Errorf("over the limit %d bytes are held", m.Held())
	}
	echo(one) // that one fits
	if one.lanes[1].inst == nil {
		t.Error("an instance that fits was ended")
	}
}
