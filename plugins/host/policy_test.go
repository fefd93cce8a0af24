package host

import (
	"reflect"
	"strings"
	"testing"

	"github.com/heddle-rt/heddle/plugins/guest"
	"github.com/heddle-rt/heddle/plugins/manifest"
	"github.com/heddle-rt/heddle/runtime/config"
)

// TestEveryLimitHasACeiling: a manifest that asks for one more of anything than the
// policy permits is refused, whatever limit that is.
func TestEveryLimitHasACeiling(t *testing.T) {
	r, err := config.Load[Policy](config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ceilings := reflect.ValueOf(r.Value.Limits)
	limits := reflect.TypeFor[guest.Limits]()
	for n := range limits.NumField() {
		name := limits.Field(n).Tag.Get("yaml")
		var m manifest.Manifest
		if err := r.Value.allow(&m); err != nil {
			t.Fatal(err)
		}
		most := ceilings.FieldByName(limits.Field(n).Name)
		if !most.IsValid() {
			t.Errorf("%s has no ceiling", name)
			continue
		}
		asks := reflect.ValueOf(&m.Limits).Elem().Field(n)
		asks.SetInt(most.Int())
		if err := r.Value.allow(&m); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		asks.SetInt(most.Int() + 1)
		if err := r.Value.allow(&m); err == nil || !strings.Contains(err.Error(), "limits."+name+" of the manifest") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestUsualLimitsArePermitted: a manifest that says nothing of limits is taken.
func TestUsualLimitsArePermitted(t *testing.T) {
	p, err := config.Load[Policy](config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := config.Load[guest.Limits](config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Value.allow(&manifest.Manifest{Limits: *l.Value}); err != nil {
		t.Error(err)
	}
}
